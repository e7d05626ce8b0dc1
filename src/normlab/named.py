"""A table of things by name: what the modules of a folder hold, and what packages give."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from normlab.errors import UnknownNameError, UsageError
from normlab.plugins import register_group


class Named(Protocol):
    """A thing that a user asks for as NAME or NAME:OPTIONS."""

    @property
    def name(self) -> str:
        """Without a colon."""


Info = TypeVar("Info", bound=Named)


class NamedTable(Generic[Info]):
    """The executors, or the trackers."""

    def __init__(self, word: str, kind: type[Info], package: str, group: str) -> None:
        """Nothing is imported yet.

        Args:
            word: what one is called; modules hold it under this word in capitals.
            kind: what each of them is.
            package: whose modules are looked at.
            group: of entry points.
        """
        self.word, self.kind, self.package, self.group = word, kind, package, group
        self.entries: dict[str, Info] = {}

    def find(self, text: str) -> tuple[Info, str]:
        """One by its name, and the options that stand behind it.

        Raises:
            UnknownNameError: there is none; the nearest one is suggested.
            PluginError: an installed package gives what is none.
        """
        name, _, options = text.partition(":")
        self._load_own()
        if name not in self.entries:  # packages are looked at for names that are not ours alone
            self.all()
        if name not in self.entries:
            raise UnknownNameError(self.word, name, self.entries)
        return self.entries[name], options

    def all(self) -> Iterable[Info]:
        """All of them, those of installed packages too.

        Raises:
            PluginError: an installed package gives what is none.
        """
        self._load_own()
        register_group(self.group, self.kind, lambda _, info: self.add(info))
        return self.entries.values()

    def add(self, info: Info) -> None:
        """Register one; the same one may be given again."""
        known = self.entries.get(info.name)
        if known is info:
            return
        article = "an" if self.word[0] in "aeiou" else "a"
        if known is not None:
            raise UsageError(
                f"there is {article} {self.word} {info.name!r} already; choose another name"
            )
        if not info.name or ":" in info.name:
            raise UsageError(f"the name of {article} {self.word} has no colon, got {info.name!r}")
        self.entries[info.name] = info

    def _load_own(self) -> None:
        package = importlib.import_module(self.package)
        for found in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{self.package}.{found.name}")
            if hasattr(module, self.word.upper()):
                self.add(getattr(module, self.word.upper()))
