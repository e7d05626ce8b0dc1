"""Running statistics without lag: the statistics of many batches as if they were one.

An exponential average forgets, and follows weights that were still moving. Wu & Johnson 2021,
"Rethinking 'Batch' in BatchNorm", arXiv:2105.07576, section 3, recompute the statistics after
training with the weights at rest. Batches of n_k values with mean μ_k and biased variance v_k pool
exactly:

    n = Σ n_k      mean = Σ n_k·μ_k / n      variance = Σ n_k·(v_k + (μ_k − mean)²) / n

For the first norm that is the statistics of all activations joined; deeper norms see activations
that their forerunners normalized batch by batch, as in training. The running variance is the
unbiased one, variance·n/(n−1), as torch keeps it. Instance norms that track statistics keep what
they average in training: the means over samples of the planes' mean and unbiased variance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from normlab.errors import UsageError
from normlab.norms.functional.layout import as_planes
from normlab.norms.layers.instance import InstanceNorm2d
from normlab.norms.surgery.freeze import is_frozen
from normlab.norms.surgery.recognize import is_running, layout_of


@dataclass(frozen=True)
class PreciseStatistics:
    """What `precise_statistics` saw."""

    layers: tuple[str, ...]
    batches: int
    samples: int


class _Pool:
    """The statistics of everything added so far, in float64."""

    def __init__(self, over_samples: bool) -> None:
        """`over_samples`: an instance norm, whose planes are not pooled but averaged."""
        self.over_samples = over_samples
        self.count = 0
        self.mean: Tensor | None = None
        self.squares: Tensor | None = None  # Σ (x − mean)²; of an instance norm Σ variances

    def add(self, x: Tensor) -> None:
        """Another batch, channels on axis 1."""
        if x.numel() == 0:
            return
        if self.over_samples:
            variance, mean = torch.var_mean(x.double().flatten(2), dim=2)
            self._merge(x.shape[0], mean.mean(0), variance.sum(0))
        else:
            values = x.transpose(0, 1).flatten(1).double()
            variance, mean = torch.var_mean(values, dim=1, correction=0)
            self._merge(values.shape[1], mean, variance * values.shape[1])

    def _merge(self, count: int, mean: Tensor, squares: Tensor) -> None:
        if self.mean is None or self.squares is None:
            self.count, self.mean, self.squares = count, mean, squares
            return
        total = self.count + count
        difference = mean - self.mean
        self.mean = self.mean + difference * (count / total)
        self.squares = self.squares + squares
        if not self.over_samples:
            self.squares = self.squares + difference.square() * (self.count * count / total)
        self.count = total

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and unbiased variance of each channel over all that was added."""
        assert self.mean is not None
        assert self.squares is not None
        return self.mean, self.squares / (self.count if self.over_samples else self.count - 1)


def precise_statistics(
    model: nn.Module,
    loader: Iterable[Any],
    batches: int | None = None,
    *,
    forward: Callable[[nn.Module, Any], object] | None = None,
) -> PreciseStatistics:
    """Recompute the running statistics of every running norm of `model` from whole batches.

    The norms run as in training, on their batch; the rest (dropout, …) as in evaluation, which the
    statistics are for. Weights, training flags, momentum and the count of batches stay as they
    are. Frozen norms are left out, and evaluate.

    Args:
        model: any network with running norms, also the framework's.
        loader: yields batches; of a tuple or list the first element is the input.
        batches: how many to take; all of them if None.
        forward: called as forward(model, batch) where the above is not how to call the model.

    Returns:
        The names of the norms that saw values, and how many batches and samples there were.

    Raises:
        UsageError: no batch, fewer than asked for, or fewer than two values for a channel. The
            model is then unchanged, as after any error of the model or the loader.

    >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    >>> precise_statistics(network, [torch.randn(4, 3, 8, 8)] * 2)
    PreciseStatistics(layers=('1',), batches=2, samples=8)
    """
    norms = {
        name: module
        for name, module in model.named_modules()
        if is_running(module) and not is_frozen(module)
    }
    if batches is not None and batches < 1:
        raise UsageError(f"statistics need at least 1 batch, got batches={batches}")
    pools = {module: _Pool(_is_instance(module)) for module in norms.values()}
    seen = samples = 0
    with _collecting(model, pools), torch.no_grad():
        for batch in loader:
            if norms:
                samples += _call(model, batch, forward)
            seen += 1
            if seen == batches:
                break
    if seen == 0 or (batches is not None and seen < batches):
        raise UsageError(
            f"the loader gave {seen} batches, {batches or 'at least 1'} needed; "
            "ask for fewer or give a loader that can be read again"
        )
    for name, module in norms.items():
        if pools[module].mean is not None and pools[module].count < 2:
            raise UsageError(f"{name} saw 1 value per channel, which has no variance; give more")
    for module, pool in pools.items():
        if pool.mean is not None:
            mean, variance = pool.statistics()
            running_mean, running_var, *_ = _buffers(module)
            running_mean.copy_(mean)
            running_var.copy_(variance)
    used = tuple(name for name, module in norms.items() if pools[module].mean is not None)
    return PreciseStatistics(used, seen, samples)


@contextmanager
def _collecting(model: nn.Module, pools: Mapping[nn.Module, _Pool]) -> Iterator[None]:
    """Let every norm with a pool see its batches in training mode, and put all back at the end."""
    kept = [(buffer, buffer.clone()) for module in pools for buffer in _buffers(module)]
    flags = {module: module.training for module in model.modules()}
    handles = [module.register_forward_pre_hook(_adder(pool)) for module, pool in pools.items()]
    try:
        for module in flags:
            module.training = module in pools
        yield
    finally:
        for handle in handles:
            handle.remove()
        for module, training in flags.items():
            module.training = training
        with torch.no_grad():
            for buffer, value in kept:
                buffer.copy_(value)


def _adder(pool: _Pool) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def add(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = as_planes(inputs[0].detach(), layout_of(module))
        running = module._buffers["running_mean"]
        assert running is not None
        pool.add(x[:, x.shape[1] - len(running) :])  # of `ibn`: the channels that go by batch

    return add


def _call(model: nn.Module, batch: Any, forward: Callable[[nn.Module, Any], object] | None) -> int:
    x = batch[0] if isinstance(batch, (tuple, list)) else batch
    if forward is not None:
        forward(model, batch)
    elif isinstance(x, Tensor):
        device = next((p.device for p in model.parameters()), x.device)
        model(x.to(device))
    else:
        raise UsageError(f"a batch is a {type(x).__name__}, not a tensor; say how with forward=…")
    return len(x) if isinstance(x, Tensor) else 0


def _is_instance(module: nn.Module) -> bool:
    return isinstance(module, (InstanceNorm2d, nn.modules.instancenorm._InstanceNorm))


def _buffers(module: nn.Module) -> list[Tensor]:
    found = (getattr(module, n) for n in ("running_mean", "running_var", "num_batches_tracked"))
    return [buffer for buffer in found if isinstance(buffer, Tensor)]
