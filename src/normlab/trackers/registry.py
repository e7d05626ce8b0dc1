"""The table of trackers: each `TRACKER` of this folder's modules, and those of packages."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from normlab.errors import MissingExtraError, UnknownNameError, UsageError
from normlab.plugins import register_group
from normlab.trackers.base import TrackerInfo

_registered: dict[str, TrackerInfo] = {}


def find_tracker(text: str) -> tuple[TrackerInfo, str]:
    """A tracker by its name, and the options that stand behind it; nothing of it is imported.

    Raises:
        UnknownNameError: there is none; the nearest one is suggested.
        UsageError: options that it cannot have.
        MissingExtraError: its library is not installed.
        PluginError: an installed package gives what is no tracker.
    """
    name, _, options = text.partition(":")
    _load_own()
    if name not in _registered:
        all_trackers()
    if name not in _registered:
        raise UnknownNameError("tracker", name, _registered)
    info = _registered[name]
    info.check(options)
    for module in info.modules:
        if find_spec(module) is None:
            raise MissingExtraError(module, info.extra)
    return info, options


def all_trackers() -> Iterable[TrackerInfo]:
    """All trackers, those of installed packages too.

    Raises:
        PluginError: an installed package gives what is no tracker.
    """
    _load_own()
    register_group("normlab.trackers", TrackerInfo, _register_once)
    return _registered.values()


def _load_own() -> None:
    for found in pkgutil.iter_modules([str(Path(__file__).parent)]):
        module = importlib.import_module(f"{__package__}.{found.name}")
        if hasattr(module, "TRACKER"):
            _register_once(found.name, module.TRACKER)


def _register_once(name: str, info: TrackerInfo) -> None:
    known = _registered.get(info.name)
    if known is info:
        return
    if known is not None:
        raise UsageError(f"there is a tracker {info.name!r} already; choose another name")
    if not info.name or ":" in info.name:
        raise UsageError(f"the name of a tracker has no colon, got {info.name!r}")
    _registered[info.name] = info
