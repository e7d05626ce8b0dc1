"""Every pair of arms of a setting, compared and decided with error control.

All pairs of a setting, those with the reference included, are one family: Holm's step-down
correction over it keeps the chance of any false "better" or "worse" in a setting at α, whichever
pair the reader looks at. The equivalence tests are corrected in the same way, as a family of their
own, so that a "practically equal" is no cheaper to get.

Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
"""

from __future__ import annotations

import contextlib
import gc
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from statsmodels.stats.multitest import multipletests

from normlab.records.plan import AnalysisPlan
from normlab.stats.data.metrics import orientation
from normlab.stats.data.pairing import PairedTable
from normlab.stats.inference.equivalence import equivalence_p_value
from normlab.stats.inference.forecast import Forecast
from normlab.stats.inference.intervals import (
    Interval,
    PairedDifference,
    ShareBetter,
    paired_difference,
    share_better,
)
from normlab.stats.inference.pooled import error_term
from normlab.stats.inference.power import BLOCKS_CAP, blocks_to_decide
from normlab.stats.inference.sign_flip import sign_flip_p_value

Decision = Literal[
    "better",
    "worse",
    "better in finished runs",
    "worse in finished runs",
    "practically equal",
    "too easy to tell apart",
    "undecided",
]
"""What a comparison says of its first arm. In finished runs: the runs are too few to exclude that
failures would turn it around (normlab.stats.inference.looks.failures).
"""

SUPERIOR: tuple[Decision, ...] = ("better", "better in finished runs")
INFERIOR: tuple[Decision, ...] = ("worse", "worse in finished runs")
CONDITIONAL: tuple[Decision, ...] = (SUPERIOR[1], INFERIOR[1])

_MIRRORED: dict[Decision, Decision] = {
    "better": "worse",
    "worse": "better",
    "better in finished runs": "worse in finished runs",
    "worse in finished runs": "better in finished runs",
}


@dataclass(frozen=True)
class Comparison:
    """One arm against another; every difference is arm − other, in the metric's own units."""

    arm: str
    other: str
    difference: PairedDifference
    adjusted_p: float | None
    """Of no difference, Holm over the setting; None below two common blocks."""
    equivalence_p: float | None
    """Of a difference outside ± margin, Holm over the setting."""
    share: ShareBetter | None
    """P(arm better than other)."""
    sign_flip_p: float | None
    """Exact, of no difference, without any distribution; from six blocks on."""
    decision: Decision
    further_blocks: int | None
    """About how many more blocks would decide it: 0 where it is decided, BLOCKS_CAP + 1 for more
    than BLOCKS_CAP, None where fewer than two blocks leave no spread to estimate it from, or where
    the plan has not so many."""
    simultaneous: Interval | None = None
    """The interval that belongs to the decision: it leaves out 0 (or lies inside the margin)
    exactly where it was decided so; None in a study of the first method."""
    forecast: Forecast | None = None
    """The range of blocks to a decision, while the plan has some."""

    @property
    def interval(self) -> Interval | None:
        """The one to print beside the decision: that which belongs to it, else its own."""
        return self.simultaneous or self.difference.interval

    def reversed(self) -> Comparison:
        """The same comparison seen from the other arm."""
        return replace(
            self,
            arm=self.other,
            other=self.arm,
            difference=self.difference.reversed(),
            share=self.share and self.share.reversed(),
            decision=_MIRRORED.get(self.decision, self.decision),
            simultaneous=self.simultaneous and self.simultaneous.reversed(),
        )


def compare_all(
    table: PairedTable, analysis: AnalysisPlan, level: float | None = None
) -> tuple[Comparison, ...]:
    """Every pair of the arms that have a value, in the order of the plan.

    Differences are taken over the blocks that both arms of a pair have, and measured against the
    error of all arms together where the design allows it (see `error_term`). A pair without two
    such blocks cannot be tested; it stays in the family with p = 1, so that the family does not
    grow when its blocks arrive. `level` is the error rate of this look, α where there is one look.
    """
    level = analysis.alpha if level is None else level
    arms = table.measured_arms()
    spread = error_term(table).spread
    pairs = list(itertools.combinations(arms, 2))
    samples = [table.differences(later, earlier) for earlier, later in pairs]
    differences = [paired_difference(sample, analysis.alpha, spread) for sample in samples]
    adjusted, open_difference = holm([d.p_value for d in differences], level)
    equal, open_equivalence = holm(
        [equivalence_p_value(sample, analysis.margin, spread) for sample in samples], level
    )
    sign = orientation(table.metric)
    comparisons = []
    for index, (earlier, later) in enumerate(pairs):
        difference = differences[index]
        decision = decide(difference, adjusted[index], equal[index], sign, level)
        further: int | None = 0
        if decision == "undecided":
            further = _further_blocks(
                difference,
                analysis.margin,
                (level / open_difference, level / open_equivalence),
                len(arms) if spread else 2,
            )
        comparisons.append(
            Comparison(
                arm=later,
                other=earlier,
                difference=difference,
                adjusted_p=adjusted[index],
                equivalence_p=equal[index],
                share=share_better(sign * samples[index], analysis.alpha),
                sign_flip_p=sign_flip_p_value(samples[index]),
                decision=decision,
                further_blocks=further,
            )
        )
    return tuple(comparisons)


def find(comparisons: Sequence[Comparison], arm: str, other: str) -> Comparison | None:
    """The comparison of two arms, seen from the first; None if it is not among those given."""
    for comparison in comparisons:
        if (comparison.arm, comparison.other) == (arm, other):
            return comparison
        if (comparison.other, comparison.arm) == (arm, other):
            return comparison.reversed()
    return None


def against(
    comparisons: Sequence[Comparison], arms: Sequence[str], reference: str | None
) -> tuple[Comparison, ...]:
    """Each arm against the reference, in the order given; empty without a reference."""
    if reference is None:
        return ()
    found = (find(comparisons, arm, reference) for arm in arms)
    return tuple(comparison for comparison in found if comparison is not None)


def decide(
    difference: PairedDifference,
    adjusted_p: float | None,
    equivalence_p: float | None,
    sign: int,
    alpha: float,
) -> Decision:
    """The three-way decision; `sign` is +1 where a higher value is better.

    A difference that is shown to be both real and inside the margin is practically equal: the
    margin says what is too small to act on.
    """
    if equivalence_p is not None and equivalence_p < alpha:
        return "practically equal"
    if adjusted_p is not None and adjusted_p < alpha and difference.mean is not None:
        return "better" if sign * difference.mean > 0 else "worse"
    return "undecided"


@contextlib.contextmanager
def _cheap_collection() -> Iterator[None]:
    """Statsmodels collects garbage before every correction.

    That walks through all records of a study: a third of a second each time with 1,000 runs.
    Frozen objects are not walked through.
    """
    already_frozen = gc.get_freeze_count() > 0
    gc.freeze()
    try:
        yield
    finally:
        if not already_frozen:
            gc.unfreeze()


def holm(p_values: Sequence[float | None], alpha: float) -> tuple[list[float | None], int]:
    """The corrected p-values and the number of hypotheses that still stand (at least one)."""
    if not p_values:
        return [], 1
    family = np.array([1.0 if p is None else p for p in p_values])
    with _cheap_collection():
        rejected, corrected, _, _ = multipletests(family, alpha=alpha, method="holm")
    values = [None if p is None else float(c) for p, c in zip(p_values, corrected, strict=True)]
    return values, max(1, len(p_values) - int(np.count_nonzero(rejected)))


def _further_blocks(
    difference: PairedDifference, margin: float, levels: tuple[float, float], arms: int
) -> int | None:
    """How many more; `levels` are those at which Holm tests its next hypotheses."""
    if difference.mean is None or difference.sd is None:
        return None
    total = blocks_to_decide(difference.mean, difference.sd, margin, *levels, arms=arms)
    if total is None:
        return BLOCKS_CAP + 1
    return min(max(1, total - difference.n), BLOCKS_CAP + 1)
