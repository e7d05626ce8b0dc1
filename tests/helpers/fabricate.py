"""Studies made up for tests: plausible rows and outcomes, written through the real record store.

Tests get it as the fixture `fabricate`.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from normlab.records.layer_diagnostics import LayerDiagnosticsRow
from normlab.records.plan import StudyPlan, parse_plan, write_plan
from normlab.records.run import (
    DataSpec,
    EpochRow,
    Measures,
    NetworkSpec,
    NormSite,
    OptimizerSpec,
    Outcome,
    RunSpec,
)
from normlab.records.store import Predictions, RunFolder, RunRecord

ARMS = ("bn", "in", "bin", "ln", "gn", "none", "torch-bn")
ENVIRONMENT = {
    "python": "3.11.2",
    "platform": "Linux-6.1",
    "processor": "Test Processor 9000",
    "cores": 2,
    "device": "cpu",
    "threads": 2,
    "libraries": {"normlab": "0.1", "torch": "2.13.0", "numpy": "2.4.6"},
}
EFFECTS = {"bn": 0.0, "in": -0.03, "bin": 0.012, "ln": -0.02, "gn": -0.01, "none": -0.12}

Cell = tuple[str, int]


def make_plan(
    norms: Sequence[str] = ARMS,
    blocks: int = 3,
    classes: Sequence[str] = ("egret", "barbet", "peacock", "lapwing"),
    epochs: int = 5,
    analysis: Mapping[str, Any] | None = None,
    **factors: Any,
) -> StudyPlan:
    """A frozen plan; `factors` are further levels (optimizer, learning_rate, batch_size)."""
    plan = parse_plan(
        {
            "name": "birds",
            "blocks": blocks,
            "data": {"source": "photos", "image_size": 32},
            "factors": [{"norm": tuple(norms), **factors}],
            "training": {"epochs": epochs},
            "analysis": dict(analysis or {}),
        }
    )
    frozen = {
        "hash": plan.hash,
        "created": "2025-01-02T03:04:05Z",
        "normlab": "0.1",
        "fingerprint": "f" * 64,
        "classes": tuple(classes),
    }
    return StudyPlan.model_validate({**plan.model_dump(), "frozen": frozen})


def make_spec(plan: StudyPlan, arm: str, block: int, **changes: Any) -> RunSpec:
    """The spec of one run in the first setting of the plan, with any field changed."""
    factors = plan.factors[0]
    assert plan.frozen is not None
    content: dict[str, Any] = {
        "arm": arm,
        "block": block,
        "data": DataSpec(
            fingerprint=plan.frozen.fingerprint,
            classes=plan.frozen.classes,
            image_size=plan.data.image_size,
        ),
        "network": NetworkSpec(),
        "norm": arm,
        "optimizer": OptimizerSpec(
            name=factors.optimizer[0], learning_rate=factors.learning_rate[0]
        ),
        "batch_size": factors.batch_size[0],
        "epochs": plan.training.epochs,
    }
    return RunSpec(**{**content, **changes})


def make_measures(accuracy: float, images: int = 1000, loss: float | None = None) -> Measures:
    accuracy = min(max(round(accuracy * images) / images, 0.0), 1.0)
    return Measures(
        loss=loss if loss is not None else float(np.exp(-2.5 * accuracy) * 1.6),
        accuracy=accuracy,
        micro_f1=accuracy,
        macro_f1=max(accuracy - 0.004, 0.0),
        images=images,
    )


SITES = {
    "bn": ("BatchNorm2d", "batch", True),
    "torch-bn": ("TorchBatchNorm2d", "batch", True),
    "bin": ("BatchInstanceNorm2d", "batch", False),
    "in": ("InstanceNorm2d", "instance", True),
    "ln": ("LayerNorm2d", "layer", True),
    "gn": ("GroupNorm2d", "group", True),
}
"""Class, what statistics run over, whether it only standardizes; other norms take none."""


def make_site(spec: RunSpec) -> NormSite:
    """The last norm of a 6n+2 network as training would have measured it."""
    kind, over, standardizes = SITES.get(spec.norm.split(":")[0], ("NoNorm2d", "nothing", False))
    pixels = (-(-spec.data.image_size // 4)) ** 2
    counts = {"batch": spec.batch_size, "instance": 1, "group": 8, "layer": 64}
    values = counts[over] * pixels if over in counts else None
    return NormSite(
        layer="stages.2.1.norm2",
        kind=kind,
        over=over,  # type: ignore[arg-type]
        values=values,
        standardizes=standardizes,
    )


def make_run(spec: RunSpec, accuracy: float, status: str = "finished", seed: int = 0) -> RunRecord:
    """A run that reaches `accuracy` on the test part, in as many epochs as its spec says."""
    noise = np.random.default_rng([seed, spec.block, *spec.arm.encode(), spec.batch_size])
    chance = 1 / len(spec.data.classes)
    unended = status in ("diverged", "interrupted", "unfinished", "failed", "out_of_memory")
    epochs = max(1, spec.epochs // 2) if unended else spec.epochs
    rows = []
    for epoch in range(1, epochs + 1):
        progress = 1 - np.exp(-3.5 * epoch / spec.epochs)
        reached = chance + (accuracy - chance) * progress + noise.normal(0, 0.012)
        train = make_measures(reached + 0.01, 4000)
        if status == "diverged" and epoch == epochs:
            train = make_measures(chance, 4000, loss=float("nan"))
        rows.append(
            EpochRow(
                epoch=epoch,
                learning_rate=0.1,
                train=train,
                validation=make_measures(reached + noise.normal(0, 0.01), 500),
                seconds=4.0,
                images_per_second=1000.0 if spec.arm == "bn" else 900.0 + noise.normal(0, 5),
            )
        )
    done = status in ("finished", "stopped_early")
    measures = make_measures(accuracy)  # the loss is that of no other arm, as in real training
    measures = measures.model_copy(update={"loss": measures.loss * (1 + 0.01 * noise.random())})
    outcome = Outcome(
        status="failed" if status == "unfinished" else status,  # type: ignore[arg-type]
        epochs=epochs,
        reported_epoch=epochs if done else None,
        train=make_measures(accuracy + 0.02, 4000) if done else None,
        validation=make_measures(accuracy, 500) if done else None,
        test=measures if done else None,
        parameters=173481,
        norm_sites=(make_site(spec),) if done else None,
        seconds=4.0 * epochs,
        error="the training loss is not finite" if status == "diverged" else None,
    )
    return RunRecord(
        folder=Path(spec.folder_name),
        spec=spec,
        environment=ENVIRONMENT,
        rows=tuple(rows),
        outcome=None if status == "unfinished" else outcome,
    )


def make_runs(
    plan: StudyPlan,
    effects: Mapping[str, float] | None = None,
    statuses: Mapping[Cell, str] | None = None,
    without: Collection[Cell] = (),
    sd: float = 0.006,
    seed: int = 0,
) -> list[RunRecord]:
    """Every cell of the plan: block effect + arm effect + noise around 0.8, clipped to [0, 1]."""
    effects = EFFECTS if effects is None else effects
    statuses = statuses or {}
    random = np.random.default_rng(seed)
    block_effects = random.normal(0, 0.01, plan.blocks)
    runs = []
    for factors in plan.factors:
        cells = itertools.product(
            factors.optimizer,
            factors.learning_rate,
            factors.batch_size,
            range(plan.blocks),
            factors.norm,
        )
        for optimizer, learning_rate, batch_size, block, arm in cells:
            accuracy = 0.8 + block_effects[block] + effects.get(arm, 0.0) + random.normal(0, sd)
            if (arm, block) in without:
                continue
            spec = make_spec(
                plan,
                arm,
                block,
                optimizer=OptimizerSpec(name=optimizer, learning_rate=learning_rate),
                batch_size=batch_size,
            )
            runs.append(make_run(spec, accuracy, statuses.get((arm, block), "finished"), seed))
    return runs


def write_study(folder: Path, plan: StudyPlan, runs: Sequence[RunRecord]) -> list[RunRecord]:
    """Write study.toml and a folder for every run; returns the records with their real folders."""
    with mock.patch("os.fsync"):  # a made-up study may be lost in a power cut
        return _write_study(folder, plan, runs)


def _write_study(folder: Path, plan: StudyPlan, runs: Sequence[RunRecord]) -> list[RunRecord]:
    folder.mkdir(parents=True, exist_ok=True)
    write_plan(plan, folder / "study.toml")
    written = []
    for run in runs:
        run_folder = RunFolder(folder / "runs" / run.spec.folder_name)
        run_folder.create(run.spec, run.environment)
        for row in run.rows:
            run_folder.append_row(row)
        if run.outcome is not None:
            if run.outcome.test is not None:
                run_folder.write_predictions(make_predictions(run))
            run_folder.write_outcome(run.outcome)
        written.append(replace(run, folder=run_folder.path))
    return written


def make_predictions(run: RunRecord, images: int = 40) -> Predictions:
    classes = len(run.spec.data.classes)
    random = np.random.default_rng([run.spec.block, *run.spec.arm.encode()])
    probabilities = random.dirichlet(np.ones(classes), images).astype(np.float32)
    ids = np.array([f"photo-{index:03}.jpg" for index in range(images)])
    labels = np.random.default_rng(0).integers(0, classes, images)  # the same pictures in every run
    return Predictions(ids, labels, probabilities)


def write_layers(run: RunRecord, layers: int = 3, epochs: int | None = None) -> None:
    """What the network was inside: feature k of epoch e in block b is (k + 1)·e + b, and so on."""
    folder, block = RunFolder(run.folder), run.spec.block
    batch, gated = run.spec.arm in ("bn", "bin"), run.spec.arm == "bin"
    for epoch in range(1, (epochs or run.spec.epochs) + 1):
        row = LayerDiagnosticsRow(
            epoch=epoch,
            features=tuple(float((k + 1) * epoch + block) for k in range(4)),
            layers=tuple(f"stages.{k}.norm" for k in range(layers)),
            gradient=tuple(0.1 / (k + 1) + 0.01 * block for k in range(layers)),
            weight=(0.1,) * layers,
            dead=tuple(0.25 * (k == 0) for k in range(layers)),
            mean_gap=tuple(0.5 / epoch if batch else None for _ in range(layers)),
            scale_gap=tuple(0.2 if batch else None for _ in range(layers)),
            gate=tuple((0.5, 1 - 0.1 * k, 1.0) if gated else None for k in range(layers)),
        )
        with mock.patch("os.fsync"):
            folder.append_layer_diagnostics(row)
    if run.outcome is not None:
        folder.write_outcome(run.outcome)  # which vouches for the file
