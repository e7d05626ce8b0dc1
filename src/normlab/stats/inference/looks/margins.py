"""How far apart arms may be and still be practically equal, and what the test images allow.

By default the margin is relative: a tenth of the reference's error rate in the first block in which
it finished, but at least two test images. That block never changes, so neither does the margin: it
is fixed before any other block can be seen. A margin below one test image cannot be judged at all.
"""

from __future__ import annotations

from dataclasses import dataclass

from normlab.records.plan import AnalysisPlan
from normlab.stats.data.layout import Layout
from normlab.stats.data.metrics import is_share

FEWEST_IMAGES = 2
"""A relative margin is never below so many test images."""


@dataclass(frozen=True)
class Margin:
    """The margin of a setting."""

    value: float
    images: int | None
    """Test images, where the metric is a share of them; else None."""
    usable: bool
    """False while it is not known yet, and where it is below one test image."""

    @property
    def resolution(self) -> float | None:
        """What one test image is worth."""
        return None if self.images is None else 1 / self.images


def margin_of(layout: Layout, analysis: AnalysisPlan) -> Margin:
    """The margin of a setting by its plan and records."""
    images = _images(layout) if is_share(analysis.metric) else None
    if not analysis.margin_share:
        usable = images is None or analysis.margin * images >= 1 - 1e-9
        return Margin(analysis.margin, images, usable)
    error = _first_error(layout, analysis)
    if error is None:
        return Margin(analysis.margin, images, False)
    return Margin(relative_margin(error, images, analysis.margin_share), images, True)


def relative_margin(error: float, images: int | None, share: float = 0.1) -> float:
    """The larger of a share of the reference's error and two test images.

    >>> relative_margin(0.2, 2000), relative_margin(0.2, 40)
    (0.02, 0.05)
    """
    return max(share * error, FEWEST_IMAGES / images if images else 0.0)


def least_margin(metric: str) -> str:
    """What a relative margin is never below, for a sentence that names its share.

    >>> least_margin("accuracy"), least_margin("loss")
    (', at least 2 test images', '')
    """
    return f", at least {FEWEST_IMAGES} test images" if is_share(metric) else ""


def _images(layout: Layout) -> int | None:
    for block in layout.blocks:
        for arm in layout.arms:
            record = layout.record(arm, block)
            if record is not None and record.outcome is not None and record.outcome.test:
                return record.outcome.test.images
    return None


def _first_error(layout: Layout, analysis: AnalysisPlan) -> float | None:
    for block in layout.blocks:
        record = layout.record(analysis.reference, block)
        if record is None or record.outcome is None or record.outcome.status == "interrupted":
            return None  # an earlier block may still come: the margin would move
        if record.outcome.is_final and record.outcome.test is not None:
            value = float(getattr(record.outcome.test, analysis.metric))
            return 1 - value if is_share(analysis.metric) else value
    return None
