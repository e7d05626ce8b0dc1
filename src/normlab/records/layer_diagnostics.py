"""What went on inside the network at the end of an epoch, in a file of its own per run."""

from __future__ import annotations

from pydantic import Field

from normlab.records.run import Frozen

PERCENTILES = (1, 20, 80, 99)
"""The quantiles of the penultimate features that are kept, as the course asks."""


class LayerDiagnosticsRow(Frozen):
    """Columns over the network's layers, a convolution and its norm each, in forward order.

    Numbers have four digits. A value is None where the layer has no such thing: running statistics,
    a gate, an activation, a convolution right before it.
    """

    epoch: int = Field(ge=1)
    features: tuple[float, float, float, float]
    """PERCENTILES of the penultimate features over the validation part, in evaluation mode."""
    layers: tuple[str, ...]
    """Name of the norm's module, e.g. "stages.0.1.norm2"."""
    gradient: tuple[float | None, ...]
    """Root mean square of the gradient of the convolution's weights, of the last batch."""
    weight: tuple[float | None, ...]
    """Root mean square of the convolution's weights."""
    dead: tuple[float | None, ...]
    """Share of the channels whose ReLU is 0 for every pixel of the validation part."""
    mean_gap: tuple[float | None, ...]
    """Mean over channels of |μ − running μ|/√(running v + ε), μ that of the validation part."""
    scale_gap: tuple[float | None, ...]
    """Mean over channels of |½·ln((v + ε)/(running v + ε))|, v that of the validation part."""
    gate: tuple[tuple[float, float, float] | None, ...]
    """Gates of batch-instance norms: 10th percentile, mean and 90th percentile over channels."""
