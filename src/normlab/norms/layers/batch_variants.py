"""Norms that take batch statistics in another way than batch normalization."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from normlab.errors import UsageError
from normlab.norms.base import Images, RunningNormalization, in_backward
from normlab.norms.functional import rules
from normlab.norms.functional.activation import Activation
from normlab.norms.functional.engine import Rule, plane_norm
from normlab.norms.functional.planes import statistics_dtype
from normlab.norms.functional.rank_pool import average_over_ranks
from normlab.norms.fused.arguments import Operands, Scheme
from normlab.norms.fused.autograd import fused_norm, serving_backend
from normlab.norms.fused.closed import ClosedRule
from normlab.norms.layers.apply import (
    ONE_VALUE_PER_CHANNEL,
    normalize_by_running,
    normalize_over_batch,
)


@torch.library.custom_op("normlab::snapshot", mutates_args=())
def _snapshot(buffer: Tensor) -> Tensor:
    """A copy for the backward, which comes after the forward has moved the buffer.

    An operator of its own, as compiled code may leave a clone out of the forward and take it in the
    backward (pytorch/pytorch#197039); of an operator that torch does not know it keeps the result.
    """
    if in_backward():
        raise UsageError(
            "batch renormalization cannot be both compiled and checkpointed: its statistics have "
            "moved when the forward is computed again; leave out one of the two"
        )
    return buffer.clone()


@_snapshot.register_fake
def _fake_snapshot(buffer: Tensor) -> Tensor:
    return torch.empty_like(buffer)


class GhostBatchNorm2d(RunningNormalization):
    """Batch normalization of consecutive parts of the batch (Hoffer et al. 2017, algorithm 1).

    The batch of the statistics apart from that of the optimizer: with `virtual_batch` V, samples
    kV … kV+V−1 are normalized together, the last part may be smaller. The running statistics move
    by the mean of the parts' means and unbiased variances, weighted by their sizes. Evaluation is
    that of batch normalization. Over ranks each normalizes its own parts, and the running
    statistics are averaged.

    Args:
        num_features: C.
        virtual_batch: V, at least 1.
        eps: ε.
        momentum: the weight of the new batch in the running statistics; None for the average over
            all batches.
        device: of the parameters and buffers.
        dtype: of the parameters and buffers.

    Shape:
        (N, C, H, W) → (N, C, H, W); γ, β and the running statistics (C,).

    Raises:
        UsageError: V is not positive; in training, a part with one value per channel.

    >>> norm = GhostBatchNorm2d(8, virtual_batch=2)
    >>> norm(torch.randn(4, 8, 6, 6), activation="relu").shape
    torch.Size([4, 8, 6, 6])
    """

    def __init__(
        self,
        num_features: int,
        virtual_batch: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, True, True, device, dtype)
        if virtual_batch < 1:
            raise UsageError(f"a virtual batch has at least 1 sample, got {virtual_batch}")
        self.virtual_batch = virtual_batch

    def normalize(self, x: Images, residual: Images | None, activation: Activation) -> Images:
        """See `Normalization.normalize`."""
        if self.uses_running:
            return normalize_by_running(self, x, residual, activation)
        size, plane = self.virtual_batch, x.shape[2] * x.shape[3]
        last = x.shape[0] % size or min(size, x.shape[0])
        self.check_count(last * plane, "use another batch size or virtual_batch, or a larger image")
        rule = partial(rules.ghost, eps=self.eps, virtual_batch=size)
        parameters = (self.weight, self.bias)
        y, mean, variance = plane_norm(x, rule, parameters, residual, activation)
        self._observe_parts(mean, variance, plane)
        return y

    @torch.no_grad()
    def _observe_parts(self, mean: Tensor, variance: Tensor, plane: int) -> None:
        sizes = [len(part) for part in mean.split(self.virtual_batch)]
        total = mean.new_zeros(2, self.num_features)
        for m, v in zip(
            mean.split(self.virtual_batch), variance.split(self.virtual_batch), strict=True
        ):
            if len(m):
                by_mean, by_variance = rules.over_batch(m, v)
                count = len(m) * plane
                unbiased = by_variance * (count / max(count - 1, 1))
                total += torch.cat([by_mean, unbiased]) * len(m)
        samples = float(sum(sizes))
        if self.synchronized and self.training:
            total, samples = average_over_ranks(total, samples, self.process_group)
        if samples:
            self.observe(total[0] / samples, total[1] / samples, None)

    def extra_repr(self) -> str:
        """The layer's arguments, as torch prints them."""
        return f"{super().extra_repr()}, virtual_batch={self.virtual_batch}"


class BatchRenorm2d(RunningNormalization):
    """Batch renormalization (Ioffe 2017, algorithm 1): training sees nearly what evaluation sees.

    y = γ·(x̂·r + d) + β with r = clip(σ_b/σ, 1/r_max, r_max), d = clip((μ_b − μ)/σ, ±d_max) and the
    running μ, σ; no gradient goes through r and d. The limits grow linearly from 1 and 0 (batch
    normalization) over the first `warmup` batches, as in section 3.2.

    Args:
        num_features: C.
        eps: ε.
        momentum: the weight of the new batch in the running statistics; None for the average over
            all batches.
        r_max: the largest r in the end, at least 1.
        d_max: the largest |d| in the end, at least 0.
        warmup: over how many batches the limits grow.
        device: of the parameters and buffers.
        dtype: of the parameters and buffers.

    Shape:
        (N, C, H, W) → (N, C, H, W); γ, β and the running statistics (C,).

    Raises:
        UsageError: the limits allow nothing; in training, one value per channel.

    >>> norm = BatchRenorm2d(8)
    >>> norm(torch.randn(4, 8, 6, 6), activation="relu").shape
    torch.Size([4, 8, 6, 6])
    """

    needs_running = True

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        r_max: float = 3.0,
        d_max: float = 5.0,
        warmup: int = 1000,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, True, True, device, dtype)
        if r_max < 1 or d_max < 0 or warmup < 0:
            raise UsageError(
                f"batch renormalization needs r_max ≥ 1, d_max ≥ 0 and warmup ≥ 0, got {r_max}, "
                f"{d_max}, {warmup}"
            )
        self.r_max, self.d_max, self.warmup = r_max, d_max, warmup
        self._calls: deque[tuple[Tensor, ...]] = deque(maxlen=16)

    def normalize(self, x: Images, residual: Images | None, activation: Activation) -> Images:
        """See `Normalization.normalize`."""
        if self.uses_running:
            return normalize_by_running(self, x, residual, activation)
        mean, variance, grown = self._state_before_it_moves(x)
        r_max, d_max = 1 + grown * (self.r_max - 1), grown * self.d_max
        plain = partial(
            rules.batch_renorm, running=(mean, variance), r_max=r_max, d_max=d_max, eps=self.eps
        )
        rule = ClosedRule("batch_renorm", plain, self.eps, (r_max, d_max), (mean, variance))
        return normalize_over_batch(self, x, rule, (self.weight, self.bias), residual, activation)

    def _state_before_it_moves(self, x: Images) -> tuple[Tensor, ...]:
        """Copies of the running mean and variance, and of the share of the warm-up that is over.

        Where activation checkpointing computes a forward again, they are those that the forward
        had, which is known by its first values. All are tensors, so that a GPU is not waited for.
        """
        if torch.compiler.is_compiling():
            return self._state(x, _snapshot)
        mark = x.detach()[:1, :, 0, 0].to(statistics_dtype(x)).sum(0)
        if in_backward() and self._calls:
            marks, *states = (torch.stack(values) for values in zip(*self._calls, strict=True))
            which = (marks - mark).abs().sum(1).argmin(0, keepdim=True)
            return tuple(state.index_select(0, which)[0] for state in states)
        state = self._state(x, Tensor.clone)
        if not torch._C._are_functorch_transforms_active():
            self._calls.append((mark, *state))
        return state

    def _state(
        self, x: Images, take_copy: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean, variance = (take_copy(running) for running in self.running_for(x))
        assert self.num_batches_tracked is not None
        batches = take_copy(self.num_batches_tracked).to(mean.dtype)
        grown = (batches / self.warmup).clamp(max=1.0) if self.warmup else mean.new_ones(())
        return mean, variance, grown

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move to another device or dtype; what was kept to compute a forward again is dropped."""
        self._calls.clear()
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call,no-any-return]

    def extra_repr(self) -> str:
        """The layer's arguments, as torch prints them."""
        limits = f"r_max={self.r_max}, d_max={self.d_max}, warmup={self.warmup}"
        return f"{super().extra_repr()}, {limits}"


class SwitchableNorm2d(RunningNormalization):
    """Switchable normalization (Luo et al. 2019, equation 3): the choice of statistics is learned.

    y = γ·(x − m)/√(s² + ε) + β, where m and s² are weighted means of those of instance, layer and
    batch, by the softmax of `mean_weight` and `var_weight`, three numbers each, equal at the start.

    Args:
        num_features: C.
        eps: ε.
        momentum: the weight of the new batch in the running statistics; None for the average over
            all batches.
        device: of the parameters and buffers.
        dtype: of the parameters and buffers.

    Shape:
        (N, C, H, W) → (N, C, H, W); γ, β and the running statistics (C,).

    Raises:
        UsageError: in training, one value per channel.

    >>> norm = SwitchableNorm2d(8)
    >>> norm(torch.randn(4, 8, 6, 6), activation="relu").shape
    torch.Size([4, 8, 6, 6])
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, True, True, device, dtype)
        self.mean_weight = nn.Parameter(torch.ones(3, device=device, dtype=dtype))
        self.var_weight = nn.Parameter(torch.ones(3, device=device, dtype=dtype))

    def normalize(self, x: Images, residual: Images | None, activation: Activation) -> Images:
        """See `Normalization.normalize`."""
        running = self.running_for(x) if self.uses_running else None
        rule: Rule = partial(rules.switchable, eps=self.eps, running=running)
        if running is None:
            rule = ClosedRule("switchable", rule, self.eps)
        parameters = (self.weight, self.bias, self.mean_weight, self.var_weight)
        return normalize_over_batch(self, x, rule, parameters, residual, activation)

    def reset_parameters(self) -> None:
        """Set γ to 1, β to 0, all weights of statistics to the same, and forget the batches."""
        super().reset_parameters()
        nn.init.ones_(self.mean_weight)
        nn.init.ones_(self.var_weight)


class HalfInstanceNorm2d(RunningNormalization):
    """IBN-a (Pan et al. 2018, section 3.2): half of the channels by instance, half by batch.

    The first ⌊C/2⌋ channels are normalized as by InstanceNorm2d and the others as by BatchNorm2d,
    with running statistics for those alone.

    Args:
        num_features: C.
        eps: ε.
        momentum: the weight of the new batch in the running statistics; None for the average over
            all batches.
        device: of the parameters and buffers.
        dtype: of the parameters and buffers.

    Shape:
        (N, C, H, W) → (N, C, H, W); γ, β (C,); running statistics (C − ⌊C/2⌋,).

    Raises:
        UsageError: in training, one value per plane.

    >>> norm = HalfInstanceNorm2d(8)
    >>> norm(torch.randn(4, 8, 6, 6), activation="relu").shape
    torch.Size([4, 8, 6, 6])
    >>> norm.running_mean.shape
    torch.Size([4])
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, True, True, device, dtype)
        self.instances = num_features // 2
        batch_channels = num_features - self.instances
        self.running_mean = torch.zeros(batch_channels, device=device, dtype=dtype)
        self.running_var = torch.ones(batch_channels, device=device, dtype=dtype)

    def normalize(self, x: Images, residual: Images | None, activation: Activation) -> Images:
        """See `Normalization.normalize`."""
        if self.instances:
            self.check_count(x.shape[2] * x.shape[3], "use a larger image")
        y = self._in_one_call(x, residual, activation)
        if y is not None:
            return y
        running = self.running_for(x) if self.uses_running else None
        rule = partial(rules.half_instance, instances=self.instances, eps=self.eps, running=running)
        parameters = (self.weight, self.bias)
        return normalize_over_batch(
            self, x, rule, parameters, residual, activation, first_channel=self.instances
        )

    def _in_one_call(
        self, x: Images, residual: Images | None, activation: Activation
    ) -> Images | None:
        """As batch-instance normalization with ρ = 0 in the first channels and 1 in the others;
        None where no kernel serves.
        """
        operands = Operands(x, residual, self.weight, self.bias, None)
        if (self.training and self.synchronized) or serving_backend(operands, None) is None:
            return None
        self.check_count(x.shape[0] * x.shape[2] * x.shape[3], ONE_VALUE_PER_CHANNEL)
        first, channels = self.instances, self.num_features
        running = known = self.running_in_this_call()
        if running is not None:  # the kernel's has all channels; what it holds of the first is void
            mean, variance = (functional.pad(t, (first, 0)) for t in running[:2])
            known = running._replace(mean=mean, variance=variance)
        fixed = running is not None and not self.training
        by_running = (known.mean, known.variance) if known is not None and fixed else None
        gate = (torch.arange(channels, device=x.device) >= first).float()
        y = fused_norm(
            operands._replace(gate=gate),
            known,
            Scheme(True, fixed, channels, self.eps, activation),
            partial(rules.batch_instance, eps=self.eps, running=by_running),
        )
        if y is not None and running is not None and known is not None and not fixed:
            running.mean.copy_(known.mean[first:])
            running.variance.copy_(known.variance[first:])
        return y
