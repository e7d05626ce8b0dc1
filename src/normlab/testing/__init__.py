"""Contracts that parts of your own can be tested against: subclass one and let pytest find it.

NormContract        a normalization layer; see normlab.testing.norm_contract
NetworkContract     a network's factory; see normlab.testing.network_contract
ExecutorContract    an executor of studies; see normlab.testing.executor_contract
"""

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

__all__ = [
    "MEMORY_FORMATS",
    "TOLERANCES",
    "ExecutorContract",
    "NetworkContract",
    "NormContract",
    "assert_close",
    "relative_error",
]


def __getattr__(name: str) -> Any:
    """Import the contract of executors, and with it all that trains, only where it is used."""
    if name != "ExecutorContract":
        raise AttributeError(f"module 'normlab.testing' has no attribute {name!r}")
    from normlab.testing.executor_contract import ExecutorContract

    return ExecutorContract
