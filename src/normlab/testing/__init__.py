"""Contracts that parts of your own can be tested against: subclass one and let pytest find it.

NormContract      a normalization layer; see normlab.testing.norm_contract
NetworkContract   a network's factory; see normlab.testing.network_contract
"""

from normlab.testing.network_contract import NetworkContract
from normlab.testing.norm_contract import (
    MEMORY_FORMATS,
    TOLERANCES,
    NormContract,
    assert_close,
    relative_error,
)

__all__ = [
    "MEMORY_FORMATS",
    "TOLERANCES",
    "NetworkContract",
    "NormContract",
    "assert_close",
    "relative_error",
]
