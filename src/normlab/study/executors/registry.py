"""The table of executors: each `EXECUTOR` of this folder's modules, and those of packages."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from pathlib import Path

from normlab.errors import UnknownNameError, UsageError
from normlab.plugins import register_group
from normlab.study.executors.base import ExecutorInfo

_registered: dict[str, ExecutorInfo] = {}


def find_executor(text: str) -> tuple[ExecutorInfo, str]:
    """An executor by its name, and the options that stand behind it.

    Raises:
        UnknownNameError: there is none; the nearest one is suggested.
        UsageError: options for one that takes none.
        PluginError: an installed package gives what is no executor.
    """
    name, _, options = text.partition(":")
    _load_own()
    if name not in _registered:  # packages are looked at for names that are not ours alone
        all_executors()
    if name not in _registered:
        raise UnknownNameError("executor", name, _registered)
    info = _registered[name]
    if options and not info.options:
        raise UsageError(f"the executor {name} takes no options, got {options!r}; leave them out")
    return info, options


def all_executors() -> Iterable[ExecutorInfo]:
    """All executors, those of installed packages too.

    Raises:
        PluginError: an installed package gives what is no executor.
    """
    _load_own()
    register_group("normlab.executors", ExecutorInfo, _register_once)
    return _registered.values()


def _load_own() -> None:
    for found in pkgutil.iter_modules([str(Path(__file__).parent)]):
        module = importlib.import_module(f"{__package__}.{found.name}")
        if hasattr(module, "EXECUTOR"):
            _register_once(found.name, module.EXECUTOR)


def _register_once(name: str, info: ExecutorInfo) -> None:
    if _registered.get(info.name) is not info:
        _register(info)


def _register(info: ExecutorInfo) -> None:
    if info.name in _registered:
        raise UsageError(f"there is an executor {info.name!r} already; choose another name")
    if not info.name or ":" in info.name:
        raise UsageError(f"the name of an executor has no colon, got {info.name!r}")
    _registered[info.name] = info
