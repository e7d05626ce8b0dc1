"""What training must know of norms: parameter groups, ranks, precise statistics."""

from normlab.norms.training.parameters import clamp_gates, parameter_groups
from normlab.norms.training.precise_statistics import PreciseStatistics, precise_statistics
from normlab.norms.training.synchronize import synchronize

__all__ = [
    "PreciseStatistics",
    "clamp_gates",
    "parameter_groups",
    "precise_statistics",
    "synchronize",
]
