"""How much damage to records and caches is used without a word: bits, cuts, gaps, edits, swaps.

    python benchmarks/damage.py [--damages 60] [--seed 0]

A small study is made, and a run of it that was stopped. Then every kind of file is damaged again
and again, and what normlab reads it with is asked for its content: one bit is turned, the file is
cut, a stretch becomes zeros, a digit is edited, the file of another run takes its place.

used      the reader gave another content than before, without a word (goal: 0)
crashed   it ended with an exception that is not one of normlab's sentences (goal: 0)
refused   it said what is wrong
mended    it gave the right content: the damage does not matter, or the cache was made anew
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections import Counter
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
from normlab.records.data_report import DataReport
from normlab.records.plan import parse_plan
from normlab.records.store import DATA, TUNING_RESULTS, RunFolder, read_optional, write_model
from normlab.records.tuning_results import Trial, TunedArm, TuningResults
from normlab.study.study import Study
from normlab.train.checkpoint import load_checkpoint, load_weights
from normlab.train.execute import execute
from normlab.train.network import build_network
from normlab.train.optimizers import make_optimizer, make_schedule
from timing import markdown_table

TEXT = (".json", ".jsonl")


@dataclass(frozen=True)
class Kind:
    """One kind of file: where it is, who reads it, and what could be mistaken for it."""

    name: str
    path: Path
    read: Callable[[], Any]
    other: Path | None = None


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


def try_damages(kind: Kind, number: int, random: np.random.Generator) -> Counter[str]:
    """What becomes of so many damages of one file."""
    original = kind.path.read_bytes()
    around = {path: path.read_bytes() for path in kind.path.parent.iterdir() if path.is_file()}
    expected = print_of(kind.read())
    found: Counter[str] = Counter()
    while found.total() < number:
        damaged = damages(original, kind, random)
        if damaged == original:
            continue
        kind.path.write_bytes(damaged)
        try:
            found["mended" if print_of(kind.read()) == expected else "used"] += 1
        except NormlabError:
            found["refused"] += 1
        except Exception as error:
            found["crashed"] += 1
            print(f"crashed: {kind.name}: {type(error).__name__}: {error}"[:160])
        for path, content in around.items():  # a cache entry was made anew in another folder
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return found


def make_photos(folder: Path, images: int = 400) -> Path:
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
    for name, model in ((TUNING_RESULTS, TuningResults), (DATA, DataReport)):
        path = study.folder / name
        yield Kind(name, path, lambda path=path, model=model: read_optional(path, model))

    def prepared() -> Any:
        found = load_data(str(photos), 16)
        manifest = found.manifest
        return found.images, manifest.names, manifest.labels, manifest.parts, found.pixel_sums

    (entry,) = (path.parent for path in cache.glob("images/*/checks.json"))
    for name in ("images.u8", "manifest.npz", "checks.json"):
        yield Kind(f"cache: {name}", entry / name, prepared)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--damages", type=int, default=60, help="of each kind of file")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NORMLAB_CACHE"] = f"{folder}/cache"
        photos = make_photos(Path(folder, "photos"))
        study, _ = make_study(Path(folder, "study"), photos)
        for number, kind in enumerate(kinds(study, photos, Path(folder, "cache"))):
            random = np.random.default_rng([options.seed, number])
            found = try_damages(kind, options.damages, random)
            columns = [str(found[key]) for key in ("used", "crashed", "refused", "mended")]
            rows.append((kind.name, str(found.total()), *columns))
    print(markdown_table(("file", "damages", "used", "crashed", "refused", "mended"), rows))
    used, crashed = (sum(int(row[n]) for row in rows) for n in (2, 3))
    print(f"used in silence: {used} (goal 0); crashed: {crashed} (goal 0)")


if __name__ == "__main__":
    main()
