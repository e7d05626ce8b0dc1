"""The four metrics of a run: which direction is better, what guessing gives, how they are printed.

Accuracy, micro F1 and macro F1 are shares in [0, 1], printed in percent, their differences in
points; the loss (cross-entropy, in nats) is printed as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from normlab.records.network import OWN_METRIC, is_own


class _Labels(dict[str, str]):
    def __missing__(self, metric: str) -> str:
        if not is_own(metric):
            raise KeyError(metric)
        return metric.removeprefix(OWN_METRIC)


LABELS: Mapping[str, str] = _Labels(
    accuracy="accuracy", loss="loss", micro_f1="micro F1", macro_f1="macro F1"
)
"""The name of each metric in a sentence or a table's head; one that a training of somebody's own
has named keeps that name."""

MINUS = "\N{MINUS SIGN}"


def is_share(metric: str) -> bool:
    """Whether the metric is a share in [0, 1], printed in percent."""
    return metric != "loss"


def orientation(metric: str) -> int:
    """+1 where a higher value is better, −1 where a lower one is (the loss)."""
    return 1 if is_share(metric) else -1


def chance_level(metric: str, classes: int) -> float:
    """What a network that has learned nothing scores: the score of a diverged run.

    A uniform guess over r classes has accuracy, micro F1 and (balanced classes) macro F1 of 1/r,
    and the cross-entropy log r. Real collapse is never better than this in macro F1, so the score
    does not punish an arm more than its own weights would have (method.md, Design 5).
    """
    if is_own(metric):
        return 0.0
    return 1.0 / classes if is_share(metric) else math.log(classes)


def unit(metric: str) -> str:
    """The unit of a printed difference."""
    return "points" if is_share(metric) else "nats"


def printed_scale(metric: str) -> float:
    """What a value is multiplied by where it is printed: 100 for a share, in percent or points."""
    return 100.0 if is_share(metric) else 1.0


def format_value(metric: str, value: float) -> str:
    """A value as it is printed.

    >>> format_value("accuracy", 0.8139), format_value("loss", 0.5)
    ('81.4', '0.500')
    """
    return f"{100 * value:.1f}" if is_share(metric) else f"{value:.3f}"


def format_difference(metric: str, value: float) -> str:
    """A difference as it is printed, with its sign; what rounds to zero has none.

    >>> format_difference("accuracy", 0.0091), format_difference("accuracy", -1e-5)
    ('+0.9', '0.0')
    """
    text = f"{100 * value:+.1f}" if is_share(metric) else f"{value:+.3f}"
    if float(text) == 0.0:
        return text[1:]
    return text.replace("-", MINUS)
