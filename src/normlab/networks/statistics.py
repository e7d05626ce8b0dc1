"""What a normalization takes its statistics over, measured and not looked up by name.

An output value depends on all values of its statistic, so that its gradient by the input shows
which those are, whoever wrote the layer. A small copy of the layer is asked, with parameters drawn
at random: a scale or gate that is 0 at the start of training would hide what it multiplies.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from normlab.norms.surgery.recognize import layout_of

Over = Literal["batch", "instance", "group", "layer", "pixel", "nothing", "unknown"]
Shape = tuple[int, int, int, int]
SIDE = 2
"""The side of the maps that the copy is asked with: one pixel is told apart from all of them."""
_STEPS_SEEN = 10**6
"""Steps that the copy believes it has seen: more than any warm-up lasts."""


@dataclass(frozen=True)
class Statistics:
    """What one layer's statistics are taken over, in the mode that it is in."""

    over: Over
    """Pixels of several samples; of one sample, one channel, some or all; channels of a pixel."""
    values: int | None
    """Values in one statistic; None where there is none."""
    standardizes: bool
    """Whether it is γ·(x − mean)/√(variance + ε) + β of these statistics and nothing else."""


UNKNOWN = Statistics("unknown", None, standardizes=False)
_NOTHING = Statistics("nothing", None, standardizes=False)


def statistics_of(norm: nn.Module, shape: Shape) -> Statistics:
    """The statistics of a layer for inputs (N, C, H, W); unknown where it cannot be asked.

    The layer, its mode and the global generator are left as they are.

    Args:
        norm: a layer of any library.
        shape: N, C, H, W of its input.

    Returns:
        What its statistics are taken over, how many values each has, and whether it standardizes.

    >>> statistics_of(nn.BatchNorm2d(8), (4, 8, 16, 16))
    Statistics(over='batch', values=1024, standardizes=True)
    >>> statistics_of(nn.GroupNorm(2, 8), (4, 8, 16, 16))
    Statistics(over='group', values=1024, standardizes=True)
    """
    samples, channels, height, width = shape
    # Of a single sample it could not be seen whether statistics run over the batch.
    for side in ((SIDE, SIDE), (height, width)):
        try:
            return _measure(norm, shape, (max(2, samples), channels, *side))
        except Exception:  # somebody's layer, which may take one size alone or more arguments
            continue
    return UNKNOWN


def _measure(norm: nn.Module, shape: Shape, asked: Shape) -> Statistics:
    generator = torch.Generator().manual_seed(0)
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.random.fork_rng(devices=[]),
        torch.autocast("cpu", enabled=False),
        torch.device("cpu"),
    ):
        probe = _copy(norm, generator)
        x = torch.randn(asked, generator=generator, dtype=torch.float64).requires_grad_()
        y = _ask(probe, x)
        if y.shape != x.shape:
            return UNKNOWN
        last = asked[1] - 1
        found = [_of_channel(probe, x, y, c, shape) for c in sorted({0, last // 2, last})]
    by_batch = [each for each in found if each.over == "batch"]
    first = next((each for each in (*by_batch, *found) if each.over != "nothing"), _NOTHING)
    alike = all(each == first for each in found)
    return first if alike else Statistics(first.over, first.values, standardizes=False)


def _ask(probe: nn.Module, x: Float[Tensor, "n c h w"]) -> Tensor:
    """What the layer makes of planes, which it is given along the axes that it takes."""
    if layout_of(probe) == "channels last":
        last: Tensor = probe(x.permute(0, 2, 3, 1))
        return last.permute(0, 3, 1, 2)
    if isinstance(probe, (nn.BatchNorm1d, nn.InstanceNorm1d)):
        x_as_taken = x.flatten(2)
    elif isinstance(probe, (nn.BatchNorm3d, nn.InstanceNorm3d)):
        x_as_taken = x[:, :, None]
    else:
        x_as_taken = x
    y: Tensor = probe(x_as_taken)
    return y.reshape(x.shape) if y.shape == x_as_taken.shape else y


def _copy(norm: nn.Module, generator: torch.Generator) -> nn.Module:
    probe = copy.deepcopy(norm).to("cpu").double()
    for module in probe.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
    with torch.no_grad():
        for parameter in probe.parameters():
            parameter.uniform_(0.25, 0.75, generator=generator)
        for name, buffer in probe.named_buffers():
            if name.endswith("num_batches_tracked"):
                buffer.fill_(_STEPS_SEEN)
            elif name.endswith(("running_mean", "running_var")):
                buffer.uniform_(0.25, 0.75, generator=generator)
    return probe


def _of_channel(probe: nn.Module, x: Tensor, y: Tensor, channel: int, shape: Shape) -> Statistics:
    samples, channels, height, width = shape
    # The largest value is not one that a threshold in the layer has cut off.
    place = int(y.detach()[:, channel].abs().argmax())
    sample, pixel = divmod(place, y[0, channel].numel())
    row, column = divmod(pixel, y.shape[3])
    (gradient,) = torch.autograd.grad(y[sample, channel, row, column], x, retain_graph=True)
    read = gradient.abs() > 1e-9 * gradient.abs().max()
    read[sample, channel, row, column] = True
    several_pixels = int(read[sample, channel].sum()) > 1
    pixels = height * width if several_pixels else 1
    over_samples = int(read.flatten(1).any(1).sum())
    over_channels = int(read[sample].flatten(1).any(1).sum())
    over: Over
    if over_samples > 1:
        others = read.clone()
        others[sample] = False
        shared = int(others.transpose(0, 1).flatten(1).any(1).sum())
        over, values = "batch", min(over_samples, samples) * shared * height * width
        mask = read[:, channel : channel + 1] if shared == 1 else read
        mask = mask if shared > 1 else torch.zeros_like(read).index_copy_(1, _at(channel), mask)
    elif over_channels == 1:
        if not several_pixels:
            return _NOTHING
        over, values, mask = "instance", pixels, read
    else:
        kind: Over = "layer" if over_channels == channels else "group"
        over, values, mask = kind if several_pixels else "pixel", over_channels * pixels, read
    at = (sample, channel, row, column)
    return Statistics(over, values, standardizes=_standardizes(probe, x, y, at, mask))


def _at(channel: int) -> Tensor:
    return torch.tensor([channel])


def _standardizes(
    probe: nn.Module,
    x: Float[Tensor, "n c h w"],
    y: Float[Tensor, "n c h w"],
    at: tuple[int, int, int, int],
    read: Bool[Tensor, "n c h w"],
) -> bool:
    parameters = dict(probe.named_parameters())
    if not parameters.keys() <= {"weight", "bias"}:
        return False
    values = x.detach()[read]
    eps = float(getattr(probe, "eps", 1e-5))
    expected = (x[at] - values.mean()) / (values.var(correction=0) + eps).sqrt()
    for name, apply in (("weight", torch.mul), ("bias", torch.add)):
        if name in parameters:
            if parameters[name].shape != x.shape[1:2]:
                return False
            expected = apply(expected, parameters[name][at[1]])
    return bool((y[at] - expected).abs() <= 1e-6 * (1 + expected.abs()))
