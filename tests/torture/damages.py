"""Damage to records and caches: bits, cuts, gaps, edits and swaps of every kind of file.

A small study is made, and a run of it that was stopped. Then every kind of file is damaged again
and again, and what normlab reads it with is asked for its content: one bit is turned, the file is
cut, a stretch becomes zeros, a digit is edited, the file of another run takes its place.

used      the reader gave another content than before, without a word
crashed   it ended with an exception that is not one of normlab's sentences
unnamed   it said what is wrong, but not which file or run it is
named     it said what is wrong with which file
harmless  it gave the right content: the damage does not matter, or the cache was made anew

The first three are failures.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from normlab.data.dataset import Dataset, load_data
from normlab.data.load import block_data
from normlab.errors import InterruptedRunError, NormlabError
from normlab.records.data_report import PROBE, DataReport, Probe
from normlab.records.plan import StudyPlan, parse_plan, read_plan
from normlab.records.robustness import (
    ROBUSTNESS,
    RobustnessRow,
    append_robustness,
    read_robustness,
)
from normlab.records.store import DATA, TUNING_RESULTS, RunFolder, read_optional, write_model
from normlab.records.tuning_results import Trial, TunedArm, TuningResults
from normlab.study.study import Study
from normlab.train.checkpoint import load_checkpoint, load_weights
from normlab.train.execute import execute
from normlab.train.network import build_network
from normlab.train.optimizers import make_optimizer, make_schedule

from .children import temporary_folder
from .tally import Tally

TEXT = (".json", ".jsonl")


@dataclass(frozen=True)
class Kind:
    """One kind of file: where it is, who reads it, and what could be mistaken for it."""

    name: str
    path: Path
    read: Callable[[], Any]
    other: Path | None = None
    is_log: bool = False
    """Whether whole rows at its end may be missing, as where it was not written further."""


def damages(content: bytes, kind: Kind, random: np.random.Generator) -> bytes:
    """The content with one random damage."""
    way = str(random.choice(["bit", "bit", "cut", "gap", "edit", "swap"]))
    if way == "swap" and kind.other is not None:
        return kind.other.read_bytes()
    if way == "edit" and kind.path.suffix in TEXT:
        places = [n for n, byte in enumerate(content) if chr(byte).isdigit()]
        place = int(random.choice(places))
        digit = (content[place] - 48 + int(random.integers(1, 10))) % 10 + 48
        return content[:place] + bytes([digit]) + content[place + 1 :]
    if way == "cut":
        return content[: int(random.integers(0, len(content)))]
    place = int(random.integers(0, len(content)))
    if way == "gap":
        length = min(int(random.integers(8, 512)), len(content) - place)
        return content[:place] + bytes(length) + content[place + length :]
    turned = content[place] ^ (1 << int(random.integers(8)))
    return content[:place] + bytes([turned]) + content[place + 1 :]


def print_of(value: Any) -> str:
    """Text that differs where the content does."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().float().numpy()
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape}{np.ascontiguousarray(value).tobytes()!r}"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {print_of(v)}' for key, v in value.items())}}}"
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return f"[{', '.join(map(print_of, value))}]"
    if hasattr(value, "__dataclass_fields__"):
        return print_of({name: getattr(value, name) for name in value.__dataclass_fields__})
    return repr(value)


def try_damages(kind: Kind, number: int, random: np.random.Generator, tally: Tally) -> None:
    """So many damages of one file."""
    original = kind.path.read_bytes()
    around = {path: path.read_bytes() for path in kind.path.parent.iterdir() if path.is_file()}
    expected = print_of(kind.read())
    while tally.tried < number:
        damaged = damages(original, kind, random)
        if damaged == original:
            continue
        kind.path.write_bytes(damaged)
        end, fault = one_reading(kind, expected)
        tally.count(fault, end)
        for path, content in around.items():  # a cache entry was made anew in another folder
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def one_reading(kind: Kind, expected: str) -> tuple[str, str | None]:
    """How a damaged file is read, and what is wrong with that."""
    try:
        found = print_of(kind.read())
    except NormlabError as error:
        names = (kind.path.name, kind.path.parent.name, kind.path.parents[1].name)
        if any(name in str(error) for name in names):
            return "named", None
        return "unnamed", f"not named: {error}"
    except Exception as error:
        return "crashed", f"{type(error).__name__}: {str(error)[:160]}"
    if found == expected or (kind.is_log and expected.startswith(found.rstrip("]), "))):
        return "harmless", None
    return "used", f"used in silence: {_first_difference(expected, found)}"


def _first_difference(expected: str, found: str) -> str:
    place = next(
        (n for n, (one, other) in enumerate(zip(expected, found, strict=False)) if one != other), 0
    )
    return f"{expected[max(0, place - 30) : place + 30]!r}, {found[max(0, place - 30) :][:60]!r}"


def make_photos(folder: Path, images: int = 240) -> Path:
    """Pictures of two classes that differ in brightness."""
    random = np.random.default_rng(0)
    for name, level in (("dark", 90), ("light", 150)):
        (folder / name).mkdir(parents=True)
        for number in range(images // 2):
            pixels = random.normal(level, 50, (16, 16, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:03}.png")
    return folder


def make_study(folder: Path, photos: Path) -> tuple[Study, Dataset]:
    """A finished study of two arms and two blocks; its third block was stopped in epoch 3."""
    plan = parse_plan(
        {
            "name": "damage",
            "blocks": 2,
            "data": {"source": str(photos), "image_size": 16},
            "factors": {"norm": ["bn", "gn"]},
            "training": {"epochs": 4, "network": "cifar-resnet8"},
        }
    )
    dataset = load_data(str(photos), 16)
    study = Study.create(folder, plan, dataset)
    for _ in study.run(dataset):
        pass
    for spec in study.with_blocks(3).specs()[-2:]:
        data = block_data(dataset, spec)
        left = [2 * data.steps_per_epoch + 8]

        def stop(images: int, left: list[int] = left) -> None:
            left[0] -= images > 0
            if not left[0]:
                raise InterruptedRunError("stopped")

        for _ in execute(spec, data, study.run_folder(spec), on_batch=stop):
            pass
    trial = Trial(levels={"learning_rate": 0.1}, epochs=4, score=0.75, status="finished")
    arm = TunedArm(
        setting="sgd", arm="bn", trials=(trial,), chosen=trial.levels, at_edge=(), runs=2, epochs=8,
        seconds=3.5,
    )  # fmt: skip
    ranges = {"learning_rate": (0.01, 1.0)}
    results = TuningResults(metric="accuracy", blocks=(1000,), ranges=ranges, arms=(arm,))
    write_model(folder / TUNING_RESULTS, results)
    probe = Probe(
        arm="bn", seconds=3.5, epochs=2.25, planned_epochs=4, images=48, right=40, largest=24,
        p_value=1e-6, learned=True,
    )  # fmt: skip
    write_model(folder / PROBE, probe)
    names = [study.run_folder(spec).path.name for spec in study.specs()]
    rows = [
        RobustnessRow(run=name, change="blur", level=str(n), accuracy=0.875, images=48, seed=0)
        for name in names
        for n in range(1, 6)
    ]
    append_robustness(folder, rows)
    return study, dataset


def resumed(folder: RunFolder) -> Any:
    """All that a run takes up again when it goes on."""
    spec = folder.read().spec
    network = build_network(spec, "cpu")
    optimizer = make_optimizer(network, spec.optimizer)
    schedule = make_schedule(optimizer, spec.schedule, epochs=4, steps_per_epoch=9)
    before = load_checkpoint(folder.checkpoint_path, network, optimizer, schedule, run=spec.id)
    rows = folder.keep_rows(before.epoch, before.rows)
    return (
        *(before.epoch, before.best_weights, rows, folder.read_layer_diagnostics()),
        *(dict(network.state_dict()), optimizer.state_dict(), schedule.state_dict()),
    )


def kinds(study: Study, photos: Path, cache: Path) -> Iterator[Kind]:
    """Every kind of file, with its reader."""
    finished = [study.run_folder(spec) for spec in study.specs()]
    run, other = finished[:2]
    stopped = [study.run_folder(spec) for spec in study.with_blocks(3).specs()[-2:]]

    def record() -> Any:
        found = run.read()
        return found.spec, found.environment, found.rows, found.outcome

    readers: dict[str, Callable[[], Any]] = {
        "spec.json": record,
        "environment.json": record,
        "epochs.jsonl": record,
        "outcome.json": record,
        "layers.jsonl": run.read_layer_diagnostics,
        "predictions.npz": run.read_predictions,
        "weights.safetensors": lambda: load_weights(run.weights_path),
    }
    for name, read in readers.items():
        yield Kind(name, run.path / name, read, other.path / name)
    (state,) = stopped[0].checkpoint_path.iterdir()
    (swapped,) = stopped[1].checkpoint_path.iterdir()
    yield Kind("checkpoint", state, lambda: resumed(stopped[0]), swapped)
    for name in ("epochs.jsonl", "layers.jsonl"):
        path = stopped[0].path / name
        yield Kind(f"{name}, going on", path, lambda: resumed(stopped[0]), stopped[1].path / name)
    models = ((TUNING_RESULTS, TuningResults), (DATA, DataReport), (PROBE, Probe))
    for name, model in models:
        path = study.folder / name
        yield Kind(name, path, lambda path=path, model=model: read_optional(path, model))

    yield Kind("study.toml", study.path, lambda: fixed_part(read_plan(study.path)))
    yield Kind(
        ROBUSTNESS, study.folder / ROBUSTNESS, lambda: read_robustness(study.folder), is_log=True
    )

    def prepared() -> Any:
        found = load_data(str(photos), 16)
        manifest = found.manifest
        return found.images, manifest.names, manifest.labels, manifest.parts, found.pixel_sums

    (entry,) = (path.parent for path in cache.glob("images/*/checks.json"))
    for name in ("images.u8", "manifest.npz", "checks.json"):
        yield Kind(f"cache: {name}", entry / name, prepared)


def fixed_part(plan: StudyPlan) -> StudyPlan:
    """A plan without what may change after the start: blocks, trackers, the path of the images."""
    data = plan.data.model_copy(update={"source": "", "pairs": None})
    return plan.model_copy(update={"blocks": 1, "track": (), "data": data})


def torture(number: int, seed: int, say: Callable[[str], None]) -> list[Tally]:
    """So many damages, of every kind of file equally many."""
    tallies = []
    before = os.environ.get("NORMLAB_CACHE")
    with temporary_folder() as folder:
        os.environ["NORMLAB_CACHE"] = f"{folder}/cache"
        photos = make_photos(folder / "photos")
        study, _ = make_study(folder / "study", photos)
        all_kinds = list(kinds(study, photos, folder / "cache"))
        for place, kind in enumerate(all_kinds):
            tally = Tally(f"damages: {kind.name}", seed)
            random = np.random.default_rng([seed, place])
            try_damages(kind, -(-number // len(all_kinds)), random, tally)
            tallies.append(tally)
            say(f"{tally.kind}: {tally.tried}")
    if before is None:
        del os.environ["NORMLAB_CACHE"]
    else:
        os.environ["NORMLAB_CACHE"] = before
    return tallies
