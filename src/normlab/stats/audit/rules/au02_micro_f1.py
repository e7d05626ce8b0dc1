"""AU02: micro F1 of a task with one label an image is the accuracy.

Each mistake is one false positive and one false negative, so that micro precision, micro recall,
their F1 and the accuracy are one number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from normlab.stats.audit.heads import ACCURACY, MICRO_F1
from normlab.stats.audit.rules.base import (
    Audited,
    Finding,
    Kind,
    about,
    beside,
    finding,
    in_units_of,
    paired,
    same_print,
)

CODE = "AU02"
TITLE = "micro F1 is the accuracy"
NEEDS_IMAGES = False


def check(audited: Audited) -> Iterator[Finding]:
    """Every micro F1 that differs from the accuracy beside it by more than two ways of rounding."""
    for table, entry in audited.entries():
        heads = " ".join(head for head, _ in table.columns)
        best = re.search(r"\b(?:best|max\w*|highest)\b", f"{heads} {table.title}", re.IGNORECASE)
        for accuracy, micro, part_doubt in paired(entry, ACCURACY, MICRO_F1):
            if same_print(accuracy, micro):
                continue
            kind: Kind = "question" if table.doubt or best or part_doubt else "certain"
            text = (
                f"micro F1 {micro.text} − accuracy {beside(accuracy, micro)} = "
                f"{'+' if micro.value > accuracy.value else '−'}"
                f"{in_units_of(micro, abs(micro.value - accuracy.value), accuracy)}{part_doubt}"
            )
            if table.doubt:
                text += f"; the document speaks of “{table.doubt}”: has every image one label?"
            elif best:
                text += "; are both of one epoch?"
            yield finding(CODE, kind, table, about(entry, micro), text, [accuracy, micro])
