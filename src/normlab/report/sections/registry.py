"""All sections: the folders beside this file, then those that installed packages bring."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any

from normlab.errors import UsageError
from normlab.plugins import register_group
from normlab.report.sections.base import Section

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
        PluginError: an installed package brings a section that cannot be used.
    """
    _load()
    return tuple(sorted(_registered.values(), key=lambda section: (section.order, section.name)))


def _load() -> None:
    for found in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if found.ispkg and found.name not in _registered:
            module = importlib.import_module(f"{__package__}.{found.name}.section")
            register(module.SECTION)
    register_group("normlab.sections", Section, _register_once)


def _register_once(name: str, section: Section[Any]) -> None:
    if section.name != name:
        raise UsageError(
            f"its section is called {section.name!r}; an entry point has the name of its section"
        )
    if _registered.get(name) is not section:
        register(section)
