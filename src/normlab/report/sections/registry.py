"""All sections: the folders beside this file, then those that installed packages bring."""

from __future__ import annotations

import importlib
import pkgutil
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from normlab.errors import UsageError
from normlab.report.sections.base import Section

GROUP = "normlab.sections"
"""The entry-point group; each entry names a Section object."""

_registered: dict[str, Section[Any]] = {}


def register(section: Section[Any]) -> Section[Any]:
    """Put a section into every page that is built from now on.

    Raises:
        UsageError: another section has its name or address.
    """
    for other in _registered.values():
        if section.name == other.name or section.anchor == other.anchor:
            raise UsageError(
                f"two sections of the page are called {section.name!r} or have the address "
                f"#{section.anchor}; rename one of them"
            )
    _registered[section.name] = section
    return section


def unregister(name: str) -> None:
    """Take a section out again."""
    del _registered[name]


def sections() -> tuple[Section[Any], ...]:
    """Every section in the order of the page.

    Raises:
        UsageError: an installed package brings a section that cannot be used.
    """
    _load()
    return tuple(sorted(_registered.values(), key=lambda section: (section.order, section.name)))


def _load() -> None:
    for found in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if found.ispkg and found.name not in _registered:
            module = importlib.import_module(f"{__package__}.{found.name}.section")
            register(module.SECTION)
    for entry in entry_points(group=GROUP):
        if entry.name in _registered:
            continue
        try:
            section = entry.load()
        except Exception as error:
            raise UsageError(
                f"the section {entry.name!r} of {entry.value} cannot be imported: {error}; repair "
                "or remove the package"
            ) from error
        if not isinstance(section, Section) or section.name != entry.name:
            raise UsageError(
                f"{entry.value} is no normlab section called {entry.name!r}; see "
                "normlab.report.sections.base"
            )
        register(section)
