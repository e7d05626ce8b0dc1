"""The table of executors: by name, with those of installed packages."""

from __future__ import annotations

from collections.abc import Iterable

from normlab.errors import UnknownNameError, UsageError
from normlab.plugins import register_group
from normlab.study.executors.base import ExecutorInfo
from normlab.study.executors.inline import INLINE
from normlab.study.executors.processes import PROCESSES

EXECUTORS: dict[str, ExecutorInfo] = {info.name: info for info in (INLINE, PROCESSES)}


def register_executor(info: ExecutorInfo) -> None:
    """Add an executor to the table of this process, under its name.

    Raises:
        UsageError: the name is taken or has a colon; what is given is no ExecutorInfo.
    """
    _check_is_info(info)
    if info.name in EXECUTORS:
        raise UsageError(f"there is an executor {info.name!r} already; choose another name")
    if not info.name or ":" in info.name:
        raise UsageError(f"the name of an executor has no colon, got {info.name!r}")
    EXECUTORS[info.name] = info


def find_executor(text: str) -> tuple[ExecutorInfo, str]:
    """An executor by its name, and the options that stand behind it.

    Raises:
        UnknownNameError: there is none; the nearest one is suggested.
        UsageError: options for one that takes none.
        PluginError: an installed package gives what is no executor.
    """
    name, _, options = text.partition(":")
    if name not in EXECUTORS and name not in {info.name for info in all_executors()}:
        raise UnknownNameError("executor", name, EXECUTORS)
    info = EXECUTORS[name]
    if options and not info.options:
        raise UsageError(f"the executor {name} takes no options, got {options!r}; leave them out")
    return info, options


def all_executors() -> Iterable[ExecutorInfo]:
    """All executors, those of installed packages too.

    Raises:
        PluginError: an installed package gives what is no executor.
    """
    register_group("normlab.executors", ExecutorInfo, _register_once)
    return EXECUTORS.values()


def _register_once(name: str, info: ExecutorInfo) -> None:
    if EXECUTORS.get(info.name) is not info:
        register_executor(info)


def _check_is_info(info: object) -> None:
    if not isinstance(info, ExecutorInfo):
        raise UsageError(f"an executor is an ExecutorInfo, got {type(info).__name__}")
