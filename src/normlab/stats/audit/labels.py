"""Whether two rows are of one thing: the key is everything that says what a row is."""

from __future__ import annotations

import re
from collections.abc import Iterable

from normlab.stats.audit.model import PublishedTable

_GENERIC = frozenset(
    [
        "table",
        "tables",
        "tab",
        "results",
        "result",
        "as",
        "printed",
        "the",
        "a",
        "an",
        "of",
        "for",
        "on",
        "in",
        "by",
        "at",
        "with",
        "and",
        "or",
        "to",
        "is",
        "are",
        "we",
        "our",
        "from",
        "final",
        "overall",
        "all",
        "comparison",
        "comparing",
        "summary",
        "performance",
        "accuracy",
        "accuracies",
        "loss",
        "error",
        "errors",
        "rate",
        "micro",
        "macro",
        "f1",
        "score",
        "scores",
        "metrics",
        "metric",
        "top-1",
        "top-5",
        "scheme",
        "schemes",
        "model",
        "models",
        "method",
        "methods",
        "train",
        "training",
        "validation",
        "val",
        "valid",
        "test",
        "testing",
        "evaluation",
        "set",
        "part",
        "split",
        "figures",
        "curve",
        "each",
        "every",
        "different",
        "various",
        "norm",
        "norms",
        "normalization",
        "normalisation",
        "networks",
        "network",
        "report",
        "dataset",
        "image",
        "images",
        "classification",
    ]
)


def key_of(labels: Iterable[str]) -> tuple[str, ...]:
    """Labels in one spelling.

    >>> key_of(["BN, batch = 32"]) == key_of(["bn batch 32"])
    True
    """
    return tuple(" ".join(re.findall(r"[\w.+-]+", label.lower())) for label in labels)


def context_words(table: PublishedTable) -> frozenset[str]:
    """The words of a table's title and headings that may tell it from another table."""
    raw = table.raw
    title = raw.caption or raw.above
    text = " ".join([title, *raw.headings[-2:]])
    text = re.sub(
        r"\(?\btab(?:le|\.)?s?\s*\d+(?:(?:,|\s*and|\s*to|[–-])\s*\d+)*\)?", " ", text, flags=re.I
    )
    words = re.findall(r"[\w.+-]*\w", text.lower())
    return frozenset(word for word in words if word not in _GENERIC)
