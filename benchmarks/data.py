"""Images a second: preparation, and training batches, against a DataLoader with Pillow.

    python benchmarks/data.py photos.zip                 64 px, batch 32, standard augmentation
    python benchmarks/data.py photos/ --size 128 --augmentation strong --json data.json

Preparation is compared with decoding and scaling alone on as many threads; batches with torch's
DataLoader over the same files, decoded and transformed one by one with Pillow as torchvision's
transforms do it (crop, mirror, turn, colours), in as many worker processes as there are cores. A
step of training says how much of it is spent on waiting for a batch.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch.utils.data import DataLoader, Dataset

from normlab.data.dataset import load_data
from normlab.data.decode import decode
from normlab.data.load import block_data
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


def rate(batches: Iterator[object], batch: int, count: int) -> float:
    """Images a second over `count` batches, after two."""
    for _ in islice(batches, 2):
        pass
    start = time.perf_counter()
    number = sum(1 for _ in islice(batches, count))
    return number * batch / (time.perf_counter() - start)


def forever(make: Callable[[int], Iterator[object]]) -> Iterator[object]:
    """Epoch after epoch."""
    epoch = 0
    while True:
        epoch += 1
        yield from make(epoch)


def preparation(source: Source, size: int, count: int) -> dict[str, float]:
    """Images a second of a first `load_data`, and of decoding and scaling alone."""
    contents = [source.read(item.name) for item in source.items()[:count]]
    start = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(lambda content: decode(content, size, "squash"), contents):
            pass
    alone = len(contents) / (time.perf_counter() - start)
    with tempfile.TemporaryDirectory() as cache:
        start = time.perf_counter()
        dataset = load_data(source.location, size, cache=Path(cache))
        whole = len(dataset.manifest) / (time.perf_counter() - start)
        start = time.perf_counter()
        load_data(source.location, size, cache=Path(cache))
        again = time.perf_counter() - start
    return {"prepare": whole, "decode alone": alone, "seconds to open again": again}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--augmentation", default="standard")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--images", type=int, default=4000, help="for decoding alone and Pillow")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    print(machine("cpu"))

    source = open_source(arguments.source)
    prepared = preparation(source, arguments.size, arguments.images)
    dataset = load_data(arguments.source, arguments.size)
    data_spec = DataSpec(
        fingerprint=dataset.manifest.fingerprint,
        classes=dataset.manifest.classes,
        image_size=arguments.size,
    )
    spec = RunSpec(
        arm="bn", block=0, data=data_spec, norm="bn", batch_size=arguments.batch,
        augmentation=arguments.augmentation,
    )  # fmt: skip
    data = block_data(dataset, spec)
    contents = [source.read(item.name) for item in source.items()[: arguments.images]]
    rates: dict[str, list[float]] = {"normlab": [], "DataLoader + Pillow": []}
    workers = os.cpu_count() or 1
    for _ in range(arguments.rounds):
        own = forever(data.train_batches)
        rates["normlab"].append(rate(own, arguments.batch, 5 * arguments.batches))
        files = PillowFiles(contents, arguments.size, arguments.augmentation != "none")
        loader = DataLoader(files, arguments.batch, shuffle=True, num_workers=workers)
        rates["DataLoader + Pillow"].append(rate(iter(loader), arguments.batch, arguments.batches))

    network = build_network(spec)
    optimizer = make_optimizer(network, spec.optimizer)
    schedule = make_schedule(optimizer, spec.schedule, epochs=100, steps_per_epoch=100)
    batches = list(islice(data.train_batches(1), 12))
    train_epoch(network, optimizer, schedule, batches[:2], spec)
    _, seconds = train_epoch(network, optimizer, schedule, batches[2:], spec)
    step = seconds / len(batches[2:])
    waiting = arguments.batch / median(rates["normlab"])

    found = {
        **prepared,
        **{f"batches, {name}": median(values) for name, values in rates.items()},
        "ratio": median(rates["normlab"]) / median(rates["DataLoader + Pillow"]),
        "milliseconds of a step without data": 1e3 * step,
        "share of a step spent on data": waiting / (waiting + step),
    }
    print(
        f"\n{arguments.source}: {len(dataset.manifest):,} images at {arguments.size} px, "
        f"batch {arguments.batch}, {arguments.augmentation}\n"
    )
    for name, value in found.items():
        print(f"| {name:<38} | {value:10,.3f} |")
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": as_data(machine("cpu")), **found}))


if __name__ == "__main__":
    main()
