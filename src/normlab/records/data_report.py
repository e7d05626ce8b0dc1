"""What is found before a study: findings in its data, and whether a short run learns anything."""

from __future__ import annotations

from pydantic import Field

from normlab.records.checks import Severity
from normlab.records.run import Frozen, Seconds

PROBE = "probe.json"
"""The file of a study's folder with a `Probe`."""
LOOK = "look.html"
"""The page of a study's folder that shows a few of its pictures, before anything is trained."""


class Evidence(Frozen):
    """Images that show a finding, side by side."""

    names: tuple[str, ...]
    caption: str = ""
    overlay: tuple[float, ...] = ()
    """Of a pair: the six numbers of the map that gives coordinates in the first image from those in
    the second, in half sides from the centre, row by row."""


class Finding(Frozen):
    """One finding; the codes are explained in docs/data-check.md."""

    code: str
    title: str
    severity: Severity
    count: int = Field(ge=0)
    """Images (or classes, where the message says so) that it concerns."""
    message: str
    remedy: str
    evidence: tuple[Evidence, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    """Rows with a head, for the page."""


class DataReport(Frozen):
    """All that was found in a source; `check.json` is this."""

    source: str
    fingerprint: str
    classes: tuple[str, ...]
    images: int = Field(ge=0)
    parts: dict[str, int]
    facts: tuple[tuple[str, str], ...]
    """Name and value of what is worth knowing, in words."""
    findings: tuple[Finding, ...]
    passed: tuple[tuple[str, str], ...]
    """Code and title of every check that found nothing."""
    seconds: float


class Probe(Frozen):
    """One arm, trained for some seconds with the plan's settings and judged on validation images.

    The test is the exact binomial one: of guessing the largest class for every image, so many right
    answers or more have the probability p.
    """

    arm: str
    seconds: Seconds
    epochs: float = Field(ge=0)
    """Passes over the training part, as far as it came."""
    planned_epochs: int = Field(ge=1)
    images: int = Field(ge=1)
    """Validation images that it was judged on."""
    right: int = Field(ge=0)
    largest: int = Field(ge=1)
    """How many of them are of the largest class: what guessing gets right."""
    p_value: float = Field(ge=0, le=1)
    """The least of the looks, times their number."""
    learned: bool
    learned_after: float | None = None
    """The epochs after which it was first above chance."""
    diverged: bool = False
    proposals: tuple[str, ...] = ()
    """Options to try where nothing was learned."""

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return self.right / self.images

    @property
    def is_too_short(self) -> bool:
        """Whether it ended before one pass over the training part, without having learned."""
        whole = min(1, self.planned_epochs)
        return not self.learned and not self.diverged and self.epochs < whole

    @property
    def chance(self) -> float:
        """The share of the largest class."""
        return self.largest / self.images


def probe_text(probe: Probe) -> str:
    """The probe in one line.

    >>> probe_text(Probe(arm="bn", seconds=12, epochs=2, planned_epochs=10, images=100, right=34,
    ...                  largest=10, p_value=1e-9, learned=True))
    'one bn run, 12 s: 34 % on validation, chance is 10 %: it learns'
    """
    found = f"{100 * probe.accuracy:.2g} % on validation, chance is {100 * probe.chance:.2g} %"
    if probe.learned:
        return f"one {probe.arm} run, {probe.seconds:.0f} s: {found}: it learns"
    seen = f"{probe.seconds:.0f} s, {probe.epochs:.2g} of {probe.planned_epochs} epochs"
    what = f"not clearly above chance (p = {probe.p_value:.2g})"
    if probe.diverged:
        what = "its loss is not finite"
    if probe.is_too_short:
        what = f"{what}, too short to tell"
    return f"one {probe.arm} run, {seen}: {found}: {what}"


def proposals_text(probe: Probe) -> str:
    """What to try where nothing was learned; empty where something was."""
    return f"try {' or '.join(probe.proposals)}" if probe.proposals else ""
