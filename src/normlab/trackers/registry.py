"""The table of trackers: each `TRACKER` of this folder's modules, and those of packages."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

from normlab.errors import MissingExtraError
from normlab.named import NamedTable
from normlab.trackers.base import TrackerInfo

TRACKERS = NamedTable("tracker", TrackerInfo, "normlab.trackers", "normlab.trackers")


def find_tracker(text: str) -> tuple[TrackerInfo, str]:
    """A tracker by its name, and the options that stand behind it; nothing of it is imported.

    Raises:
        UnknownNameError: there is none; the nearest one is suggested.
        UsageError: options that it cannot have.
        MissingExtraError: its library is not installed.
        PluginError: an installed package gives what is no tracker.
    """
    info, options = TRACKERS.find(text)
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
    return TRACKERS.all()
