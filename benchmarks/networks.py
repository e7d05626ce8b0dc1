"""A training step of networks of other libraries: their own norms against ours in their place.

    python benchmarks/networks.py                          # the five, batch 8, two threads
    python benchmarks/networks.py --only resnet18 --rounds 5 --batch 4 --side 64

Forward, backward and an SGD step, in turns; the ratio is the median over the rounds of the time
over that of the library's own norms in the same round (see timing.py). `torch-bn` is the
framework's own function in our class, which shows what the ratio of equals looks like. ConvNeXt has
layer norms: there `ln:axes=c` computes what it has. Goal: at most 1.00 for the norm that computes
what the library's own does.
"""

from __future__ import annotations

import argparse
import copy
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
import normlab
from real_libraries import make_torchvision_importable
from timing import machine, markdown_table, take_turns

NETWORKS = {
    "timm/resnet18": ("torch-bn", "bn", "bin", "gn:groups=8~"),
    "timm/resnet50": ("torch-bn", "bn", "bin", "gn:groups=8~"),
    "timm/mobilenetv3_small_100": ("torch-bn", "bn", "bin", "gn:groups=8~"),
    "timm/tf_efficientnet_lite0": ("torch-bn", "bn", "bin", "gn:groups=8~"),
    "timm/convnext_atto": ("ln:axes=c", "bn", "gn:groups=8~"),
}
CLASSES = 10


def step_of(network: nn.Module, images: torch.Tensor) -> Callable[[], None]:
    """One step of training on a batch."""
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
    labels = torch.arange(len(images)) % CLASSES
    network.train()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        functional.cross_entropy(network(images), labels).backward()
        optimizer.step()

    return step


def ratios(name: str, norms: tuple[str, ...], batch: int, side: int, rounds: int) -> list[str]:
    """The row of a network: milliseconds of its own, and every norm over it."""
    import timm

    torch.manual_seed(0)
    own = timm.create_model(name.partition("/")[2], num_classes=CLASSES)
    images = torch.randn(batch, 3, side, side).contiguous(memory_format=torch.channels_last)
    candidates = {"own": own}
    for norm in norms:
        candidates[norm] = copy.deepcopy(own)
        normlab.convert_norms(candidates[norm], norm)
    for network in candidates.values():
        network.to(memory_format=torch.channels_last)
    found = take_turns({key: step_of(m, images) for key, m in candidates.items()}, rounds)
    shown = [f"{norm} {found[norm].relative_to(found['own']):.3f}" for norm in norms]
    return [name, f"{1000 * found['own'].median:.1f}", *shown]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="part of a name")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--side", type=int, default=128, help="of the images, in pixels")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    make_torchvision_importable()
    normlab.make_norm("bn", 4)  # loads the kernels, which the sentence speaks of
    print(machine().sentence())
    print(f"batch {given.batch}, {given.side} px, {given.rounds} rounds, channels last\n")
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, norms in NETWORKS.items():
            if given.only in name:
                row = ratios(name, norms, given.batch, given.side, given.rounds)
                rows.append(row + ["–"] * (6 - len(row)))
    print(markdown_table(["network", "own norms, ms", *["norm and ratio"] * 4], rows))
    print(f"\nload at the end: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
