"""Where it breaks: accuracy of finished runs on changed images, and in batches of other kinds.

Every run sees the same test images, changed in the same way; with the statistics of its own
batches a network is tried as evaluation is not meant to be, which shows what its norm leans on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, UInt8

from normlab.data.dataset import Dataset
from normlab.data.load import standardise
from normlab.data.split import make_split
from normlab.explain.arms import finished_runs
from normlab.explain.corruptions import change
from normlab.records.robustness import (
    AS_IT_IS,
    COMPOSITION,
    COMPOSITIONS,
    CORRUPTIONS,
    RobustnessRow,
    append_robustness,
    read_robustness,
)
from normlab.records.run import RunSpec, known
from normlab.serving.predictor import Predictor
from normlab.train.checkpoint import copy_weights
from normlab.train.network import keeps_running
from normlab.train.step import forward

BATCH = 64
AT_ONCE = 32
"""Networks in memory at a time."""
Progress = Callable[[str, int, int], None]
Condition = tuple[str, str]


def measure_robustness(
    study: Path,
    dataset: Dataset,
    *,
    images: int = 500,
    seed: int = 0,
    arms: Sequence[str] = (),
    changes: Sequence[str] = (),
    device: torch.device | str = "cpu",
    between: Callable[[Iterable[Condition]], Iterable[Condition]] = iter,
    progress: Progress = lambda what, done, total: None,
) -> int:
    """Append a row for every finished run and condition that has none yet; how many were added.

    Args:
        study: its folder.
        dataset: its images.
        images: at most so many of the test part, drawn by the seed.
        seed: of that choice, and of all that is drawn for an image.
        arms: names; none for all.
        changes: keys of CORRUPTIONS, or "batch"; none for all.
        device: where networks run.
        between: wraps the conditions; stops between two of them.
        progress: told what is measured, how many conditions are done, and of how many.

    Raises:
        UsageError: no run is finished.
        UnknownNameError: no such arm or change.
    """
    runs = finished_runs(study, arms)
    wanted = [known("change", name, (*CORRUPTIONS, COMPOSITION)) for name in changes]
    chosen = sample(dataset, runs[0].spec, images, seed)
    done = {
        (row.run, *row.condition)
        for row in read_robustness(study)
        if (row.images, row.seed) == (len(chosen), seed)
    }
    pixels, labels = dataset.images[chosen], dataset.manifest.labels[chosen]
    conditions = list(_conditions(wanted or [*CORRUPTIONS, COMPOSITION]))
    added, step, total = 0, 0, len(conditions) * -(-len(runs) // AT_ONCE)
    for start in range(0, len(runs), AT_ONCE):
        group = runs[start : start + AT_ONCE]
        predictors: dict[str, Predictor] = {}
        for condition in between(conditions):
            name, level = condition
            progress(name if level == "0" else f"{name}, {level}", step, total)
            step += 1
            missing = [r for r in group if (r.folder.name, *condition) not in done]
            for run in missing:
                if run.folder.name not in predictors:
                    predictors[run.folder.name] = Predictor.load(run.folder, device)
            own = {r.folder.name: predictors[r.folder.name] for r in missing}
            if name == COMPOSITION:
                own = {key: p for key, p in own.items() if keeps_running(p.network)}
                right = {
                    key: right_in_batches(p, pixels, labels, level, seed) for key, p in own.items()
                }
            else:
                right = right_when_changed(own, pixels, labels, condition, seed)
            append_robustness(
                study,
                [
                    RobustnessRow(
                        run=key,
                        change=name,
                        level=level,
                        accuracy=count / len(chosen),
                        images=len(chosen),
                        seed=seed,
                    )
                    for key, count in right.items()
                ],
            )
            added += len(right)
    return added


def sample(dataset: Dataset, spec: RunSpec, images: int, seed: int) -> Int[np.ndarray, " images"]:
    """Test images, which are the same in all blocks, drawn by the seed."""
    part = make_split(dataset.manifest, spec.data, spec.seed, spec.block).test
    if len(part) <= images:
        return part
    random = np.random.default_rng([seed, len(part)])
    return np.sort(random.choice(part, images, replace=False))


@torch.inference_mode()
def right_when_changed(
    predictors: dict[str, Predictor],
    pixels: UInt8[np.ndarray, "n s s 3"],
    labels: Int[np.ndarray, " n"],
    condition: Condition,
    seed: int,
) -> dict[str, int]:
    """How many images each network names rightly, in evaluation mode."""
    name, level = condition
    right = dict.fromkeys(predictors, 0)
    for first in range(0, len(pixels), BATCH):
        part = pixels[first : first + BATCH]
        if name != AS_IT_IS and predictors:
            part = change(part, name, int(level), seed, first)
        for key, predictor in predictors.items():
            found = _predicted(predictor, part)
            right[key] += int((found == labels[first : first + BATCH]).sum())
    return right


@torch.inference_mode()
def right_in_batches(
    predictor: Predictor,
    pixels: UInt8[np.ndarray, "n s s 3"],
    labels: Int[np.ndarray, " n"],
    composition: str,
    seed: int,
) -> int:
    """How many images are named rightly where each batch normalizes by its own statistics."""
    weights = copy_weights(predictor.network)
    predictor.network.train()
    try:
        return sum(
            int((_predicted(predictor, pixels[own]) == labels[own]).sum())
            for own in batches_of(labels, composition, seed)
        )
    finally:
        predictor.network.eval()
        predictor.network.load_state_dict(weights)  # training mode moved the running statistics


def batches_of(
    labels: Int[np.ndarray, " n"], composition: str, seed: int
) -> list[Int[np.ndarray, " images"]]:
    """The images of every batch, in an order drawn by the seed; a rest joins the one before."""
    order = np.random.default_rng([seed, len(labels), 1]).permutation(len(labels))
    if composition != "one class":
        return _cut(order, int(composition))
    return [batch for c in np.unique(labels) for batch in _cut(order[labels[order] == c], 32)]


def _cut(order: Int[np.ndarray, " n"], size: int) -> list[Int[np.ndarray, " images"]]:
    return np.array_split(order, range(size, len(order) - size + 1, size))


def _predicted(predictor: Predictor, pixels: UInt8[np.ndarray, "n s s 3"]) -> np.ndarray:
    batch = torch.from_numpy(np.ascontiguousarray(pixels)).to(predictor.mean.device)
    images = standardise(batch, predictor.mean, predictor.std)
    predicted: np.ndarray = (
        forward(predictor.network, images, predictor.spec).argmax(1).cpu().numpy()
    )
    return predicted


def _conditions(names: Sequence[str]) -> Iterator[Condition]:
    yield AS_IT_IS, "0"
    for name in names:
        levels = COMPOSITIONS if name == COMPOSITION else map(str, range(1, 6))
        yield from ((name, level) for level in levels)
