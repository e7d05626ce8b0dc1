"""One layer at a time: normlab, the framework and plain operations, beside a plain copy of x.

    python benchmarks/norm_layers.py                  all norms, shapes and layouts (minutes)
    python benchmarks/norm_layers.py --norms bn bin --layouts channels_last --compile

Each with ReLU, and with residual and ReLU; forward alone, and forward and backward. The limit is
`clone`, one read and one write of the tensor: forward needs one and a half of it (two reads, one
write), the backward two and a half, a residual half of one more in each.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from normlab.norms.fused.cpu.memory import keep_freed_memory
from normlab.norms.spec import make_norm
from timing import Timing, geometric_mean, machine, markdown_table, take_turns

SHAPES = [(32, 16, 64, 64), (32, 64, 16, 16), (128, 64, 8, 8), (16, 64, 56, 56), (8, 256, 14, 14)]
LAYOUTS = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}
NORMS = ["bn", "in", "bin", "ln", "gn"]
PASSES = ["forward", "forward and backward"]
EPS = 1e-5


class FrameworkBatchInstanceNorm(nn.Module):
    """The framework has none: its batch norm and its instance norm, blended."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.batch = nn.BatchNorm2d(channels, affine=False)
        self.gate = nn.Parameter(torch.full((1, channels, 1, 1), 0.5))
        self.weight = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """γ·(ρ·batch + (1−ρ)·instance) + β."""
        blend = self.gate * self.batch(x) + (1 - self.gate) * functional.instance_norm(x, eps=EPS)
        return self.weight * blend + self.bias


class PlainNorm(nn.Module):
    """γ·(x − mean)/√(variance + ε) + β as one writes it down, in training mode.

    Without running averages, which cost nothing beside the rest.
    """

    def __init__(self, norm: str, channels: int) -> None:
        super().__init__()
        self.norm = norm
        self.gate = nn.Parameter(torch.full((1, channels, 1, 1), 0.5))
        self.weight = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """The formula of the norm."""
        n, c, h, w = x.shape
        match self.norm:
            case "bn":
                z = self.over(x, (0, 2, 3))
            case "in":
                z = self.over(x, (2, 3))
            case "ln":
                z = self.over(x, (1, 2, 3))
            case "gn":
                z = self.over(x.reshape(n, 8, c // 8, h, w), (2, 3, 4)).reshape(x.shape)
            case "bin":
                z = self.gate * self.over(x, (0, 2, 3)) + (1 - self.gate) * self.over(x, (2, 3))
        return self.weight * z + self.bias

    @staticmethod
    def over(x: Tensor, axes: Sequence[int]) -> Tensor:
        """Standardize over the axes."""
        mean, var = x.mean(axes, keepdim=True), x.var(axes, correction=0, keepdim=True)
        return (x - mean) / torch.sqrt(var + EPS)


FRAMEWORK: dict[str, Callable[[int], nn.Module]] = {
    "bn": nn.BatchNorm2d,
    "in": partial(nn.InstanceNorm2d, affine=True),
    "bin": FrameworkBatchInstanceNorm,
    "ln": partial(nn.GroupNorm, 1),
    "gn": partial(nn.GroupNorm, 8),
}


class Separate(nn.Module):
    """A layer of the framework, called as normlab's are: + residual and ReLU as steps in place."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(
        self, x: Tensor, residual: Tensor | None = None, activation: str = "none"
    ) -> Tensor:
        """relu(norm(x) + residual), each where it is wanted."""
        y = self.norm(x)
        if residual is not None:
            y += residual
        return functional.relu(y, inplace=True) if activation == "relu" else y


def call(layer: nn.Module, x: Tensor, residual: Tensor | None, dy: Tensor | None) -> None:
    """One pass; with dy also the backward, to x, the residual and the parameters."""
    if dy is None:
        with torch.no_grad():
            layer(x, residual, "relu")
        return
    leaves = [x, *layer.parameters(), *([] if residual is None else [residual])]
    torch.autograd.grad(layer(x, residual, "relu"), leaves, dy, allow_unused=True)


def measure(
    norm: str,
    shape: tuple[int, ...],
    layout: str,
    with_residual: bool,
    pass_: str,
    options: argparse.Namespace,
) -> dict[str, Timing]:
    """All candidates in turns at one setting."""
    generator = torch.Generator().manual_seed(0)

    def draw() -> Tensor:
        values = torch.randn(shape, generator=generator).to(options.device)
        return values.to(memory_format=LAYOUTS[layout])

    x = draw().requires_grad_()
    residual = draw().requires_grad_() if with_residual else None
    dy = draw() if pass_ != PASSES[0] else None
    layers = {
        "normlab": make_norm(norm, shape[1]),
        "torch": Separate(FRAMEWORK[norm](shape[1])),
        "plain": Separate(PlainNorm(norm, shape[1])),
    }
    layers = {name: layer.to(options.device) for name, layer in layers.items()}
    if options.compile:
        layers["torch.compile"] = torch.compile(layers["plain"])
    candidates: dict[str, Callable[[], object]] = {"clone": x.detach().clone}
    for name, layer in layers.items():
        candidates[name] = partial(call, layer, x, residual, dy)
    return take_turns(
        candidates,
        options.rounds,
        seconds_a_turn=options.milliseconds / 1e3,
        device=options.device,
    )


def arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--norms", nargs="*", choices=NORMS, default=NORMS)
    parser.add_argument("--layouts", nargs="*", choices=list(LAYOUTS), default=list(LAYOUTS))
    parser.add_argument("--shapes", nargs="*", type=int, default=range(len(SHAPES)), help="indices")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--milliseconds", type=float, default=5.0, help="a candidate and round")
    parser.add_argument("--threads", type=int, help="default: torch's")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true", help="also plain under torch.compile")
    parser.add_argument("--json", type=Path, help="write every single time to this file")
    return parser.parse_args()


def main() -> None:
    """Measure every setting and print the tables."""
    options = arguments()
    if options.threads:
        torch.set_num_threads(options.threads)
    here = machine(options.device)
    keep_freed_memory()  # as training does
    print(f"{here.sentence()}; {options.rounds} rounds\n")
    shapes = [SHAPES[index] for index in options.shapes]
    everything: list[dict[str, object]] = []
    for pass_, with_residual in product(PASSES, (False, True)):
        print(f"### {pass_}, {'residual and ReLU' if with_residual else 'ReLU'}\n")
        names: list[str] = []
        rows: list[list[str]] = []
        to_clone: list[list[float]] = []
        to_normlab: list[list[float]] = []
        for norm, layout, shape in product(options.norms, options.layouts, shapes):
            timings = measure(norm, shape, layout, with_residual, pass_, options)
            names = [name for name in timings if name != "clone"]
            ratios = [timings[name].relative_to(timings["clone"]) for name in names]
            to_clone.append(ratios)
            to_normlab.append([timings[name].relative_to(timings["normlab"]) for name in names])
            rows.append(
                [
                    f"{norm} {layout} {'×'.join(map(str, shape))}",
                    f"{timings['clone'].median * 1e6:.0f}",
                    *(f"{ratio:.2f}" for ratio in ratios),
                ]
            )
            everything.append(
                {
                    "norm": norm,
                    "layout": layout,
                    "shape": shape,
                    "pass": pass_,
                    "residual": with_residual,
                    "seconds": {name: timing.seconds for name, timing in timings.items()},
                }
            )
        for label, ratios in (("relative to clone", to_clone), ("to normlab", to_normlab)):
            means = [f"{geometric_mean(column):.2f}" for column in zip(*ratios, strict=True)]
            rows.append([f"**geometric mean, {label}**", "", *means])
        print(markdown_table(["", "clone, µs", *names], rows), end="\n\n")
    if options.json:
        data = {"machine": here.sentence(), "settings": everything}
        options.json.write_text(json.dumps(data, indent=1))


if __name__ == "__main__":
    main()
