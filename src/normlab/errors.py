"""The exceptions of normlab.

    NormlabError
    ├── UsageError (ValueError)     what the user gave cannot be used; the sentence says the remedy
    │   ├── UnknownNameError        a name that no registry holds; names the nearest one
    │   ├── DataError               a folder, table, archive or image that cannot be used
    │   ├── PlanError               a study plan that contradicts itself, the data or its folder
    │   └── PluginError             a plugin that cannot be imported, or that nobody has agreed to
    ├── StorageError (OSError)      a disk that is full, a folder that cannot be written
    │   └── LeaseLostError          another process has taken the run's folder over
    ├── MissingExtraError (ImportError)  an optional library is not installed
    ├── DivergedError               the training loss is no longer finite
    └── InterruptedRunError         somebody asked the run to stop

Every message states the rule, the value and the remedy in one sentence. The command line prints
the sentence and exits with code 2; only a defect of normlab itself shows a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class NormlabError(Exception):
    """The base of every error that normlab raises on purpose."""


class UsageError(NormlabError, ValueError):
    """What the user gave cannot be used."""


def shortened(text: str, width: int = 80) -> str:
    """A value for a message: of a very long one the start, and how long it is.

    >>> shortened("9" * 5000, 8)
    '99999999… (5,000 characters)'
    """
    return text if len(text) <= width else f"{text[:width]}… ({len(text):,} characters)"


class UnknownNameError(UsageError):
    """A name that is not in its registry.

    >>> print(UnknownNameError("norm", "gnn", ["bn", "gn"]))
    unknown norm 'gnn'; did you mean 'gn'? available: bn, gn
    """

    def __init__(
        self, kind: str, name: str, available: Iterable[str], meant: str | None = None
    ) -> None:
        """State the kind of thing, the name that was given and the names that exist.

        `meant` is the one that is suggested; by default it is the one that is spelt most alike.
        """
        available = list(available)
        by_lower_case = {known.lower(): known for known in available}
        nearest = difflib.get_close_matches(name.lower()[:200], by_lower_case, n=1, cutoff=0.3)
        if meant is None and nearest:
            meant = by_lower_case[nearest[0]]
        hint = f" did you mean {meant!r}?" if meant else ""
        shown = ", ".join(repr(known) if "," in known else known for known in available)
        super().__init__(f"unknown {kind} {shortened(repr(name))};{hint} available: {shown}")


class DataError(UsageError):
    """A folder, table, archive or image that cannot be used."""


class PlanError(UsageError):
    """A study plan that contradicts itself, the data or the folder that it is to fill."""


class PluginError(UsageError):
    """A plugin that cannot be imported, is not what it says, or that nobody has agreed to."""


class StorageError(NormlabError, OSError):
    """A file that cannot be written or read back."""


class LeaseLostError(StorageError):
    """Another process has taken the run's folder over, so that this one must not write."""


class MissingExtraError(NormlabError, ImportError):
    """An optional library that this step needs is not installed."""

    def __init__(self, library: str, extra: str) -> None:
        """Name the library and the extra of normlab that brings it."""
        super().__init__(f'this needs {library}; install it with: pip install "normlab[{extra}]"')


class DivergedError(NormlabError):
    """The loss is no longer a finite number."""

    def __init__(self, epoch: int, part: str = "training") -> None:
        """Remember the epoch (from 1) in which the loss of the part was lost."""
        super().__init__(f"the {part} loss is not finite in epoch {epoch}")
        self.epoch = epoch


class InterruptedRunError(NormlabError):
    """Somebody asked the run to stop (Ctrl-C, SIGTERM); what was finished is stored."""


def first_fault(error: ValidationError) -> str:
    """The first fault that pydantic found, in one sentence with the key and the value."""
    fault = error.errors()[0]
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"unknown key {key!r}; remove it or correct its spelling"
    if fault["type"] == "missing":
        return f"the key {key!r} is missing; add it"
    message = fault["msg"].removeprefix("Value error, ")
    return f"{key} = {shortened(repr(fault['input']))}: {message[0].lower()}{message[1:]}"
