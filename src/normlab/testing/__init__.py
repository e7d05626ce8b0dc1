"""Contracts that parts of your own can be tested against: subclass one and let pytest find it.

NormContract        a normalization layer; see normlab.testing.norm_contract
NetworkContract     a network's factory; see normlab.testing.network_contract
ExecutorContract    an executor of studies; see normlab.testing.executor_contract
TrackerContract     where studies are sent to; see normlab.testing.tracker_contract
"""

import importlib
from typing import TYPE_CHECKING, Any

from normlab.testing.network_contract import NetworkContract
from normlab.testing.norm_contract import (
    MEMORY_FORMATS,
    TOLERANCES,
    NormContract,
    assert_close,
    relative_error,
)

if TYPE_CHECKING:
    from normlab.testing.executor_contract import ExecutorContract as ExecutorContract
    from normlab.testing.tracker_contract import TrackerContract as TrackerContract

__all__ = [
    "MEMORY_FORMATS",
    "TOLERANCES",
    "ExecutorContract",
    "NetworkContract",
    "NormContract",
    "TrackerContract",
    "assert_close",
    "relative_error",
]


_ON_DEMAND = {"ExecutorContract": "executor_contract", "TrackerContract": "tracker_contract"}


def __getattr__(name: str) -> Any:
    """Import a contract that needs much, as all that trains, only where it is used."""
    if name not in _ON_DEMAND:
        raise AttributeError(f"module 'normlab.testing' has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_ON_DEMAND[name]}"), name)
