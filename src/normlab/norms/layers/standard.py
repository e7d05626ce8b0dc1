"""The normalization layers: parameters and buffers around the rules of rules.py.

Argument names and state_dict names are torch's where torch has the layer, so that the layers drop
in and load torch's weights. All share ε = 1e-5 and one γ and one β per channel.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from normlab.errors import UsageError
from normlab.norms.base import Normalization, RunningNormalization
from normlab.norms.functional import rules
from normlab.norms.functional.engine import plane_norm
from normlab.norms.functional.planes import Activation, activate
from normlab.norms.fused.dispatch import by_batch, by_group
from normlab.norms.training.synchronize import average_over_ranks

Images = Float[Tensor, "n c h w"]


class BatchNorm2d(RunningNormalization):
    """Batch normalization over N, H, W per channel (Ioffe & Szegedy 2015, algorithms 1 and 2).

    y = γ·(x − μ_c)/√(v_c + ε) + β; in evaluation μ_c and v_c are the running statistics.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        frozen: bool = False,
    ) -> None:
        """As torch.nn.BatchNorm2d; `frozen` normalizes by the running statistics in training too.

        Frozen running statistics are those of a loaded state (mean 0 and variance 1 without one),
        and γ and β are still trained: set their requires_grad for more.
        """
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)
        if frozen and not track_running_stats:
            raise UsageError("a frozen batch norm needs running statistics; leave them tracked")
        self.frozen = self.needs_running = frozen

    def forward(
        self, x: Images, residual: Images | None = None, activation: Activation = "none"
    ) -> Images:
        """Raises UsageError for a wrong shape, or one value per channel in training."""
        self.check(x, residual, activation)
        if self.uses_running or self.frozen:
            return self.normalize_by_running(x, residual, activation)
        rule = partial(rules.batch, eps=self.eps)
        return by_batch(self, x, rule, (self.weight, self.bias), residual, activation, groups=0)


class InstanceNorm2d(RunningNormalization):
    """Instance normalization over H, W per sample and channel (Ulyanov et al. 2017, equation 4).

    y = γ·(x − μ_nc)/√(v_nc + ε) + β. As in torch the affine part is off by default, and running
    statistics, where tracked, are averages over the batch and replace the instance's own in
    evaluation.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """As torch.nn.InstanceNorm2d."""
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)

    def forward(
        self, x: Images, residual: Images | None = None, activation: Activation = "none"
    ) -> Images:
        """Raises UsageError for a wrong shape, or one value per plane in training."""
        self.check(x, residual, activation)
        if self.uses_running:
            return self.normalize_by_running(x, residual, activation)
        count = x.shape[2] * x.shape[3]
        self.check_count(count, "use a larger image")
        rule = partial(rules.instance, eps=self.eps)
        if not self.track_running_stats:
            return by_group(self, x, x.shape[1], rule, residual, activation)
        y, mean, variance = plane_norm(x, rule, (self.weight, self.bias), residual, activation)
        if self.synchronized and self.training:
            sums = torch.stack([mean.sum(0), variance.sum(0)])
            (mean, variance), samples = average_over_ranks(sums, x.shape[0], self.process_group)
            if samples:
                self.observe(mean / samples, variance / samples, count)
        elif x.shape[0] > 0:
            self.observe(mean.mean(0), variance.mean(0), count)
        return y


class BatchInstanceNorm2d(RunningNormalization):
    """Batch-instance normalization (Nam & Kim 2018, equation 3), a learned blend per channel.

    y = γ·(ρ·x̂_batch + (1 − ρ)·x̂_instance) + β with the gate ρ of shape (C,) in [0, 1].
    The paper's recipe: ρ starts at 1, learns ten times as fast as the rest without weight decay
    (see `parameter_groups`), and is clipped to [0, 1] after every optimizer step (`clamp_gates`).
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        gate: float = 1.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """As BatchNorm2d; `gate` is where ρ starts, in [0, 1]."""
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)
        if not 0 <= gate <= 1:
            raise UsageError(f"the gate blends batch (1) and instance (0); {gate} is not in [0, 1]")
        self.initial_gate = gate
        self.gate = nn.Parameter(torch.full((num_features,), gate, device=device, dtype=dtype))

    def forward(
        self, x: Images, residual: Images | None = None, activation: Activation = "none"
    ) -> Images:
        """Raises UsageError for a wrong shape, or one value per channel in training."""
        self.check(x, residual, activation)
        running = self.running_for(x) if self.uses_running else None
        rule = partial(rules.batch_instance, eps=self.eps, running=running)
        parameters = (self.weight, self.bias, self.gate)
        return by_batch(self, x, rule, parameters, residual, activation, groups=x.shape[1])

    def reset_parameters(self) -> None:
        """γ = 1, β = 0, ρ as at the start."""
        super().reset_parameters()
        nn.init.constant_(self.gate, self.initial_gate)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Refuse gates that are no blend; raises UsageError."""
        gate = state_dict.get(f"{prefix}gate")
        if gate is not None and not gate.is_meta and not ((gate >= 0) & (gate <= 1)).all():
            outside = gate[~((gate >= 0) & (gate <= 1))].tolist()
            some = ", ".join(f"{value:g}" for value in outside[:3]) + ", …" * (len(outside) > 3)
            raise UsageError(
                f"{prefix}gate blends batch (1) and instance (0), so {some} cannot be used; "
                "call normlab.clamp_gates(model) before saving, or clamp it to [0, 1]"
            )
        super()._load_from_state_dict(state_dict, prefix, *args)

    def extra_repr(self) -> str:
        """The arguments, as torch prints them."""
        return f"{super().extra_repr()}, gate={self.initial_gate}"


class LayerNorm2d(Normalization):
    """Layer normalization over C, H, W per sample (Ba et al. 2016, equation 4).

    y = γ·(x − μ_n)/√(v_n + ε) + β with γ, β of shape (C,): the same as group normalization with
    one group, and unlike torch.nn.LayerNorm independent of the image's size.
    """

    def __init__(
        self,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """As torch.nn.GroupNorm without the number of groups."""
        super().__init__(num_channels, eps, affine, device, dtype)
        self.num_channels = num_channels

    @property
    def channels(self) -> int:
        """The number of channels C."""
        return self.num_channels

    def forward(
        self, x: Images, residual: Images | None = None, activation: Activation = "none"
    ) -> Images:
        """Raises UsageError for a wrong shape, or one value per sample in training."""
        self.check(x, residual, activation)
        self.check_count(x.shape[1] * x.shape[2] * x.shape[3], "use more channels")
        rule = partial(rules.layer, eps=self.eps)
        return by_group(self, x, 1, rule, residual, activation)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"{self.num_channels}, eps={self.eps}, affine={self.affine}"


class GroupNorm2d(Normalization):
    """Group normalization over H, W and the C/G channels of a group (Wu & He 2018, equation 7).

    y = γ·(x − μ_ng)/√(v_ng + ε) + β. One group is LayerNorm2d, C groups are InstanceNorm2d.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """As torch.nn.GroupNorm; raises UsageError where G does not divide C."""
        super().__init__(num_channels, eps, affine, device, dtype)
        if num_groups < 1 or num_channels % num_groups:
            divisors = [str(d) for d in range(1, num_channels + 1) if num_channels % d == 0]
            raise UsageError(
                f"{num_groups} groups do not divide {num_channels} channels; "
                f"choose one of {', '.join(divisors)}"
            )
        self.num_groups = num_groups
        self.num_channels = num_channels

    @property
    def channels(self) -> int:
        """The number of channels C."""
        return self.num_channels

    def forward(
        self, x: Images, residual: Images | None = None, activation: Activation = "none"
    ) -> Images:
        """Raises UsageError for a wrong shape, or one value per group in training."""
        self.check(x, residual, activation)
        values = x.shape[1] // self.num_groups * x.shape[2] * x.shape[3]
        self.check_count(values, "use fewer groups or a larger image")
        rule = partial(rules.group, num_groups=self.num_groups, eps=self.eps)
        return by_group(self, x, self.num_groups, rule, residual, activation)

    def extra_repr(self) -> str:
        """The arguments, as torch prints them."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class ChannelLayerNorm2d(Normalization):
    """Layer normalization over C alone, for every pixel (the form of ConvNeXt, Liu et al. 2022).

    Not one affine map per plane, so it runs through the framework's layer_norm.
    """

    def __init__(
        self,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """As LayerNorm2d."""
        super().__init__(num_channels, eps, affine, device, dtype)
        self.num_channels = num_channels

    @property
    def channels(self) -> int:
        """The number of channels C."""
        return self.num_channels

    def forward(
        self, x: Images, residual: Images | None = None, activation: Activation = "none"
    ) -> Images:
        """Raises UsageError for a wrong shape."""
        self.check(x, residual, activation)
        pixels = x.permute(0, 2, 3, 1)  # free for channels_last
        z = functional.layer_norm(pixels, (self.num_channels,), self.weight, self.bias, self.eps)
        z = z.permute(0, 3, 1, 2)
        y = activate(z if residual is None else z + residual, activation)
        return torch.empty_like(x).copy_(y) if y.stride() != x.stride() else y.to(x.dtype)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"{self.num_channels}, eps={self.eps}, affine={self.affine}"
