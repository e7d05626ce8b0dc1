"""On a GPU: layers against the copy's bandwidth, whole steps, runs beside one another, an epoch.

    python benchmarks/gpu.py                                  all four parts
    python benchmarks/gpu.py layers --rounds 20
    python benchmarks/gpu.py steps jobs epoch --source cifar-10-batches-py --image-size 32
    python benchmarks/gpu.py --device cpu --tiny              does the script run at all?

layers  forward and backward with residual and ReLU. The limit is the least that has to be moved
        (4 sweeps forward, 6 backward) at the measured bandwidth of a copy; "of limit" is how near
        normlab comes. Times are of the device: calls are repeated until a turn takes 20 ms.
steps   forward, loss, backward, SGD; normlab's arms as CUDA graphs, as its training runs them, and
        as they are called; torch's layers eagerly and compiled, and batch-instance normalization
        in plain operations.
jobs    images a second of 1, 2, 4, … runs at once.
epoch   one epoch of training from the prepared images, augmentation included.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import torch
from torch import Tensor, nn

import normlab
from norm_layers import FRAMEWORK as FRAMEWORK_LAYERS
from norm_layers import LAYOUTS, NORMS, Separate, call
from normlab.data.dataset import Dataset, load_data
from normlab.data.duplicates.near_duplicates import with_duplicates
from normlab.data.load import block_data
from normlab.networks.resnet.resnet import resnet_by_name
from normlab.norms.spec import make_norm, norm_names
from normlab.records.plan import parse_plan
from normlab.records.run import DataSpec, RunSpec
from normlab.study.executors.base import ExecutorRequest
from normlab.study.executors.processes import ProcessesExecutor
from normlab.study.study import Study
from normlab.train.fit import train_epoch
from normlab.train.network import build_network
from normlab.train.optimizers import make_optimizer, make_schedule
from normlab.train.step import gradients_of
from normlab.train.step_mode import StepMode
from timing import Candidate, machine, markdown_table, take_turns
from train_step import FRAMEWORK, training_step

SHAPES = [(256, 64, 56, 56), (128, 16, 32, 32), (64, 16, 256, 256), (32, 256, 14, 14)]
STEPS = [
    ("resnet14", 256, 32),
    ("resnet14", 256, 128),
    ("resnet20", 32, 128),
    ("resnet18", 224, 128),
]
TINY_SHAPES, TINY_STEPS = [(4, 16, 8, 8)], [("resnet8", 16, 8)]
PARTS = ("layers", "steps", "jobs", "epoch")
SWEEPS = 4 + 6
"""Reads and writes of one tensor: x twice, residual, y; dy and x twice, dx, the residual's dz."""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", default=PARTS, help=", ".join(PARTS))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--source", default="demo:digits")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--no-compile", action="store_true")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("there is no GPU here; --device cpu --tiny tries the script")
    print(machine(options.device).sentence())
    for part in options.parts:
        print(f"\n## {part}\n")
        {"layers": layers, "steps": steps, "jobs": jobs, "epoch": epoch}[part](options)


def bandwidth(device: str, tiny: bool) -> float:
    """Bytes a second, read and written, of a copy of 1 GiB."""
    source = torch.empty(2**20 if tiny else 2**30, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    found = take_turns({"copy": lambda: target.copy_(source)}, 11, device=device)
    return 2 * source.numel() / min(found["copy"].seconds)


def layers(options: argparse.Namespace) -> None:
    """Part (a)."""
    speed = bandwidth(options.device, options.tiny)
    print(f"a copy moves {speed / 1e9:,.0f} GB/s\n")
    rows = []
    shapes = TINY_SHAPES if options.tiny else SHAPES
    kinds = product(shapes, (torch.bfloat16, torch.float32), LAYOUTS, NORMS)
    for shape, dtype, layout, norm in kinds:
        generator = torch.Generator().manual_seed(0)

        def draw() -> Tensor:
            values = torch.randn(shape, generator=generator).to(options.device, dtype)  # noqa: B023
            return values.to(memory_format=LAYOUTS[layout])  # noqa: B023

        x, residual, dy = draw().requires_grad_(), draw().requires_grad_(), draw()
        theirs = Separate(FRAMEWORK_LAYERS[norm](shape[1])).to(options.device)
        if dtype == torch.bfloat16:
            theirs = theirs.to(dtype)  # as a model converted to half precision has it
        found: dict[str, nn.Module] = {
            "normlab": make_norm(norm, shape[1]).to(options.device),
            "eager": theirs,
        }
        if not options.no_compile:
            found["compiled"] = torch.compile(theirs)
        timings = take_turns(
            {name: _pass(layer, x, residual, dy) for name, layer in found.items()},
            options.rounds,
            warm_up=3,
            seconds_a_turn=0.0 if options.tiny else 0.02,
            device=options.device,
        )
        own = timings["normlab"]
        limit = SWEEPS * x.numel() * x.element_size() / speed
        rows.append(
            (
                "×".join(map(str, shape)),
                *(str(dtype).removeprefix("torch."), layout, norm),
                *(f"{1e6 * own.median:.0f}", f"{1e6 * limit:.0f}", f"{limit / own.median:.0%}"),
                *(
                    f"{timings[name].relative_to(own):.2f}" if name in timings else "–"
                    for name in ("eager", "compiled")
                ),
            )
        )
    head = ("shape", "dtype", "layout", "norm", "µs", "limit (µs)", "of limit", "eager", "compiled")
    print(markdown_table(head, rows))


def _pass(layer: nn.Module, x: Tensor, residual: Tensor, dy: Tensor) -> Candidate:
    return lambda: call(layer, x, residual, dy)


def steps(options: argparse.Namespace) -> None:
    """Part (b)."""
    rows = []
    for name, size, batch in TINY_STEPS if options.tiny else STEPS:
        generator = torch.Generator().manual_seed(1)
        images = torch.randn((batch, 3, size, size), generator=generator).to(options.device)
        images = images.to(memory_format=torch.channels_last)
        labels = torch.randint(10, (batch,), generator=generator).to(options.device)
        timings = take_turns(
            dict(candidates(name, size, images, labels, options)),
            options.rounds,
            warm_up=5,
            device=options.device,
        )
        reference = timings["none"]
        rows += [
            (
                f"{name}, {batch} of {size} px",
                arm,
                f"{timing.relative_to(reference):.2f}",
                f"{1e3 * timing.median:.2f}",
                f"{batch / timing.median:,.0f}",
            )
            for arm, timing in timings.items()
        ]
    print(markdown_table(("network", "norm", "relative", "ms", "images a second"), rows))


def candidates(
    name: str, size: int, images: Tensor, labels: Tensor, options: argparse.Namespace
) -> Iterator[tuple[str, Callable[[], object]]]:
    """All ways to make a step, by name; bfloat16 where the device is a GPU."""
    half = options.device != "cpu"
    for norm in ("none", *(n for n in norm_names() if n != "none")):
        for graph in (True, False) if half else (False,):
            spec = RunSpec(
                arm=norm,
                block=0,
                norm=norm,
                network={"name": name},
                data=DataSpec(fingerprint="", classes=tuple("0123456789"), image_size=size),
                precision="bfloat16" if half else "float32",
            )
            model = build_network(spec, options.device).train()
            optimizer = make_optimizer(model, spec.optimizer)
            gradients = gradients_of(model, spec, StepMode(graph=graph))
            key = norm if graph or not half else f"{norm}, without a graph"
            yield key, _step(gradients, optimizer, model, images, labels)
    for peer, make in FRAMEWORK.items():
        model = resnet_by_name(name, 10, "bn", generator=torch.Generator().manual_seed(0))
        norms = {k: m for k, m in model.named_modules() if isinstance(m, normlab.BatchNorm2d)}
        for place, norm_layer in norms.items():
            model.set_submodule(place, Separate(make(norm_layer.num_features)))
        model.to(options.device).to(memory_format=torch.channels_last)
        yield peer, _half(training_step(model, images, labels), half)
        if not options.no_compile:
            compiled = torch.compile(model)
            yield f"{peer}, compiled", _half(training_step(compiled, images, labels), half)


def _step(
    gradients: Callable[..., object],
    optimizer: torch.optim.Optimizer,
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
) -> Candidate:
    def step() -> None:
        gradients(images, labels)
        optimizer.step()
        normlab.clamp_gates(model)

    return step


def _half(step: Candidate, half: bool) -> Candidate:
    def under_autocast() -> None:
        with torch.autocast("cuda" if half else "cpu", torch.bfloat16, enabled=half):
            step()

    return under_autocast


def jobs(options: argparse.Namespace) -> None:
    """Part (c)."""
    dataset = _data(options)
    manifest = dataset.manifest
    plan = parse_plan(
        {
            "name": "jobs",
            "blocks": 16,
            "data": {"source": manifest.location, "image_size": options.image_size},
            "factors": {"norm": ["bn"], "learning_rate": [0.1], "batch_size": [128]},
            "training": {"network": {"name": "resnet8" if options.tiny else "resnet20"}},
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        study = Study.create(Path(folder) / "study", plan, dataset)
        settings = study.job_settings(device=options.device)
        executor = ProcessesExecutor(ExecutorRequest(study.folder, settings, ()))
        try:
            found = executor.grow_while_it_pays(study.specs()[0], runs=16)
        finally:
            executor.close()
    first = found[0][1]
    rows = [(str(n), f"{speed:,.0f}", f"{speed / first:.2f}") for n, speed in found]
    print(markdown_table(("runs at once", "images a second", "relative"), rows))


def epoch(options: argparse.Namespace) -> None:
    """Part (d)."""
    dataset = _data(options)
    manifest = dataset.manifest
    rows = []
    for augmentation in ("none", "light", "standard"):
        spec = RunSpec(
            arm="bn",
            block=0,
            norm="bn",
            network={"name": "resnet8" if options.tiny else "resnet20"},
            data=DataSpec(
                fingerprint=manifest.fingerprint,
                classes=manifest.classes,
                image_size=options.image_size,
                groups=manifest.groups_hash,
            ),
            batch_size=128,
            augmentation=augmentation,
            epochs=1000,
            precision="bfloat16" if options.device != "cpu" else "float32",
        )
        data = block_data(dataset, spec, options.device)
        network = build_network(spec, options.device)
        optimizer = make_optimizer(network, spec.optimizer)
        schedule = make_schedule(
            optimizer, spec.schedule, epochs=1000, steps_per_epoch=data.steps_per_epoch
        )
        gradients = gradients_of(network, spec)
        seconds = []
        for number in range(1, 4):
            batches = data.train_batches(number)
            seconds.append(train_epoch(network, optimizer, schedule, batches, spec, gradients)[1])
        images = data.steps_per_epoch * spec.batch_size
        place = "resident" if data.resident is not None else "read as needed"
        rows.append((augmentation, place, f"{min(seconds):.2f}", f"{images / min(seconds):,.0f}"))
    print(markdown_table(("augmentation", "images", "s an epoch", "images a second"), rows))


def _data(options: argparse.Namespace) -> Dataset:
    return with_duplicates(load_data(options.source, options.image_size))


if __name__ == "__main__":
    main()
