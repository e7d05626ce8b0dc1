"""Words and rules that the checks of the data share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from normlab.records.checks import SEVERITIES
from normlab.records.data_report import Finding


def standing_out(shares: np.ndarray, least: float) -> np.ndarray:
    """The classes whose share is at least `least` and far above the median of the others.

    >>> standing_out(np.array([0.0, 0.9, 0.02]), least=0.3).tolist()
    [1]
    """
    found = [
        k
        for k, share in enumerate(shares)
        if share >= least and share > 2 * float(np.median(np.delete(shares, k))) + 0.05
    ]
    return np.array(found, dtype=np.int64)


def worst_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Errors, warnings, notes; within them by code."""
    return tuple(sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), f.code)))


def percent(share: float) -> str:
    """A share in words.

    >>> percent(0.823), percent(0.004)
    ('82 %', '0.4 %')
    """
    return f"{100 * share:.0f} %" if share >= 0.095 or share == 0 else f"{100 * share:.1f} %"


def some(names: Sequence[str], shown: int = 3) -> str:
    """The first few names, and how many there are beside.

    >>> some(["a", "b", "c", "d"])
    'a, b, c and 1 more'
    """
    if len(names) <= shown:
        return ", ".join(names)
    return f"{', '.join(names[:shown])} and {len(names) - shown} more"
