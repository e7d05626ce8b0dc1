"""Does the probe say what the study will find? Both on each data set, and shuffled labels beside.

    python benchmarks/probe.py demo:digits photos/ --size 32 --steps 120 --epochs 4

A probe of so many steps (as many as 15 seconds allow on a quiet machine, whatever this one is),
then the whole run, whose test part is held against guessing by the same exact test. `--shuffle`
makes the labels of the same pictures a permutation: nothing can be learned.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace

import numpy as np
import torch
from scipy.stats import binomtest

from normlab.data.dataset import Dataset, load_data
from normlab.data.load import block_data
from normlab.records.data_report import probe_text
from normlab.records.run import DataSpec, OptimizerSpec, RunSpec, ScheduleSpec
from normlab.study.budget import Cost
from normlab.study.probe import LEVEL, run_probe
from normlab.train.fit import evaluate, fit
from normlab.train.network import build_network
from normlab.train.optimizers import make_optimizer, make_schedule

QUIET = 1e6
"""Seconds that no probe here takes: it ends by its steps."""


def shuffled(dataset: Dataset, seed: int) -> Dataset:
    """The same pictures with the labels of others."""
    manifest = dataset.manifest
    labels = np.random.default_rng(seed).permutation(manifest.labels)
    return replace(dataset, manifest=replace(manifest, labels=labels))


def whole_run(spec: RunSpec, dataset: Dataset) -> tuple[float, float, float]:
    """Test accuracy, the largest class's share there, and the exact test's p."""
    data = block_data(dataset, spec)
    network = build_network(spec)
    optimizer = make_optimizer(network, spec.optimizer)
    schedule = make_schedule(
        optimizer, spec.schedule, epochs=spec.epochs, steps_per_epoch=data.steps_per_epoch
    )
    for _ in fit(network, optimizer, schedule, data, spec):
        pass
    found, _ = evaluate(network, data.plain_batches("test"), spec)
    share = np.bincount(data.labels("test")).max() / found.images
    right = round(found.accuracy * found.images)
    p = binomtest(right, found.images, share, alternative="greater").pvalue
    return found.accuracy, share, float(p)


def main() -> None:
    """Probe, run, compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rate", type=float, default=0.02)
    parser.add_argument("--network", default="cifar-resnet8")
    parser.add_argument("--shuffle", type=int, default=0, help="so many permutations of labels")
    arguments = parser.parse_args()
    for source in arguments.sources:
        original = load_data(source, arguments.size)
        sets = [(source, original)]
        sets += [
            (f"{source} (shuffled {seed})", shuffled(original, seed))
            for seed in range(arguments.shuffle)
        ]
        for name, dataset in sets:
            manifest = dataset.manifest
            shape = DataSpec(
                fingerprint=manifest.fingerprint,
                classes=manifest.classes,
                image_size=arguments.size,
            )
            spec = RunSpec(
                arm="bn", block=0, data=shape, norm="bn", epochs=arguments.epochs,
                network=arguments.network, schedule=ScheduleSpec(name="onecycle"),
                optimizer=OptimizerSpec(learning_rate=arguments.rate, weight_decay=5e-4),
            )  # fmt: skip
            cost = Cost(train=QUIET / (arguments.steps * spec.batch_size), evaluate=0)
            probe = run_probe(spec, block_data(dataset, spec), cost, QUIET)
            assert probe is not None
            accuracy, share, p = whole_run(spec, dataset)
            said = "learns" if probe.learned else "short" if probe.is_too_short else "chance"
            truth = "learns" if p <= LEVEL else "chance"
            load = os.getloadavg()[0]
            print(
                f"{name}, {torch.get_num_threads()} threads, load {load:.0f}\n  probe: "
                f"{probe_text(probe)}\n  run:   {100 * accuracy:.1f} % on test, chance "
                f"{100 * share:.1f} %, p {p:.2g}: {truth}; probe said {said}",
                flush=True,
            )


if __name__ == "__main__":
    main()
