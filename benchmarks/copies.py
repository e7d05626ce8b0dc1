"""How many injected copies of photographs are found, how many links are false, how long it takes.

    python benchmarks/copies.py photos.zip --injected 2200
    python benchmarks/copies.py DATA --groups manifest.csv      (columns file and source_group)
    python benchmarks/copies.py --family bursts --images 250 --injected 110

Goals: of the duplicates at least 99 % true in every set; of injected copies of photographs 95 %
found, 85 % of every kind; 0.5 % of the images in a wrong group. A pair is false where neither the
manifest nor the injection says that both show one photograph: look at the picture of --wrong before
you believe it. An image is in a wrong group where most of its group comes from another photograph.
`--family` is one of the generated families of look-alikes (families.py).
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import platform
import resource
import time
from pathlib import Path
from random import Random

import numpy as np
import torch
from PIL import Image

from families import FAMILIES
from injected import KINDS, encoded
from normlab.data.dataset import Dataset, load_data
from normlab.data.decode import decode, to_rgb
from normlab.data.duplicates.search_pairs import Duplicates, find_duplicates
from normlab.data.sources import open_source


def main() -> None:
    """Read the arguments, inject, search, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?")
    parser.add_argument("--family", choices=FAMILIES, help="generated look-alikes instead of data")
    parser.add_argument("--images", type=int, default=400, help="of the family")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--injected", type=int, default=0, help="copies, spread over all kinds")
    parser.add_argument("--groups", type=Path, help="CSV: file, source_group")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--wrong", type=Path, help="write a picture of the false pairs here")
    given = parser.parse_args()

    if given.family:
        _print_family(given.family, given.images, given.injected, given.size, given.seed)
        return
    if given.data is None:
        parser.error("name a data set, or a --family")
    data = load_data(given.data, given.size)
    truth = _known_groups(data, given.groups)
    images, hashes = data.images, [str(value) for value in data.manifest.hashes]
    sizes = np.stack([data.manifest.widths, data.manifest.heights], 1)
    kinds, sources = np.zeros(0, str), np.zeros(0, int)
    if given.injected:
        pixels, own, kinds, sources = _inject(given.data, data, given.injected, given.seed)
        sizes = np.concatenate([sizes, own])
        images = np.concatenate([images, pixels])
        hashes += [f"injected {row}" for row in range(len(pixels))]
        truth = np.concatenate([truth, truth[sources]])
    memory, start, worked = _memory(), time.perf_counter(), time.process_time()
    duplicates = find_duplicates(images, hashes, sizes=sizes)
    seconds, worked = time.perf_counter() - start, time.process_time() - worked
    certain = duplicates.certain
    print(
        f"{len(images):,} images: {certain.sum():,} duplicates, {(~certain).sum():,} look-alikes, "
        f"{duplicates.duplicates:,} copies"
    )
    print(f"{seconds:.0f} s ({worked:.0f} s of processors, load {os.getloadavg()[0]:.1f})")
    print(f"peak memory {_memory():.2f} GiB ({memory:.2f} before)")
    print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads")
    _print_recall(duplicates, kinds, sources, len(data.images))
    labels = np.concatenate([data.manifest.labels, data.manifest.labels[sources]])
    _print_precision(duplicates, truth, labels, exact_truth=given.groups is not None)
    _print_split(duplicates, data)
    if given.wrong:
        false = duplicates.certain & (
            truth[duplicates.pairs[:, 0]] != truth[duplicates.pairs[:, 1]]
        )
        _draw(images, duplicates.pairs[false], given.wrong)


def _print_family(name: str, count: int, injected: int, size: int, seed: int) -> None:
    """Precision and recall on a generated family, where every picture is another one."""
    pictures, labels = FAMILIES[name](count, seed)
    random = Random(seed)
    sources = np.array(random.sample(range(count), injected), int)
    kinds = np.array([list(KINDS)[row % len(KINDS)] for row in range(injected)], str)
    copies = [
        KINDS[kind](pictures[source], random) for kind, source in zip(kinds, sources, strict=True)
    ]
    images = np.array([decode(encoded(one), size, "squash")[0] for one in (*pictures, *copies)])
    truth = np.concatenate([np.arange(count), sources])
    sizes = np.array([one.size for one in (*pictures, *copies)])
    found = find_duplicates(images, [str(row) for row in range(len(images))], sizes=sizes)
    print(f"{name}: {found.certain.sum()} duplicates, {(~found.certain).sum()} look-alikes")
    _print_recall(found, kinds, sources, count)
    _print_precision(found, truth, np.array(labels)[truth], exact_truth=True)


def _known_groups(data: Dataset, path: Path | None) -> np.ndarray:
    if path is None:
        return np.arange(len(data.images))
    with path.open(newline="") as file:
        known = {row["file"]: row["source_group"] for row in csv.DictReader(file)}
    names = [str(name) for name in data.manifest.names]
    groups = [known.get(name) or known[name.split("/", 1)[1]] for name in names]
    return np.unique(groups, return_inverse=True)[1]


def _inject(
    location: str, data: Dataset, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pixels, sizes, kinds and originals of copies, as many of each kind."""
    random, source = Random(seed), open_source(location)
    originals = random.sample(range(len(data.images)), count)
    kinds = [list(KINDS)[row % len(KINDS)] for row in range(count)]
    pixels, sizes = [], []
    for kind, original in zip(kinds, originals, strict=True):
        image = to_rgb(Image.open(io.BytesIO(source.read(str(data.manifest.names[original])))))
        copy = KINDS[kind](image, random)
        pixels.append(decode(encoded(copy), data.images.shape[1], "squash")[0])
        sizes.append(copy.size)
    return np.array(pixels), np.array(sizes), np.array(kinds), np.array(originals)


def _print_recall(
    duplicates: Duplicates, kinds: np.ndarray, sources: np.ndarray, first: int
) -> None:
    if not len(kinds):
        return
    pairs = set(map(tuple, duplicates.pairs[duplicates.certain].tolist()))
    paired = np.array([(int(one), first + row) in pairs for row, one in enumerate(sources)])
    grouped = duplicates.groups[sources] == duplicates.groups[first : first + len(sources)]
    print(f"\n{'kind':<20}copies  pair found  same group")
    for kind in [*KINDS, "all"]:
        of = (kinds == kind) | (kind == "all")
        print(f"{kind:<20}{of.sum():6}{paired[of].mean():11.1%}{grouped[of].mean():11.1%}")


def _print_precision(
    duplicates: Duplicates, truth: np.ndarray, labels: np.ndarray, exact_truth: bool
) -> None:
    one, two = duplicates.pairs[duplicates.certain].T
    between = labels[one] != labels[two]
    print(f"\nduplicates between classes: {between.sum()} of {len(one)}")
    if exact_truth:
        false = truth[one] != truth[two]
        print(f"duplicates that the manifest does not know: {false.sum()} ({false.mean():.2%})")
        wrong = _wrong(duplicates.groups, truth)
        print(f"images in a wrong group: {wrong} of {len(truth)} ({wrong / len(truth):.2%})")
    sizes = np.bincount(np.bincount(duplicates.groups))
    print("groups by size:", {size: int(n) for size, n in enumerate(sizes) if n})


def _wrong(groups: np.ndarray, truth: np.ndarray) -> int:
    """Images that are not of the photograph that most of their group shows."""
    pairs, counts = np.unique(np.stack([groups, truth]), axis=1, return_counts=True)
    largest = np.zeros(groups.max() + 1, int)
    np.maximum.at(largest, pairs[0], counts)
    return int(len(groups) - largest.sum())


def _print_split(duplicates: Duplicates, data: Dataset) -> None:
    parts, groups = data.manifest.parts, duplicates.groups[: len(data.images)]
    train, val = parts == "train", parts == "val"
    if train.any() and val.any():
        share = np.isin(groups[val], groups[train]).mean()
        print(f"val images with a source in train: {share:.1%} of {val.sum():,}")


def _draw(images: np.ndarray, pairs: np.ndarray, path: Path) -> None:
    tiles = [np.pad(np.hstack(images[pair]), ((2, 2), (2, 2), (0, 0))) for pair in pairs[:160]]
    if tiles:
        tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 8)
        rows = [np.hstack(tiles[row : row + 8]) for row in range(0, len(tiles), 8)]
        Image.fromarray(np.vstack(rows)).save(path)


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
