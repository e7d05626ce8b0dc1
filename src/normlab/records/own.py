"""Studies whose runs are calls of a training of somebody's own; see normlab.study.own.

In plans and records such a run has the network NETWORK, whose options say which functions were
called, and a metric that its training named: `own:dice` in a plan, `dice` on a page.
"""

from __future__ import annotations

import re

from normlab.errors import UsageError

NETWORK = "own-training"
METRIC = "own:"
"""How a metric begins that only the training knows: a share in [0, 1], larger is better."""
OPTIONS: dict[str, bool | int | float | str] = {
    "training": "",
    "network": "",
    "code": "",
    "metric": "",
}
"""Of the network NETWORK: the functions by name, the SHA-256 of their source, and the metric."""


def is_own(metric: str) -> bool:
    """Whether a metric is one that a training of somebody's own has named.

    >>> is_own("own:dice"), is_own("accuracy")
    (True, False)
    """
    return metric.startswith(METRIC)


def own_metric(name: str) -> str:
    """The metric of a plan for the name that a training gives it.

    Raises:
        UsageError: a name that a table's head or a plan cannot have.

    >>> own_metric("mean IoU")
    'own:mean IoU'
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9 _.@-]{0,39}", name):
        raise UsageError(
            f"a metric's name is up to 40 letters, digits, spaces and _ . @ -, got {name!r}"
        )
    return METRIC + name
