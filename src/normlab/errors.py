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
import errno
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


NEAR = 0.5
"""Of difflib's likeness: below it two names only share some letters, as heavy and erase do."""


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
        if meant is None:
            meant = _nearest(name.lower()[:200], {known.lower(): known for known in available})
        hint = f" did you mean {meant!r}?" if meant else ""
        shown = ", ".join(repr(known) if "," in known else known for known in available)
        super().__init__(f"unknown {kind} {shortened(repr(name))};{hint} available: {shown}")


def _nearest(asked: str, known: Mapping[str, str]) -> str | None:
    """The name that is spelt most alike, or begins alike; a far one would only mislead."""
    near = difflib.get_close_matches(asked, known, n=1, cutoff=NEAR)
    begins = [name for name in known if len(asked) > 1 and name.startswith(asked)]
    return known[(near or begins)[0]] if near or begins else None


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


def first_fault(
    error: ValidationError, named: Callable[[Sequence[str | int]], str] | None = None
) -> str:
    """The first fault that pydantic found, in one sentence with the key and the value.

    `named` gives what a value is called where it came from, as an option; by default it is the key.
    """
    fault = error.errors()[0]
    place = fault["loc"]
    key = ".".join(str(part) for part in place)
    if fault["type"] == "extra_forbidden":
        return f"unknown key {key!r}; remove it or correct its spelling"
    if fault["type"] == "missing":
        return f"the key {key!r} is missing; add it"
    name = named(place) if named else key
    message = fault["msg"]
    if fault["type"] == "value_error":  # a sentence of our own, with the value in it
        message = message.removeprefix("Value error, ")
        if not place or (isinstance(fault["input"], dict) and place[-1] != "training"):
            return message  # on several keys, which it names
        return f"{name}: {message[0].lower()}{message[1:]}"
    value = fault["input"]
    if named and message.startswith("Input should be "):
        shown = f"{value:g}" if isinstance(value, float) else shortened(repr(value))
        return f"{name} must be {message.removeprefix('Input should be ')}, got {shown}"
    return f"{name} = {shortened(repr(value))}: {message[0].lower()}{message[1:]}"


_REMEDIES = {
    errno.ENOSPC: "free some space or choose another folder",
    errno.EDQUOT: "your quota is used up: free some space or choose another folder",
    errno.EACCES: "choose a folder that you may write to, or change its permissions",
    errno.EPERM: "choose a folder that you may write to, or change its permissions",
    errno.EROFS: "what is there can only be read: choose another folder",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOTDIR: "a part of the path is a file: choose another folder",
    errno.EEXIST: "there is a file in its place: choose another folder",
    errno.EISDIR: "there is a folder in its place: choose another name",
    errno.ENOENT: "choose another folder",
    errno.EMFILE: "too many files are open: raise the limit (ulimit -n)",
}


def write_remedy(error: OSError, folder: str = "choose another folder") -> str:
    """What helps against a refusal to write.

    Args:
        error: what the system said.
        folder: how another folder is chosen.

    >>> write_remedy(PermissionError(errno.EACCES, "Permission denied"))
    'choose a folder that you may write to, or change its permissions'
    """
    fallback = "free some space or choose another folder"
    said = _REMEDIES.get(error.errno or 0, fallback)
    return said.replace("choose another folder", folder)
