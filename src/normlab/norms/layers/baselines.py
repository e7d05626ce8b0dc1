"""Baselines to compare with: no normalization, and the framework's own batch normalization."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from normlab.norms.base import Images, RunningNormalization, check_residual_and_activation
from normlab.norms.functional.activation import Activation, activate


class NoNorm2d(nn.Module):
    """No normalization: y = act(x + residual).

    It has no parameters and is not a `Normalization`, but it is called like one.

    >>> NoNorm2d()(torch.tensor([[[[-1.0, 2.0]]]]), activation="relu")
    tensor([[[[0., 2.]]]])
    """

    def forward(
        self, x: Images, residual: Images | None = None, activation: Activation = "none"
    ) -> Images:
        """Add the residual and apply the activation, in plain operations."""
        check_residual_and_activation(x, residual, activation)
        return activate(x if residual is None else x + residual, activation)


class TorchBatchNorm2d(RunningNormalization, nn.BatchNorm2d):  # type: ignore[misc]  # as bn
    """The framework's batch normalization, called like the other layers: the sanity check of bn.

    y = act(torch.nn.functional.batch_norm(x) + residual). It is a torch.nn.BatchNorm2d, so that it
    can be replaced by one that knows neither residual nor activation; call it by `call_norm`.

    Args:
        num_features: C.
        eps: ε.
        momentum: the weight of the new batch in the running statistics; None for the average over
            all batches.
        affine: whether there are γ = 1 and β = 0.
        track_running_stats: whether there are running statistics, for evaluation.
        device: of the parameters and buffers.
        dtype: of the parameters and buffers.

    Shape:
        (N, C, H, W) → (N, C, H, W); γ, β and the running statistics (C,).

    Raises:
        UsageError: in training, one value per channel.

    >>> norm = TorchBatchNorm2d(8)
    >>> norm(torch.randn(4, 8, 6, 6), activation="relu").shape
    torch.Size([4, 8, 6, 6])
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
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)

    def normalize(self, x: Images, residual: Images | None, activation: Activation) -> Images:
        """See `Normalization.normalize`."""
        by_batch = not self.uses_running
        if by_batch:
            count = x.shape[0] * x.shape[2] * x.shape[3]
            self.check_count(count, "use a larger batch or image")
        weight = self.momentum
        moves = self.training and self.track_running_stats and self.running_mean is not None
        if moves:
            assert self.num_batches_tracked is not None
            self.num_batches_tracked.add_(1)
            if weight is None:
                weight = 1.0 / float(self.num_batches_tracked)
        z = functional.batch_norm(
            x,
            self.running_mean if moves or not by_batch else None,
            self.running_var if moves or not by_batch else None,
            self.weight,
            self.bias,
            training=by_batch,
            momentum=0.0 if weight is None else weight,
            eps=self.eps,
        )
        return activate(z if residual is None else z + residual, activation)


class SkipInit2d(nn.Module):
    """The end of a residual branch without normalization: y = act(α·x + residual), α = 0 at first.

    SkipInit (De & Smith 2020, section 3): the block starts as the identity, which batch
    normalization makes it nearly. α is one number.
    """

    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(
        self, x: Images, residual: Images | None = None, activation: Activation = "none"
    ) -> Images:
        """Return act(α·x + residual)."""
        check_residual_and_activation(x, residual, activation)
        z = self.alpha.to(x.dtype) * x
        return activate(z if residual is None else z + residual, activation)


class FixupBias2d(nn.Module):
    """The place of a normalization within a branch of Fixup (Zhang et al. 2019, section 4).

    y = act(x + b + residual) + b', where b and b' are one number each, 0 at first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))
        self.next_bias = nn.Parameter(torch.zeros(1))

    def forward(
        self, x: Images, residual: Images | None = None, activation: Activation = "none"
    ) -> Images:
        """Return act(x + b + residual) + b'."""
        check_residual_and_activation(x, residual, activation)
        z = x + self.bias.to(x.dtype)
        z = activate(z if residual is None else z + residual, activation)
        return z + self.next_bias.to(x.dtype)


class FixupScale2d(nn.Module):
    """The end of a branch of Fixup (Zhang et al. 2019, section 4): y = act(s·x + b + residual).

    s and b are one number each, 1 and 0 at first. The initialization of the network does the rest.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(
        self, x: Images, residual: Images | None = None, activation: Activation = "none"
    ) -> Images:
        """Return act(s·x + b + residual)."""
        check_residual_and_activation(x, residual, activation)
        z = self.scale.to(x.dtype) * x + self.bias.to(x.dtype)
        return activate(z if residual is None else z + residual, activation)
