"""Batch-instance normalization, a learned blend of the two."""

from __future__ import annotations

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from normlab.errors import UsageError
from normlab.norms.base import Images, RunningNormalization
from normlab.norms.functional import rules
from normlab.norms.functional.activation import Activation
from normlab.norms.functional.interval import into_unit_interval
from normlab.norms.layers.apply import normalize_over_batch


class BatchInstanceNorm2d(RunningNormalization):
    """Batch-instance normalization (Nam & Kim 2018, equation 3), a learned blend per channel.

    y = γ·(ρ·x̂_batch + (1 − ρ)·x̂_instance) + β with the gate ρ of shape (C,) in [0, 1].
    The paper's recipe: ρ starts at 1, learns ten times as fast as the rest without weight decay
    (see `parameter_groups`), and is clipped to [0, 1] after every optimizer step (`clamp_gates`).
    Where nobody clips it, the forward does (`blend`); a gate that left the interval in a training
    loop without `clamp_gates` is loaded as it is, and computes as at the interval's end.

    Args:
        num_features: C.
        eps: ε.
        momentum: the weight of the new batch in the running statistics; None for the average over
            all batches.
        affine: whether there are γ = 1 and β = 0.
        track_running_stats: whether there are running statistics, for evaluation.
        gate: where ρ starts, in [0, 1].
        device: of the parameters and buffers.
        dtype: of the parameters and buffers.

    Shape:
        (N, C, H, W) → (N, C, H, W); γ, β, ρ and the running statistics (C,).

    Raises:
        UsageError: the gate starts outside of [0, 1]; in training, one value per channel.

    >>> norm = BatchInstanceNorm2d(8)
    >>> norm(torch.randn(4, 8, 6, 6), activation="relu").shape
    torch.Size([4, 8, 6, 6])
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
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)
        if not 0 <= gate <= 1:
            raise UsageError(f"the gate blends batch (1) and instance (0); {gate} is not in [0, 1]")
        self.initial_gate = gate
        self.gate = nn.Parameter(torch.full((num_features,), gate, device=device, dtype=dtype))

    @property
    def blend(self) -> Float[Tensor, " c"]:
        """The gate ρ that the layer computes with, in [0, 1]; see `into_unit_interval`."""
        return into_unit_interval(self.gate)

    def normalize(self, x: Images, residual: Images | None, activation: Activation) -> Images:
        """See `Normalization.normalize`."""
        running = self.running_for(x) if self.uses_running else None
        rule = partial(rules.batch_instance, eps=self.eps, running=running)
        parameters = (self.weight, self.bias, self.blend)
        return normalize_over_batch(
            self, x, rule, parameters, residual, activation, groups=x.shape[1]
        )

    def reset_parameters(self) -> None:
        """Set γ to 1, β to 0, ρ to where it started, and forget the running statistics."""
        super().reset_parameters()
        nn.init.constant_(self.gate, self.initial_gate)

    def extra_repr(self) -> str:
        """The layer's arguments, as torch prints them."""
        return f"{super().extra_repr()}, gate={self.initial_gate}"
