"""Images a second: preparation, and training batches, against a DataLoader with Pillow.

    python benchmarks/data.py photos.zip                 64 px, batch 32, standard augmentation
    python benchmarks/data.py photos/ --size 128 --augmentation strong --json data.json

Preparation is compared with decoding and scaling alone on as many threads; batches with torch's
DataLoader over the same files, decoded and transformed one by one with Pillow as torchvision's
transforms do it (crop, mirror, turn, colours), in as many worker processes as there are cores. A
step of training says how much of it is spent on waiting for a batch. Each ratio stands with its
goal, by the clock and by seconds of CPU, which another program on the machine disturbs less.
many_images.py prepares as many images as ImageNet has.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch.utils.data import DataLoader, Dataset

from normlab.data.augment.policy import in_one_pass, operations
from normlab.data.dataset import load_data
from normlab.data.decode import decode
from normlab.data.load import BlockData, block_data
from normlab.data.sources import Source, open_source
from normlab.records.run import DataSpec, RunSpec
from normlab.train.fit import train_epoch
from normlab.train.network import build_network
from normlab.train.optimizers import make_optimizer, make_schedule
from timing import as_data, machine


class PillowFiles(Dataset):  # type: ignore[type-arg]
    """One image at a time, as torchvision's ImageFolder and transforms do it."""

    def __init__(self, contents: list[bytes], size: int, augmented: bool) -> None:
        self.contents, self.size, self.augmented = contents, size, augmented

    def __len__(self) -> int:
        return len(self.contents)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = Image.open(io.BytesIO(self.contents[index])).convert("RGB")
        if self.augmented:
            width, height = image.size
            part = random.uniform(0.4, 1.0) ** 0.5
            w, h = int(width * part), int(height * part)
            left, top = random.randint(0, width - w), random.randint(0, height - h)
            image = image.crop((left, top, left + w, top + h))
        image = image.resize((self.size, self.size), Image.Resampling.BILINEAR)
        if self.augmented:
            if random.random() < 0.5:
                image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            image = image.rotate(random.uniform(-15, 15), Image.Resampling.BILINEAR)
            for kind in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
                image = kind(image).enhance(random.uniform(0.6, 1.4))
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div_(255)
        return pixels.sub_(0.45).div_(0.25), 0


class Clock:
    """Seconds, and seconds of CPU of this process and of those that it has waited for."""

    def __init__(self) -> None:
        self._start, self._cpu = time.perf_counter(), self._used()

    def read(self) -> np.ndarray:
        """(seconds, seconds of CPU) so far."""
        return np.array([time.perf_counter() - self._start, self._used() - self._cpu])

    def _used(self) -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime


def each(batches: Iterator[object], batch: int, count: int) -> np.ndarray:
    """Seconds an image over `count` batches, after two, by both clocks."""
    for _ in islice(batches, 2):
        pass
    clock = Clock()
    number = sum(1 for _ in islice(batches, count))
    return clock.read() / (number * batch)


def each_of_loader(files: PillowFiles, batch: int, count: int) -> np.ndarray:
    """The same of a DataLoader; its processes are counted from their start to their end."""
    loader = DataLoader(files, batch, shuffle=True, num_workers=os.cpu_count() or 1)
    clock, batches = Clock(), iter(loader)
    running = each(batches, batch, count)
    del batches
    return np.array([running[0], clock.read()[1] / ((count + 2) * batch)])


def forever(make: Callable[[int], Iterator[object]]) -> Iterator[object]:
    """Epoch after epoch."""
    epoch = 0
    while True:
        epoch += 1
        yield from make(epoch)


def preparation(source: Source, size: int, rounds: int) -> dict[str, np.ndarray]:
    """Seconds an image of a first `load_data`, and of decoding and scaling alone."""
    contents = [source.read(item.name) for item in source.items()]
    found: dict[str, list[np.ndarray]] = {"alone": [], "prepare": []}
    for _ in range(rounds):
        clock = Clock()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(lambda content: decode(content, size, "squash"), contents):
                pass
        found["alone"].append(clock.read() / len(contents))
        with tempfile.TemporaryDirectory() as cache:
            clock = Clock()
            dataset = load_data(source.location, size, cache=Path(cache))
            found["prepare"].append(clock.read() / len(dataset.manifest))
            clock = Clock()
            load_data(source.location, size, cache=Path(cache))
            found.setdefault("open again", []).append(clock.read())
    return {name: np.median(values, axis=0) for name, values in found.items()}


def step_seconds(data: BlockData, spec: RunSpec) -> np.ndarray:
    """Seconds of a step whose batch is there already."""
    network = build_network(spec)
    optimizer = make_optimizer(network, spec.optimizer)
    schedule = make_schedule(optimizer, spec.schedule, epochs=100, steps_per_epoch=100)
    batches = list(islice(data.train_batches(1), 12))
    train_epoch(network, optimizer, schedule, batches[:2], spec)
    clock = Clock()
    train_epoch(network, optimizer, schedule, batches[2:], spec)
    return clock.read() / len(batches[2:])


def line(name: str, values: np.ndarray, goal: str = "") -> None:
    """A row of the table: by the clock, by CPU, the goal."""
    print(f"| {name:<38} | {values[0]:10,.3f} | {values[1]:10,.3f} | {goal:<6} |")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--augmentation", default="standard")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--images", type=int, default=4000, help="for Pillow")
    parser.add_argument("--first-method", action="store_true", help="by torch's resampling")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    print(machine("cpu"))

    source = open_source(arguments.source)
    prepared = preparation(source, arguments.size, max(1, arguments.rounds // 2))
    dataset = load_data(arguments.source, arguments.size)
    data_spec = DataSpec(
        fingerprint=dataset.manifest.fingerprint,
        classes=dataset.manifest.classes,
        image_size=arguments.size,
    )
    one_pass = in_one_pass(operations(arguments.augmentation)) and not arguments.first_method
    spec = RunSpec(
        arm="bn", block=0, data=data_spec, norm="bn", batch_size=arguments.batch,
        augmentation=arguments.augmentation, augmentation_method=2 if one_pass else None,
    )  # fmt: skip
    data = block_data(dataset, spec)
    contents = [source.read(item.name) for item in source.items()[: arguments.images]]
    files = PillowFiles(contents, arguments.size, arguments.augmentation != "none")
    own, pillow = [], []
    for _ in range(arguments.rounds):
        own.append(each(forever(data.train_batches), arguments.batch, 5 * arguments.batches))
        pillow.append(each_of_loader(files, arguments.batch, arguments.batches))
    mine, theirs = np.median(own, axis=0), np.median(pillow, axis=0)
    step, batch = step_seconds(data, spec), arguments.batch * mine
    load = os.getloadavg()[0]
    kind = f"{'one pass' if one_pass else 'first method'}, {torch.get_num_threads()} threads"
    print(
        f"\n{arguments.source}: {len(dataset.manifest):,} images at {arguments.size} px, "
        f"batch {arguments.batch}, {arguments.augmentation} ({kind}), load {load:.1f}\n"
    )
    print(f"| {'':<38} | {'clock':>10} | {'CPU':>10} | {'goal':<6} |")
    line("prepare, ms an image", 1e3 * prepared["prepare"])
    line("decode and scale alone, ms", 1e3 * prepared["alone"])
    line("ratio", prepared["prepare"] / prepared["alone"], "≤ 1.3")
    line("open again, s", prepared["open again"])
    line("batches, µs an image", 1e6 * mine)
    line("DataLoader + Pillow, µs an image", 1e6 * theirs)
    line("ratio", theirs / mine, "≥ 10")
    line("step without data, ms", 1e3 * step)
    line("share of a step spent on data, %", 100 * batch / (batch + step), "≤ 2")
    if arguments.json:
        content = {name: values.tolist() for name, values in prepared.items()}
        content |= {"batches": mine.tolist(), "pillow": theirs.tolist(), "step": step.tolist()}
        arguments.json.write_text(json.dumps({"machine": as_data(machine("cpu")), **content}))


if __name__ == "__main__":
    main()
