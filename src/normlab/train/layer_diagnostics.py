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

from normlab.networks.view import NetworkView
from normlab.norms.functional import planes, rules
from normlab.norms.functional.layout import as_planes
from normlab.norms.layers.batch_instance import BatchInstanceNorm2d
from normlab.norms.surgery.recognize import layout_of
from normlab.records.layer_diagnostics import PERCENTILES, LayerDiagnosticsRow

MAX_FEATURES = 4_000_000
"""The most values of a network's penultimate features that are kept, of evenly spaced images."""


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
    """Reads what goes on at the norms of a network and before its head, an epoch at a time."""

    def __init__(self, view: NetworkView, images: int) -> None:
        """`images` is the size of the part that the network is observed on."""
        self._sites = {site.name: site for site in view.norm_sites}
        self._head = view.head
        width = view.head.features if view.head is not None else 0
        self._stride = max(1, math.ceil(images * width / MAX_FEATURES))
        self._forget()

    def _forget(self) -> None:
        self._features: list[Tensor] = []
        self._inputs = {
            name: Moments()
            for name, site in self._sites.items()
            if running_statistics(site.module) is not None
        }
        self._alive: dict[str, Tensor] = {}

    @contextmanager
    def observing(self) -> Iterator[None]:
        """Everything that is sent through the network inside is read, and what was before lost."""
        self._forget()
        handles = []
        if self._head is not None:
            handles.append(self._head.module.register_forward_pre_hook(self._see_features))
        for name, site in self._sites.items():

            def see(
                _: nn.Module,
                args: tuple[Any, ...],
                options: dict[str, Any],
                y: Tensor,
                name: str = name,
            ) -> None:
                self._see_norm(name, args[0], options.get("activation", "none"), y)

            handles.append(site.module.register_forward_hook(see, with_kwargs=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _see_features(self, _: nn.Module, args: tuple[Any, ...]) -> None:
        self._features.append(args[0][:: self._stride].detach().float().flatten())

    def _see_norm(self, name: str, x: Tensor, activation: str, y: Tensor) -> None:
        layout = layout_of(self._sites[name].module)
        x, y = as_planes(x, layout), as_planes(y, layout)
        if name in self._inputs:
            self._inputs[name].add(x.detach())
        if activation == "relu" or self._sites[name].before_relu:
            # a ReLU's outputs are not negative, so that a mean above 0 is a channel that lives
            after = y.detach() if activation == "relu" else y.detach().clamp(min=0)
            alive = (planes.statistics(after)[0] > 0).any(0)
            self._alive[name] = alive | self._alive.get(name, alive)

    @torch.no_grad()
    def row(self, epoch: int) -> LayerDiagnosticsRow:
        """What was seen last, with the gradients and weights as they are now."""
        features = torch.cat(self._features) if self._features else torch.zeros(1)
        at = torch.tensor([p / 100 for p in PERCENTILES], device=features.device)
        gaps = {name: self._gap(name, moments) for name, moments in self._inputs.items()}
        first, second, third, fourth = (_digits(v) for v in percentiles(features, at).tolist())
        weights = [_weight(site.convolution) for site in self._sites.values()]
        return LayerDiagnosticsRow(
            epoch=epoch,
            features=(first, second, third, fourth),
            layers=tuple(self._sites),
            gradient=tuple(_rms(w.grad if w is not None else None) for w in weights),
            weight=tuple(_rms(w) for w in weights),
            dead=tuple(self._dead(name) for name in self._sites),
            mean_gap=tuple(gaps[name][0] if name in gaps else None for name in self._sites),
            scale_gap=tuple(gaps[name][1] if name in gaps else None for name in self._sites),
            gate=tuple(_gate(site.module) for site in self._sites.values()),
        )

    def _gap(self, name: str, moments: Moments) -> tuple[float, float]:
        norm = self._sites[name].module
        running = running_statistics(norm)
        assert running is not None
        running_mean, running_variance = (s.double() for s in running)
        # A norm that keeps running statistics of some channels has them of the last ones.
        assert isinstance(moments.mean, Tensor)
        assert isinstance(moments.variance, Tensor)
        channels = len(running_mean)
        mean, variance = moments.mean[-channels:], moments.variance[-channels:]
        eps = float(getattr(norm, "eps", 0.0))
        scale = running_variance + eps
        by_mean = ((mean - running_mean).abs() / scale.sqrt()).mean()
        by_scale = (((variance + eps) / scale).log() / 2).abs().mean()
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


def running_statistics(norm: nn.Module) -> tuple[Tensor, Tensor] | None:
    """The running mean and variance of a norm of any library, or None where it keeps none."""
    mean, variance = (getattr(norm, name, None) for name in ("running_mean", "running_var"))
    if not isinstance(mean, Tensor) or not isinstance(variance, Tensor):
        return None
    return mean, variance


def _weight(convolution: nn.Module | None) -> nn.Parameter | None:
    weight = getattr(convolution, "weight", None)
    return weight if isinstance(weight, nn.Parameter) else None


def _rms(tensor: Tensor | None) -> float | None:
    return None if tensor is None else _digits(float(tensor.float().square().mean().sqrt()))


def _gate(norm: nn.Module) -> tuple[float, float, float] | None:
    if not isinstance(norm, BatchInstanceNorm2d):
        return None
    gate = norm.blend.detach().float()
    low, high = percentiles(gate, torch.tensor([0.1, 0.9], device=gate.device)).tolist()
    return _digits(low), _digits(float(gate.mean())), _digits(high)


def _digits(value: float) -> float:
    return float(f"{value:.4g}")
