"""Whole training steps of one network with every norm, relative to the one without any.

    python benchmarks/train_step.py                        resnet14, batch 32 of 64 px
    python benchmarks/train_step.py --compile --only bn gn "torch BatchNorm2d"
    python benchmarks/train_step.py --threads 1 --size 32 --rounds 40 --json step.json

A step is forward, cross-entropy, backward and SGD with momentum. Beside normlab's arms stands the
same network with torch's own layers, whose ReLU and addition are separate (in place, as most
networks have them), and with batch-instance normalization in plain tensor operations.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

import normlab
from norm_layers import PlainNorm, Separate
from normlab.norms.fused.cpu.memory import keep_freed_memory
from normlab.norms.spec import norm_names
from timing import as_data, machine, markdown_table, take_turns

REFERENCE = "none"


FRAMEWORK: dict[str, Callable[[int], nn.Module]] = {
    "torch BatchNorm2d": nn.BatchNorm2d,
    "torch InstanceNorm2d": partial(nn.InstanceNorm2d, affine=True),
    "torch GroupNorm(8)": partial(nn.GroupNorm, 8),
    "torch GroupNorm(1)": partial(nn.GroupNorm, 1),
    "plain operations BIN": partial(PlainNorm, "bin"),
}


def network(name: str, n: int, classes: int) -> nn.Module:
    """normlab's network with one of its norms, or with a layer of the framework in their place."""
    generator = torch.Generator().manual_seed(0)
    if name not in FRAMEWORK:
        return normlab.resnet(n, classes, name, generator=generator)
    model = normlab.resnet(n, classes, "bn", generator=generator)
    norms = {k: m for k, m in model.named_modules() if isinstance(m, normlab.BatchNorm2d)}
    for place, norm in norms.items():
        model.set_submodule(place, Separate(FRAMEWORK[name](norm.num_features)))
    return model


def training_step(model: nn.Module, images: Tensor, labels: Tensor) -> Callable[[], Tensor]:
    """A function that does one step and returns the loss."""
    groups = normlab.parameter_groups(model, learning_rate=1e-4, weight_decay=5e-4)
    optimizer = torch.optim.SGD(groups, momentum=0.9)

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        normlab.clamp_gates(model)
        return loss

    return step


def kept_for_backward(model: nn.Module, images: Tensor) -> float:
    """MiB of activations that the forward pass keeps for the backward pass, each storage once."""
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    storages: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model(images)
    return sum(storages.values()) / 2**20


def arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=2, help="blocks a stage (default 2: resnet14)")
    parser.add_argument("--size", type=int, default=64, help="pixels a side")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--classes", type=int, default=25)
    parser.add_argument("--rounds", type=int, default=10, help="timed steps of each candidate")
    parser.add_argument("--threads", type=int, help="default: torch's")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--layout", choices=["channels_last", "nchw"], default="channels_last")
    parser.add_argument("--only", nargs="*", help="names of candidates; none is always there")
    parser.add_argument("--compile", action="store_true", help="also: each by torch.compile")
    parser.add_argument("--memory", action="store_true", help="also: MiB kept for the backward")
    parser.add_argument("--json", type=Path, help="write every single time to this file")
    return parser.parse_args()


def main() -> None:
    """Measure and print the table."""
    options = arguments()
    if options.threads:
        torch.set_num_threads(options.threads)
    here = machine(options.device)
    keep_freed_memory()  # as training does
    generator = torch.Generator().manual_seed(1)
    shape = (options.batch, 3, options.size, options.size)
    layout = {"channels_last": torch.channels_last, "nchw": torch.contiguous_format}[options.layout]
    images = torch.randn(shape, generator=generator).to(options.device).to(memory_format=layout)
    labels = torch.randint(options.classes, shape[:1], generator=generator).to(options.device)

    names = [REFERENCE, *(name for name in norm_names() if name != REFERENCE), *FRAMEWORK]
    if options.only:
        names = [name for name in names if name in (REFERENCE, *options.only)]
    models = {name: network(name, options.n, options.classes) for name in names}
    if options.compile:
        torch._dynamo.config.recompile_limit = 2 * len(names)  # all are of one class
        for name in names:
            model = network(name, options.n, options.classes)
            models[f"{name}, compiled"] = torch.compile(model)  # type: ignore[assignment]
    for model in models.values():
        model.to(options.device).to(memory_format=layout)
    memory = {name: kept_for_backward(m, images) for name, m in models.items() if options.memory}
    steps = {name: training_step(model, images, labels) for name, model in models.items()}
    timings = take_turns(steps, options.rounds, device=options.device)

    rows = []
    for name, timing in timings.items():
        first, third = timing.quartiles
        row = [
            name,
            f"{timing.relative_to(timings[REFERENCE]):.2f}",
            f"{timing.median * 1e3:.1f}",
            f"{first * 1e3:.1f}–{third * 1e3:.1f}",
            f"{options.batch / timing.median:.0f}",
        ]
        rows.append(row + ([f"{memory[name]:.0f}"] if options.memory else []))
    header = ["norm", "relative", "ms a step", "quartiles", "images/s"]
    print(f"resnet{6 * options.n + 2}, batch {options.batch} of {options.size} px, ", end="")
    print(f"{options.layout}, {options.rounds} rounds")
    print(f"{here.sentence()}\n")
    print(markdown_table(header + (["MiB kept"] if options.memory else []), rows))
    if options.json:
        data = as_data(here, timings) | {"options": vars(options) | {"json": str(options.json)}}
        options.json.write_text(json.dumps(data, indent=1))


if __name__ == "__main__":
    main()
