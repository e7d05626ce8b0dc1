"""What a user writes to say where the images are: a path, or a name that is no path."""

from __future__ import annotations

from pathlib import Path

DEMO = "demo:digits"
TORCHVISION = "torchvision:"
HUGGING_FACE = "hf:"
NAMED = ("demo:", TORCHVISION, HUGGING_FACE)
"""How a location begins that is no path."""


def is_named(location: str) -> bool:
    """Whether it names data instead of giving a path."""
    return location.startswith(NAMED)


def resolved(location: str) -> str:
    """A path as an absolute one; a name as it is."""
    return location if is_named(location) else str(Path(location).resolve())


def short_name(location: str) -> str:
    """A name for a study of these images, fit for a folder.

    >>> short_name("/photos/birds.tar.gz"), short_name("hf:ylecun/mnist"), short_name("demo:digits")
    ('birds', 'mnist', 'digits')
    """
    path = Path(location.split(":", 1)[1]) if is_named(location) else Path(location).resolve()
    name = path.name
    for ending in (".gz", ".bz2", ".xz"):
        name = name.removesuffix(ending)
    return Path(name).stem.replace(":", "-")
