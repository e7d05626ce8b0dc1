"""The two arms against which normalizations are measured: none at all, and the framework's own."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from normlab.norms.base import RunningNormalization, check_fused
from normlab.norms.functional.planes import Activation, activate

Images = Float[Tensor, "n c h w"]


class NoNorm2d(nn.Module):
    """No normalization: y = act(x + residual). No parameters; not a Normalization."""

    def forward(
        self, x: Images, residual: Images | None = None, activation: Activation = "none"
    ) -> Images:
        """act(x + residual), in plain operations."""
        check_fused(x, residual, activation)
        return activate(x if residual is None else x + residual, activation)


class TorchBatchNorm2d(RunningNormalization):
    """The framework's batch normalization, called as the other arms are: the sanity check of bn.

    It calls torch's functional form rather than subclass torch.nn.BatchNorm2d, which a SyncBN
    conversion would replace without its residual and activation.
    """

    pools_over_ranks = False

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """As torch.nn.BatchNorm2d."""
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)

    def forward(
        self, x: Images, residual: Images | None = None, activation: Activation = "none"
    ) -> Images:
        """torch.nn.functional.batch_norm, then + residual, then the activation."""
        self.check(x, residual, activation)
        by_batch = not self.uses_running
        if by_batch:
            count = x.shape[0] * x.shape[2] * x.shape[3]
            self.check_count(count, "use a larger batch or image")
        weight = self.momentum
        if self.training and self.track_running_stats:
            assert self.num_batches_tracked is not None
            self.num_batches_tracked.add_(1)
            if weight is None:
                weight = 1.0 / float(self.num_batches_tracked)
        z = functional.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=by_batch,
            momentum=0.0 if weight is None else weight,
            eps=self.eps,
        )
        return activate(z if residual is None else z + residual, activation)


class SkipInit2d(nn.Module):
    """The end of a residual branch without normalization: y = act(α·x + residual), α = 0 at first.

    SkipInit (De & Smith 2020, section 3): the block starts as the identity, as batch normalization
    makes it nearly one.
    """

    def __init__(self) -> None:
        """α = 0."""
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(
        self, x: Images, residual: Images | None = None, activation: Activation = "none"
    ) -> Images:
        """act(α·x + residual)."""
        check_fused(x, residual, activation)
        z = self.alpha.to(x.dtype) * x
        return activate(z if residual is None else z + residual, activation)


class FixupBias2d(nn.Module):
    """Within a branch of Fixup (Zhang et al. 2019, section 4): y = act(x + b) + b', numbers."""

    def __init__(self) -> None:
        """b = b' = 0."""
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))
        self.next_bias = nn.Parameter(torch.zeros(1))

    def forward(
        self, x: Images, residual: Images | None = None, activation: Activation = "none"
    ) -> Images:
        """act(x + b + residual) + b'."""
        check_fused(x, residual, activation)
        z = x + self.bias.to(x.dtype)
        z = activate(z if residual is None else z + residual, activation)
        return z + self.next_bias.to(x.dtype)


class FixupScale2d(nn.Module):
    """The end of a branch of Fixup (Zhang et al. 2019, section 4): y = act(s·x + b + residual).

    The network's initialization does the rest: see normlab.networks.resnet.initialization.
    """

    def __init__(self) -> None:
        """s = 1, b = 0."""
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(
        self, x: Images, residual: Images | None = None, activation: Activation = "none"
    ) -> Images:
        """act(s·x + b + residual)."""
        check_fused(x, residual, activation)
        z = self.scale.to(x.dtype) * x + self.bias.to(x.dtype)
        return activate(z if residual is None else z + residual, activation)
