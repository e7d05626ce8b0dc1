"""The option that a value of a plan came from, for the sentence that says what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence

OTHER_NAMES = {
    "network": "--model",
    "plugins": "--plugin",
    "points": "--tune",
    "source": "the images",
}
"""Keys of a plan whose options are called otherwise."""


def option_of(place: Sequence[str | int], *, several: bool = True) -> str:
    """The option of a key of the plan.

    Args:
        place: the keys and indices that lead to the value.
        several: whether the verb takes lists of levels, as compare does and train does not.

    >>> option_of(["factors", 0, "learning_rate", 0]), option_of(["data", "image_size"])
    ('--learning-rates', '--image-size')
    """
    keys = [part for part in place if isinstance(part, str)]
    if keys[:1] == ["factors"] and len(keys) > 1:
        plural = "s" if several else ""
        return "--vary" if keys[1] == "training" else f"{_dashed(keys[1])}{plural}"
    if keys == ["tuning", "learning_rate"]:
        return "--tune-range"
    name = keys[min(1, len(keys) - 1)] if keys else "the command"
    return OTHER_NAMES.get(name, _dashed(name) if keys else name)


def _dashed(key: str) -> str:
    return f"--{key.replace('_', '-')}"
