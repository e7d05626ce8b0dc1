"""What the command line says beside the tables, as `Known`."""

from __future__ import annotations

from collections.abc import Sequence

from normlab.errors import UsageError
from normlab.stats.audit.heads import DATASETS
from normlab.stats.audit.rules.base import Known

_PARTS = ("validation", "test", "train")


def parse_known(
    images: Sequence[str],
    *,
    train_images: int | None = None,
    runs: int | None = None,
    balanced: bool = False,
    same: Sequence[str] = (),
) -> Known:
    """The options as `Known`.

    Raises:
        UsageError: a number of images that is none, an unknown data set or part, or a pair of rows
            without "=".
    """
    plain: int | None = None
    by_name: dict[str, int] = {} if train_images is None else {"train": train_images}
    for text in images:
        name, equals, number = text.rpartition("=")
        digits = number.strip().replace(",", "").replace("_", "")
        if not digits.isdigit() or int(digits) < 1:
            raise UsageError(
                f"--images takes a number of images, alone or as CIFAR-10=10000, got {text!r}"
            )
        if equals:
            by_name[_known_name(name.strip())] = int(digits)
        else:
            plain = int(digits)
    return Known(plain, by_name, runs, balanced, dict(_pair(text) for text in same))


def _known_name(name: str) -> str:
    names = {one.name.lower(): one.name for one in DATASETS} | {part: part for part in _PARTS}
    if name.lower() not in names:
        raise UsageError(
            f"--images knows no part or data set {name!r}; take one of {', '.join(names.values())}"
        )
    return name.lower()


def _pair(text: str) -> tuple[str, str]:
    one, equals, other = text.partition("=")
    if not equals or not one.strip() or not other.strip():
        raise UsageError(f"--same takes two names with = between, got {text!r}")
    return one.strip(), other.strip()
