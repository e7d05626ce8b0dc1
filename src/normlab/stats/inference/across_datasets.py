"""The same arms on several data sets: the mean difference over them, and the signs.

A data set counts once, with the mean over its blocks: the interval is over data sets, because
another data set is what the reader would carry the answer to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from normlab.stats.data.metrics import orientation
from normlab.stats.inference.intervals import SAME, PairedDifference, paired_difference
from normlab.stats.summary.analysis import SettingAnalysis


@dataclass(frozen=True)
class DatasetsRow:
    """One arm against the reference, over data sets."""

    arm: str
    differences: tuple[float | None, ...]
    """Mean over blocks in each data set, in their order; None where it was not compared."""
    over: PairedDifference
    """The t interval over the data sets that have a difference; its n is their number."""
    better: int
    worse: int
    ties: int
    sign_p: float | None
    """Exact two-sided sign test over data sets, ties left out; None where all are ties."""


def over_datasets(settings: Sequence[SettingAnalysis], reference: str) -> tuple[DatasetsRow, ...]:
    """Every arm that any data set has, against the reference; one setting a data set.

    The metric is that of the first; its orientation says which sign is better.
    """
    arms = dict.fromkeys(row.arm for one in settings for row in one.rows if row.arm != reference)
    sign = orientation(settings[0].verdict.metric)
    return tuple(_row(arm, settings, reference, sign) for arm in arms)


def _row(arm: str, settings: Sequence[SettingAnalysis], reference: str, sign: int) -> DatasetsRow:
    differences: list[float | None] = []
    for one in settings:
        comparison = one.verdict.comparison(arm, reference)
        differences.append(None if comparison is None else comparison.difference.mean)
    present = np.array([d for d in differences if d is not None], dtype=np.float64)
    better = int(np.count_nonzero(sign * present > SAME))
    worse = int(np.count_nonzero(sign * present < -SAME))
    p = float(stats.binomtest(better, better + worse).pvalue) if better + worse else None
    return DatasetsRow(
        arm=arm,
        differences=tuple(differences),
        over=paired_difference(present),
        better=better,
        worse=worse,
        ties=present.size - better - worse,
        sign_p=p,
    )
