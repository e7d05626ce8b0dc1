"""The table of executors: each `EXECUTOR` of this folder's modules, and those of packages."""

from __future__ import annotations

from collections.abc import Iterable

from normlab.errors import UsageError
from normlab.named import NamedTable
from normlab.study.executors.base import ExecutorInfo

EXECUTORS = NamedTable("executor", ExecutorInfo, "normlab.study.executors", "normlab.executors")


def find_executor(text: str) -> tuple[ExecutorInfo, str]:
    """An executor by its name, and the options that stand behind it.

    Raises:
        UnknownNameError: there is none; the nearest one is suggested.
        UsageError: options for one that takes none.
        PluginError: an installed package gives what is no executor.
    """
    info, options = EXECUTORS.find(text)
    if options and not info.options:
        raise UsageError(
            f"the executor {info.name} takes no options, got {options!r}; leave them out"
        )
    return info, options


def all_executors() -> Iterable[ExecutorInfo]:
    """All executors, those of installed packages too.

    Raises:
        PluginError: an installed package gives what is no executor.
    """
    return EXECUTORS.all()
