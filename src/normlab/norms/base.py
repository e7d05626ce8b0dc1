"""What all normalization layers share: the call, the check of the input, running statistics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from normlab.errors import UsageError
from normlab.norms.functional.activation import ACTIVATIONS, Activation
from normlab.norms.functional.layout import Layout, as_planes, from_planes
from normlab.norms.functional.planes import statistics_dtype
from normlab.norms.fused.arguments import RunningStatistics

Images = Float[Tensor, "n c h w"]


class Normalization(nn.Module, ABC):
    """A normalization of (N, C, H, W) tensors with one scale γ and one shift β per channel.

    Called as `norm(x, residual=None, activation="none")` it returns act(normalized x + residual):
    the addition and the activation are part of the sweep that writes y.

    Args:
        channels: C.
        eps: ε, added to the variance under the root.
        affine: whether there are γ = 1 and β = 0, each of shape (C,).
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        UsageError: ε is negative or not finite.
    """

    weight: nn.Parameter | None
    bias: nn.Parameter | None
    layout: Layout = "nchw"
    """Which tensors it takes; of a layer that took another's place, those that the other took."""

    def __init__(
        self,
        channels: int,
        eps: float,
        affine: bool,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        nn.Module.__init__(self)  # not that of torch's batch norm, which some layers are too
        if not 0 <= eps < float("inf"):
            raise UsageError(
                f"eps is added to a variance, so {eps} cannot be used; the usual is 1e-5"
            )
        self.eps = eps
        self.affine = affine
        if affine:
            self.weight = nn.Parameter(torch.ones(channels, device=device, dtype=dtype))
            self.bias = nn.Parameter(torch.zeros(channels, device=device, dtype=dtype))
        else:
            self.register_parameter("weight", None)
            self.register_parameter("bias", None)

    def forward(
        self,
        x: Images,
        residual: Images | None = None,
        activation: Activation = "none",
    ) -> Images:
        """Normalize, add the residual, apply the activation.

        Args:
            x: (N, C, H, W), any floating dtype, NCHW or channels_last; of another `layout` (which
                `convert_norms` sets) the axes that it says.
            residual: of the shape of x, added to the normalized x.
            activation: "none", "relu", "leaky_relu" (slope 0.01) or "silu".

        Returns:
            act(normalized x + residual) with the shape, dtype and memory format of x.

        Raises:
            UsageError: x has another shape, dtype or device than the layer was made for, or too
                few values for a statistic in training.
        """
        if self.layout == "nchw":
            self.check(x, residual, activation)
            return self.normalize(x, residual, activation)
        if x.dim() < 2:
            raise UsageError(
                f"{type(self).__name__} takes (N, C, …) or (N, …, C), got shape {tuple(x.shape)}"
            )
        check_residual_and_activation(x, residual, activation)
        planes = as_planes(x, self.layout)
        added = None if residual is None else as_planes(residual, self.layout)
        self.check(planes, added, activation)
        return from_planes(self.normalize(planes, added, activation), x, self.layout)

    @abstractmethod
    def normalize(self, x: Images, residual: Images | None, activation: Activation) -> Images:
        """The same for planes (N, C, H, W) that were checked already."""

    @property
    @abstractmethod
    def channels(self) -> int:
        """The number of channels C, which x must have."""

    def reset_parameters(self) -> None:
        """Set γ to 1 and β to 0."""
        if self.affine:
            assert self.weight is not None
            assert self.bias is not None
            nn.init.ones_(self.weight)
            nn.init.zeros_(self.bias)

    def check(self, x: Tensor, residual: Tensor | None, activation: str) -> None:
        """Refuse an input that the layer was not made for.

        Args:
            x: the input.
            residual: what is added, if anything.
            activation: what follows.

        Raises:
            UsageError: names the rule, the value and the remedy.
        """
        name = type(self).__name__
        if x.dim() != 4:
            raise UsageError(f"{name} takes (N, C, H, W), got shape {tuple(x.shape)}; add the axes")
        if x.shape[1] != self.channels:
            raise UsageError(
                f"{name} was made for {self.channels} channels, got {x.shape[1]}; "
                f"make it with {x.shape[1]}"
            )
        if x.shape[2] == 0 or x.shape[3] == 0:
            raise UsageError(
                f"{name} takes maps of at least 1×1, got {x.shape[2]}×{x.shape[3]}; "
                "use a larger image or less pooling"
            )
        if not x.is_floating_point():
            raise UsageError(f"{name} takes floating point, got {x.dtype}; convert with x.float()")
        own = self.weight if self.weight is not None else self._buffers.get("running_mean")
        if own is not None and own.device != x.device:
            raise UsageError(
                f"{name} is on {own.device}, got x on {x.device}; move one with .to(device)"
            )
        check_residual_and_activation(x, residual, activation)

    def check_count(self, values: int, remedy: str) -> None:
        """Refuse one value per statistic in training: it has no variance, and y is constant.

        Args:
            values: how many values each statistic is taken from.
            remedy: the end of the error's sentence.

        Raises:
            UsageError: `values` is 1 in training.
        """
        if values == 1 and self.training:
            raise UsageError(
                f"{type(self).__name__} needs more than 1 value per statistic in training, got 1; "
                f"{remedy}"
            )


def check_residual_and_activation(x: Tensor, residual: Tensor | None, activation: str) -> None:
    """Refuse a residual or an activation that cannot be applied with x.

    Raises:
        UsageError: the residual has another shape or device than x, or the activation is unknown.
    """
    if residual is not None and residual.shape != x.shape:
        raise UsageError(
            f"the residual must have the shape of x {tuple(x.shape)}, got "
            f"{tuple(residual.shape)}; project it first"
        )
    if residual is not None and residual.device != x.device:
        raise UsageError(
            f"the residual is on {residual.device}, x on {x.device}; move one with .to(device)"
        )
    if activation not in ACTIVATIONS:
        raise UsageError(f"unknown activation {activation!r}; one of {', '.join(ACTIVATIONS)}")


class ChannelNormalization(Normalization):
    """A normalization without running statistics, whose number of channels is `num_channels`.

    Args:
        num_channels: C.
        eps: ε, added to the variance under the root.
        affine: whether there are γ = 1 and β = 0, each of shape (C,).
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        UsageError: ε is negative or not finite.
    """

    def __init__(
        self,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_channels, eps, affine, device, dtype)
        self.num_channels = num_channels

    @property
    def channels(self) -> int:
        """The number of channels C."""
        return self.num_channels


class RunningNormalization(Normalization):
    """A normalization that keeps exponential averages of its statistics for evaluation.

    running ← (1 − momentum)·running + momentum·batch, with the *unbiased* batch variance, as torch
    does; momentum None gives the plain average over all batches so far.

    Args:
        num_features: C.
        eps: ε, added to the variance under the root.
        momentum: the weight of the new batch, in [0, 1]; None for the average over all.
        affine: whether there are γ = 1 and β = 0, each of shape (C,).
        track_running_stats: whether there are running statistics (mean 0, variance 1, count 0).
        device: of the parameters and buffers.
        dtype: of the parameters and the running mean and variance.

    Raises:
        UsageError: ε is negative or not finite, or the momentum is outside of [0, 1].
    """

    _version = 2  # of the state, as torch.nn.BatchNorm2d counts
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None
    pools_over_ranks = True
    """Whether `synchronize` can make it one norm over many processes."""
    needs_running = False
    """Whether it cannot do without running statistics, in training either."""
    synchronized = False
    """Whether training pools the batch's statistics over ranks; see training/synchronize.py."""
    process_group: Any = None
    """The ranks that share the batch; None: all."""

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__(num_features, eps, affine, device, dtype)
        if momentum is not None and not 0 <= momentum <= 1:
            raise UsageError(
                f"momentum is the weight of the new batch, and {momentum} is not in [0, 1]"
            )
        self.num_features = num_features
        self.momentum = momentum
        self.track_running_stats = track_running_stats
        mean = var = count = None
        if track_running_stats:
            mean = torch.zeros(num_features, device=device, dtype=dtype)
            var = torch.ones(num_features, device=device, dtype=dtype)
            count = torch.tensor(0, dtype=torch.long, device=device)
        self.register_buffer("running_mean", mean)
        self.register_buffer("running_var", var)
        self.register_buffer("num_batches_tracked", count)

    @property
    def channels(self) -> int:
        """The number of channels C."""
        return self.num_features

    def reset_parameters(self) -> None:
        """Set γ to 1, β to 0 and the running statistics to those of no batch."""
        super().reset_parameters()
        self.reset_running_stats()

    def _load_from_state_dict(self, state: Any, prefix: str, metadata: Any, *rest: Any) -> None:
        """Load as torch's batch norm does: states of version 1 have no count of batches."""
        count = self.num_batches_tracked
        if count is not None and (metadata.get("version") or 1) < 2:
            start = count if count.device.type != "meta" else torch.tensor(0)
            state.setdefault(f"{prefix}num_batches_tracked", start)
        super()._load_from_state_dict(state, prefix, metadata, *rest)

    @property
    def uses_running(self) -> bool:
        """Whether this call normalizes by the running statistics.

        As in torch it is the statistics that decide: Lightning's BaseFinetuning only stops them by
        `track_running_stats`, and they still serve evaluation.
        """
        return not self.training and self.running_mean is not None

    def running(self) -> tuple[Tensor, Tensor]:
        """The running mean and variance, each (C,)."""
        assert self.running_mean is not None
        assert self.running_var is not None
        return self.running_mean, self.running_var

    def running_for(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The running mean and variance in the dtype of x's statistics, also in a half model."""
        mean, variance = self.running()
        dtype = statistics_dtype(x)
        return mean.to(dtype), variance.to(dtype)

    def running_in_this_call(self) -> RunningStatistics | None:
        """The running statistics that this call moves (training) or normalizes by (evaluation)."""
        if self.running_mean is None:
            return None
        if self.training and (not self.track_running_stats or in_backward()):  # see observe
            return None
        mean, variance = self.running()
        return RunningStatistics(mean, variance, self.num_batches_tracked, self.momentum)

    def reset_running_stats(self) -> None:
        """Forget all batches: mean 0, variance 1, count 0."""
        if self.running_mean is not None:
            mean, var = self.running()
            assert self.num_batches_tracked is not None
            mean.zero_()
            var.fill_(1)
            self.num_batches_tracked.zero_()

    @torch.no_grad()
    def observe(self, mean: Tensor, variance: Tensor, count: int | Tensor | None) -> None:
        """Move the running statistics towards those of a batch.

        Args:
            mean: (C,).
            variance: (C,), the biased one; with count None the unbiased one already.
            count: how many values each statistic was taken from.

        A forward within a backward is activation checkpointing computing the same batch again; it
        counts once (torch's own batch norm counts it twice).
        """
        if not self.training or self.running_mean is None:
            return
        if not self.track_running_stats or in_backward():
            return
        if isinstance(count, int) and count == 0:
            return
        running_mean, running_var = self.running()
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        weight: Any = self.momentum
        if weight is None:
            weight = 1.0 / self.num_batches_tracked.to(running_mean.dtype)
        if count is not None:
            others = max(count - 1, 1) if isinstance(count, int) else (count - 1).clamp(min=1)
            variance = variance * (count / others)
        running_mean.lerp_(mean.to(running_mean.dtype), weight)
        running_var.lerp_(variance.to(running_var.dtype), weight)

    def extra_repr(self) -> str:
        """The layer's arguments, as torch prints them."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


def in_backward() -> bool:
    """Whether autograd is running a backward right now; compiled code is never asked."""
    return not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1
