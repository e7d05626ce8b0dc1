"""What goes on inside a network while it trains: read off at the end of an epoch, never touched.

Forward hooks ride on the pass over the validation part that every epoch makes anyway; gradients and
weights are read after the epoch's last step. Nothing is written to the network and no random number
is drawn, so the training has the same numbers with and without.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from normlab.networks.resnet.resnet import ResNet
from normlab.norms.base import RunningNormalization
from normlab.norms.functional import planes, rules
from normlab.norms.layers.batch_instance import BatchInstanceNorm2d
from normlab.records.layer_diagnostics import PERCENTILES, LayerDiagnosticsRow

MOST_FEATURES = 4_000_000
"""Of a network's penultimate features so many values are kept at most, of evenly spaced images."""


@dataclass(eq=False)
class Moments:
    """Mean and biased variance of every channel over batches, merged as they come (Chan 1979)."""

    count: int = 0
    mean: Float[Tensor, " c"] | float = 0.0
    variance: Float[Tensor, " c"] | float = 0.0

    def add(self, x: Float[Tensor, "n c h w"]) -> None:
        """Merge a batch, in float64."""
        if not len(x):
            return
        mean, variance = (s.double() for s in planes.statistics(x))
        mean, variance = (s[0] for s in rules.over_batch(mean, variance))
        count = x.numel() // x.shape[1]
        share = count / (self.count + count)
        step = mean - self.mean
        self.mean = self.mean + share * step
        spread = share * (1 - share) * step.square()
        self.variance = (1 - share) * self.variance + share * variance + spread
        self.count += count


class LayerDiagnostics:
    """Reads a residual network's inner figures, an epoch at a time."""

    def __init__(self, network: ResNet, images: int) -> None:
        """`images` is the size of the part that the network is watched on."""
        self._network = network
        self._norms = {
            name: module
            for name, module in network.named_modules()
            if name.rpartition(".")[2] in ("norm", "norm1", "norm2") and _conv_name(name)
        }
        modules = dict(network.named_modules())
        self._convolutions = {name: modules[_conv_name(name)] for name in self._norms}
        width = network.classifier.in_features
        self._stride = max(1, math.ceil(images * width / MOST_FEATURES))
        self._forget()

    def _forget(self) -> None:
        self._features: list[Tensor] = []
        self._inputs = {
            name: Moments()
            for name, norm in self._norms.items()
            if isinstance(norm, RunningNormalization) and norm.track_running_stats
        }
        self._alive: dict[str, Tensor] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Everything that is sent through the network inside is read, and what was before lost."""
        self._forget()
        handles = [self._network.classifier.register_forward_pre_hook(self._see_features)]
        for name, norm in self._norms.items():

            def see(
                _: nn.Module,
                args: tuple[Any, ...],
                options: dict[str, Any],
                y: Tensor,
                name: str = name,
            ) -> None:
                self._see_norm(name, args[0], options.get("activation", "none"), y)

            handles.append(norm.register_forward_hook(see, with_kwargs=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _see_features(self, _: nn.Module, args: tuple[Any, ...]) -> None:
        self._features.append(args[0][:: self._stride].detach().float().flatten())

    def _see_norm(self, name: str, x: Tensor, activation: str, y: Tensor) -> None:
        if name in self._inputs:
            self._inputs[name].add(x.detach())
        if activation == "relu":
            # a ReLU's outputs are not negative, so that a mean above 0 is a channel that lives
            alive = (planes.statistics(y.detach())[0] > 0).any(0)
            self._alive[name] = alive | self._alive.get(name, alive)

    @torch.no_grad()
    def row(self, epoch: int) -> LayerDiagnosticsRow:
        """What was seen last, with the gradients and weights as they are now."""
        features = torch.cat(self._features)
        at = torch.tensor([p / 100 for p in PERCENTILES], device=features.device)
        gaps = {name: self._gap(name, moments) for name, moments in self._inputs.items()}
        first, second, third, fourth = (_digits(v) for v in percentiles(features, at).tolist())
        return LayerDiagnosticsRow(
            epoch=epoch,
            features=(first, second, third, fourth),
            layers=tuple(self._norms),
            gradient=tuple(_rms(c.weight.grad) for c in self._convolutions.values()),
            weight=tuple(_rms(c.weight) or 0.0 for c in self._convolutions.values()),
            dead=tuple(self._dead(name) for name in self._norms),
            mean_gap=tuple(gaps[name][0] if name in gaps else None for name in self._norms),
            scale_gap=tuple(gaps[name][1] if name in gaps else None for name in self._norms),
            gate=tuple(_gate(norm) for norm in self._norms.values()),
        )

    def _gap(self, name: str, moments: Moments) -> tuple[float, float]:
        norm = self._norms[name]
        assert isinstance(norm, RunningNormalization)
        mean, variance = (s.double() for s in norm.running())
        scale = variance + norm.eps
        by_mean = ((moments.mean - mean).abs() / scale.sqrt()).mean()
        by_scale = (((moments.variance + norm.eps) / scale).log() / 2).abs().mean()
        return _digits(float(by_mean)), _digits(float(by_scale))

    def _dead(self, name: str) -> float | None:
        alive = self._alive.get(name)
        return None if alive is None else _digits(1 - float(alive.float().mean()))


def percentiles(
    values: Float[Tensor, " values"], at: Float[Tensor, " shares"]
) -> Float[Tensor, " shares"]:
    """The values below which these shares lie, between two of them by straight lines.

    torch.quantile does the same, and only up to 16 million values.
    """
    ordered = values.sort().values
    place = at * (len(ordered) - 1)
    low = place.long()
    high = (low + 1).clamp(max=len(ordered) - 1)
    return torch.lerp(ordered[low], ordered[high], place - low)


def _conv_name(norm: str) -> str:
    """The convolution that feeds a norm: stages.0.1.norm2 → stages.0.1.conv2."""
    before, _, last = norm.rpartition(".")
    return f"{before}.{last.replace('norm', 'conv')}" if before else ""


def _rms(tensor: Tensor | None) -> float | None:
    return None if tensor is None else _digits(float(tensor.float().square().mean().sqrt()))


def _gate(norm: nn.Module) -> tuple[float, float, float] | None:
    if not isinstance(norm, BatchInstanceNorm2d):
        return None
    gate = norm.gate.detach().float()
    low, high = percentiles(gate, torch.tensor([0.1, 0.9], device=gate.device)).tolist()
    return _digits(low), _digits(float(gate.mean())), _digits(high)


def _digits(value: float) -> float:
    return float(f"{value:.4g}")
