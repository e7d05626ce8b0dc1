"""NL018: too few test images for the margin."""

from __future__ import annotations

from normlab.records.checks import Severity
from normlab.stats.checks.base import (
    Result,
    StudyToCheck,
    check,
    finding,
    not_applicable,
    passed,
)
from normlab.stats.data.metrics import is_share
from normlab.stats.inference.looks.margins import FEWEST_IMAGES, margin_of


@check("NL018", "The test part can show the margin", severity="warning")
def few_test_images(study: StudyToCheck) -> Result:
    """The margin in test images: below two, single images decide; below one it cannot be judged."""
    analysis = study.plan.analysis
    if not is_share(analysis.metric):
        return not_applicable(f"{analysis.metric} is no share of images")
    found = [margin_of(layout, analysis) for layout, _ in study.settings]
    known = [each for each in found if each.images is not None]
    if not known:
        return not_applicable("no run has finished yet")
    least = min(known, key=lambda each: each.value * (each.images or 0))
    worth = least.value * (least.images or 0)
    message = (
        f"the margin of {100 * least.value:.2g} points is {worth:.3g} of {least.images} images"
    )
    if worth >= FEWEST_IMAGES - 1e-9:
        return passed(message)
    severity: Severity = "error" if worth < 1 - 1e-9 else "warning"
    return finding(f"{message}. Use a larger margin, or more test images", severity)
