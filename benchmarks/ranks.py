"""What one run on several ranks makes of every norm, beside the same run in one process.

    python benchmarks/ranks.py [--ranks 2] [--norms bn,gn] [--model cifar-resnet8] [--size 8]

An epoch of scikit-learn's digits (or `--data`) is trained by every norm three times: in one
process, on the ranks with synchronized norms, and with each rank's own part of the batch ("local").
The columns are the largest difference of a weight (parameters and running statistics) to the one
process, relative to the largest value of its tensor. The goal is 1e-4 for synchronized norms and
for those that take nothing over the batch. Ranks speak gloo over the loopback. The last column is
one process that adds its gradient up from the same parts of the batch: what another order of
rounding does by itself, which a norm over planes of four pixels enlarges.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed

from normlab.data.dataset import Dataset, load_data
from normlab.data.load import block_data
from normlab.records.run import DataSpec, NetworkSpec, OptimizerSpec, RunSpec, ScheduleSpec
from normlab.train.fit import fit
from normlab.train.network import build_network, view_of
from normlab.train.optimizers import make_optimizer, make_schedule
from normlab.train.ranks import Ranks, kind_over_ranks
from timing import machine, markdown_table

BATCH = 32
NORMS = (
    "bn,bn:virtual_batch=8,in,bin,ln,gn:groups=4,none,torch-bn,"
    "brn,sn,ibn,rms,frn,evonorm-s0,grn,dyt"
)


def make_spec(data: Dataset, norm: str, options: argparse.Namespace, **changes: Any) -> RunSpec:
    """One epoch with one norm."""
    manifest = data.manifest
    return RunSpec(
        arm=norm, block=0, norm=norm, batch_size=BATCH, epochs=1,
        data=DataSpec(
            fingerprint=manifest.fingerprint, classes=manifest.classes, image_size=options.size
        ),
        network=NetworkSpec(name=options.model),
        optimizer=OptimizerSpec(learning_rate=0.02, weight_decay=5e-4),
        schedule=ScheduleSpec(name="onecycle"),
        **changes,
    )  # fmt: skip


def train(data: Dataset, spec: RunSpec) -> tuple[dict[str, Tensor], float]:
    """The state after the epoch, and the epoch's seconds."""
    block = block_data(data, spec)
    network = build_network(spec)
    optimizer = make_optimizer(network, spec.optimizer)
    schedule = make_schedule(
        optimizer, spec.schedule, epochs=1, steps_per_epoch=block.steps_per_epoch
    )
    ranks = Ranks(spec, lambda images: None) if spec.ranks > 1 else None
    rows = list(
        fit(
            network, optimizer, schedule, block, spec,
            on_batch=ranks.on_batch if ranks else lambda images: None,
            gradients=ranks.join(network, spec) if ranks else None,
        )
    )  # fmt: skip
    return dict(network.state_dict()), rows[0].seconds


def train_by_parts(data: Dataset, spec: RunSpec, parts: int) -> dict[str, Tensor]:
    """One process whose gradients are added up from parts of the batch: no ranks."""
    block = block_data(data, spec)
    network = build_network(spec)
    optimizer = make_optimizer(network, spec.optimizer)
    schedule = make_schedule(
        optimizer, spec.schedule, epochs=1, steps_per_epoch=block.steps_per_epoch
    )

    def gradients(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        network.zero_grad(set_to_none=True)
        found = []
        for x, y in zip(images.tensor_split(parts), labels.tensor_split(parts), strict=True):
            logits = network(x)
            losses = torch.nn.functional.cross_entropy(logits, y, reduction="none")
            (losses.sum() / len(labels)).backward()
            found.append((losses.detach(), logits.detach()))
        losses, logits = (torch.cat(each) for each in zip(*found, strict=True))
        return losses, logits

    list(fit(network, optimizer, schedule, block, spec, gradients=gradients))
    return dict(network.state_dict())


def difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """The largest difference of a value, relative to the largest of its tensor."""
    return max(
        float((one[name] - other[name]).abs().max() / one[name].abs().max().clamp(min=1e-12))
        for name in one
        if one[name].is_floating_point() and one[name].numel()
    )


def kind_of(data: Dataset, spec: RunSpec) -> str:
    """What the norm is over ranks, by its first layer in the network."""
    view = view_of(build_network(spec), spec)
    if not view.norm_sites:
        return "exact"
    shape = (BATCH, 16, 4, 4)
    kinds = {kind_over_ranks(site.module, shape_of(site.module, shape)) for site in view.norm_sites}
    return next(kind for kind in ("local", "synchronized", "exact") if kind in kinds)


def shape_of(module: torch.nn.Module, shape: tuple[int, int, int, int]) -> Any:
    """The shape with the channels that the layer has."""
    channels = getattr(module, "channels", shape[1])
    return (shape[0], channels, *shape[2:])


def be_a_rank(options: argparse.Namespace) -> None:
    """Train everything on this rank; the first one prints what was found."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    data = load_data(options.data, options.size)
    first = distributed.get_rank() == 0
    for norm in options.norms.split(","):
        alone = make_spec(data, norm, options)
        kind = kind_of(data, alone)
        reference, seconds = train(data, alone)
        found: dict[str, Any] = {"norm": norm, "kind": kind, "alone": seconds}
        if kind == "exact":
            found["parts"] = difference(reference, train_by_parts(data, alone, options.ranks))
        for norm_batch in ("synchronized", "local"):
            if norm_batch == "synchronized" and kind == "local":
                continue
            spec = make_spec(data, norm, options, ranks=options.ranks, norm_batch=norm_batch)
            weights, seconds = train(data, spec)
            found[norm_batch] = difference(reference, weights)
            found[f"{norm_batch} seconds"] = seconds
        if first:
            print("FOUND " + json.dumps(found), flush=True)
    distributed.destroy_process_group()


def main() -> None:
    """Start the ranks and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--norms", default=NORMS)
    parser.add_argument("--data", default="demo:digits")
    parser.add_argument("--model", default="cifar-resnet8")
    parser.add_argument("--size", type=int, default=8)
    parser.add_argument("--rank", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rank:
        be_a_rank(options)
        return
    start = time.time()
    with tempfile.TemporaryFile("w+") as said:
        command = [
            *(
                sys.executable,
                "-m",
                "torch.distributed.run",
                "--nproc-per-node",
                str(options.ranks),
            ),
            *("--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0"),
            *("--local-addr", "127.0.0.1", str(Path(__file__)), "--rank", *sys.argv[1:]),
        ]
        code = subprocess.run(command, stdout=said, stderr=subprocess.STDOUT, check=False)
        said.seek(0)
        lines = said.read().splitlines()
    found = [json.loads(line[6:]) for line in lines if line.startswith("FOUND ")]
    print(machine().sentence())
    print(f"{options.ranks} ranks, {options.data}, {time.time() - start:.0f} s")
    print(markdown_table(HEAD, [row(each) for each in found]))
    if code.returncode:
        print("\n".join(lines[-20:]))
        sys.exit(1)


HEAD = ("norm", "over ranks it is", "synchronized", "local", "one process by parts")


def row(found: dict[str, Any]) -> tuple[str, ...]:
    """One line of the table."""
    columns = (found.get(name) for name in ("synchronized", "local", "parts"))
    return (found["norm"], found["kind"], *("–" if v is None else f"{v:.1e}" for v in columns))


if __name__ == "__main__":
    main()
