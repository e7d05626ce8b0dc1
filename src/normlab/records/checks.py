"""What a check is, of a study (NL…) or of its data (DC…): a code, a title, a severity, a function.

All of them are in one table. A module puts a check into it with the decorator `check` of
normlab.stats.checks.base or of normlab.data.check.base; modules in those folders are found by
themselves, those of installed packages by the entry-point group "normlab.checks".
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from normlab.errors import UsageError
from normlab.plugins import register_group

Severity = Literal["error", "warning", "note"]
"""error: what is concluded is not valid as it stands; warning: read it with this in mind; note: a
fact that the reader should know."""

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""The most severe first."""

Context = TypeVar("Context")
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class RegisteredCheck(Generic[Context, Result]):
    """One check; calling it with its context runs it."""

    code: str
    """Two letters for the kind and three digits: NL for studies, DC for data."""
    title: str
    severity: Severity
    """How much a finding usually matters; a single finding may weigh less or more."""
    summary: str
    """What is looked at, in one line."""
    run: Callable[[Context], Result]

    def __call__(self, context: Context) -> Result:
        """Run the check."""
        return self.run(context)


_registered: dict[str, RegisteredCheck[Any, Any]] = {}


def register(check: RegisteredCheck[Any, Any]) -> None:
    """Put a check into the table.

    Raises:
        UsageError: another check has its code.
    """
    if check.code in _registered:
        raise UsageError(
            f"two checks have the code {check.code} ({_registered[check.code].title!r} and "
            f"{check.title!r}); give one of them another code"
        )
    _registered[check.code] = check


def unregister(code: str) -> None:
    """Take a check out again."""
    del _registered[code]


def registered_checks(kind: str = "") -> tuple[RegisteredCheck[Any, Any], ...]:
    """The checks whose code begins with `kind`, by code; those that were imported so far."""
    return tuple(check for code, check in sorted(_registered.items()) if code.startswith(kind))


@functools.cache
def import_checks(package: str) -> None:
    """Import every module of a package and of its folders, then those of installed packages.

    Raises:
        PluginError: an installed package gives what is no check, or cannot be imported.
    """
    root = importlib.import_module(package)
    for found in pkgutil.walk_packages(root.__path__, f"{package}."):
        importlib.import_module(found.name)
    register_group("normlab.checks", RegisteredCheck, _register_once)


def _register_once(name: str, check: RegisteredCheck[Any, Any]) -> None:
    """The decorator has registered it already, unless somebody made it without."""
    if _registered.get(check.code) is not check:
        register(check)


def first_line(function: Callable[..., object]) -> str:
    """The first line of a function's docstring, which says what a check looks at."""
    return (inspect.getdoc(function) or "").partition("\n")[0].rstrip(".")
