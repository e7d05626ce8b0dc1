"""Copies of a photograph are found whatever was done to it; other photographs are left alone."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from normlab.data.dataset import load_data
from normlab.data.duplicates.groups import source_groups
from normlab.data.duplicates.search_pairs import Duplicates, find_duplicates

SIZE = 64


def picture(seed: int) -> Image.Image:
    """A smooth random background with blobs of distinct colours, at 128 pixels."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(40, 215, (5, 5, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((128, 128), Image.Resampling.BICUBIC))
    y, x = np.mgrid[:128, :128]
    pixels = pixels.astype(float)
    for _ in range(14):
        right, down = generator.uniform(14, 114, 2)
        wide, high, turn = *generator.uniform(4, 15, 2), generator.uniform(0, math.pi)
        u = (x - right) * math.cos(turn) + (y - down) * math.sin(turn)
        v = (y - down) * math.cos(turn) - (x - right) * math.sin(turn)
        inside = np.clip(2 - 2 * np.hypot(u / wide, v / high), 0, 1)[..., None]
        pixels = pixels * (1 - inside) + inside * generator.uniform(0, 255, 3)
    return Image.fromarray(pixels.round().astype(np.uint8))


def squares(pictures: list[Image.Image]) -> np.ndarray:
    small = [one.resize((SIZE, SIZE), Image.Resampling.BICUBIC, reducing_gap=3) for one in pictures]
    return np.stack([np.asarray(one) for one in small])


def hashes_of(images: np.ndarray) -> list[str]:
    return [hashlib.sha256(image.tobytes()).hexdigest() for image in images]


def zoom(image: Image.Image, factor: float, right: float = 0, down: float = 0) -> Image.Image:
    room = 128 * (1 - 1 / factor) / 2
    left, top, side = room * (1 + right), room * (1 + down), 128 / factor
    return image.resize(
        (128, 128), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side)
    )


def turn(angle: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.rotate(angle, Image.Resampling.BICUBIC)


# What is done, and the (mirrored, angle, zoom) that is to be reported.
COPIES: dict[str, tuple[Callable[[Image.Image], Image.Image], bool, float, float]] = {
    "mirrored": (ImageOps.mirror, True, 0, 1),
    "upside down": (ImageOps.flip, True, 180, 1),
    "rotated by 180": (turn(180), False, 180, 1),
    "rotated by 37, black corners": (turn(37), False, 37, 1),
    "rotated by -110, black corners": (turn(-110), False, -110, 1),
    "mirrored, then rotated": (lambda image: turn(25)(ImageOps.mirror(image)), True, 25, 1),
    "rotated without corners": (lambda image: zoom(turn(20)(image), 1.29), False, 20, 1.29),
    "zoomed": (lambda image: zoom(image, 1.25), False, 0, 1.25),
    "a window off the centre": (lambda image: zoom(image, 1.2, 0.8, -0.7), False, 0, 1.2),
    "brighter": (lambda image: ImageEnhance.Brightness(image).enhance(1.2), False, 0, 1),
    "darker": (lambda image: ImageEnhance.Brightness(image).enhance(0.8), False, 0, 1),
    "half size": (lambda image: image.resize((32, 32)), False, 0, 1),
}


@pytest.fixture(scope="module")
def originals() -> list[Image.Image]:
    return [picture(seed) for seed in range(150)]


def partition(groups: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(groups == group).tolist()) for group in set(groups.tolist())}


@pytest.mark.slow
def test_unrelated_pictures_stay_apart(originals: list[Image.Image]) -> None:
    images = squares(originals)
    found = find_duplicates(images, hashes_of(images))
    assert len(found) == 0
    assert found.duplicates == 0
    np.testing.assert_array_equal(found.groups, np.arange(150))


@pytest.mark.parametrize("kind", COPIES)
@pytest.mark.slow
def test_every_kind_is_found_and_described(originals: list[Image.Image], kind: str) -> None:
    make, mirrored, angle, factor = COPIES[kind]
    images = squares(originals[:80] + [make(original) for original in originals[:20]])
    found = find_duplicates(images, hashes_of(images))
    expected = {(row, 80 + row) for row in range(20)}
    pairs = set(map(tuple, found.pairs.tolist()))
    assert pairs <= expected
    assert len(pairs) == 20
    assert not found.exact.any()
    assert (found.mirrored == mirrored).all()
    away = (found.angle - angle + 180) % 360 - 180
    assert np.abs(away).max() < 3
    assert found.zoom == pytest.approx(np.full(len(pairs), factor), rel=0.04)
    assert (found.groups[80:] == np.arange(20)).sum() == len(pairs)


@pytest.mark.slow
def test_relations_in_words(originals: list[Image.Image]) -> None:
    first = originals[0]
    images = squares([*originals[:30], turn(37)(ImageOps.mirror(first)), first])
    found = find_duplicates(images, [*hashes_of(images[:31]), "another file"])
    words = {tuple(pair): found.relation(k) for k, pair in enumerate(found.pairs.tolist())}
    assert words[0, 31] == "re-encoded"
    assert words[0, 30] in ("mirrored, rotated by 37°", "mirrored, rotated by 36°")
    assert set(found.groups[[0, 30, 31]]) == {0}


@pytest.mark.slow
def test_equal_files_are_exact_and_few(originals: list[Image.Image]) -> None:
    """Forty copies of a file are 39 pairs, not 780."""
    images = squares([originals[0]] * 40 + originals[1:30])
    found = find_duplicates(images, hashes_of(images))
    assert found.pairs.tolist() == [[0, row] for row in range(1, 40)]
    assert found.exact.all()
    assert found.relation(0) == "exact"
    assert found.duplicates == 39


@pytest.mark.slow
@pytest.mark.parametrize("value", [0, 128, 255])
def test_constant_images_do_not_explode(value: int, originals: list[Image.Image]) -> None:
    flat = np.full((300, SIZE, SIZE, 3), value, np.uint8)
    flat[150:, 0, 0] = np.arange(150)[:, None] + 20  # other pixels, and still nothing to see
    images = np.concatenate([flat, squares(originals[:10])])
    found = find_duplicates(images, [f"file {row}" for row in range(310)])
    assert len(found) < 300
    assert (found.pairs < 300).all()
    assert len(set(found.groups[300:])) == 10


@pytest.mark.slow
@pytest.mark.parametrize("count", [0, 1, 2])
def test_hardly_any_images(count: int, originals: list[Image.Image]) -> None:
    images = np.zeros((0, SIZE, SIZE, 3), np.uint8)
    if count:
        images = squares(originals[:count])
    found = find_duplicates(images, hashes_of(images))
    assert found.pairs.shape == (0, 2)
    np.testing.assert_array_equal(found.groups, np.arange(count))


@pytest.mark.slow
def test_two_images_that_are_copies(originals: list[Image.Image]) -> None:
    images = squares([originals[3], ImageOps.mirror(originals[3])])
    found = find_duplicates(images, hashes_of(images))
    assert found.pairs.tolist() == [[0, 1]]
    assert found.groups.tolist() == [0, 0]


@pytest.mark.slow
def test_neither_order_nor_threads_matter(originals: list[Image.Image]) -> None:
    duplicates = [make(originals[row]) for row, (make, *_) in enumerate(COPIES.values())]
    images = squares(originals[:60] + duplicates)
    order = np.random.default_rng(0).permutation(len(images))
    one = find_duplicates(images, hashes_of(images))
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1 if threads > 1 else 2)
        two = find_duplicates(images[order], hashes_of(images[order]))
    finally:
        torch.set_num_threads(threads)
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    assert len(one) >= len(COPIES)
    assert {tuple(sorted(order[pair])) for pair in two.pairs} == set(map(tuple, one.pairs.tolist()))
    assert partition(two.groups[back]) == partition(one.groups)
    assert np.sort(two.score) == pytest.approx(np.sort(one.score), abs=1e-4)


def test_progress_is_told(originals: list[Image.Image]) -> None:
    told: list[tuple[str, int, int]] = []
    images = squares(originals[:20])
    find_duplicates(images, hashes_of(images), lambda *step: told.append(step))
    assert all(0 <= done <= total for _, done, total in told)
    assert {"describing", "searching"} <= {what for what, _, _ in told}


def joined(count: int, pairs: list[tuple[int, int]], score: float = 0.85) -> list[int]:
    links = np.array(pairs, np.int64).reshape(-1, 2)
    nothing = np.zeros((0, 2), np.int64)
    return source_groups(count, nothing, links, np.full(len(links), score)).tolist()


def test_one_pair_does_not_join_two_sources() -> None:
    triangle = [(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5)]
    assert joined(6, [*triangle, (2, 3)]) == [0, 0, 0, 1, 1, 1]
    assert joined(6, [*triangle, (2, 3), (0, 4)]) == [0] * 6
    assert joined(6, [*triangle, (2, 3)], score=0.95) == [0] * 6


def test_a_chain_breaks() -> None:
    groups = joined(12, [(row, row + 1) for row in range(11)])
    assert max(np.bincount(groups)) <= 4


def test_equal_images_join_without_limit() -> None:
    star = np.array([(0, row) for row in range(1, 30)])
    groups = source_groups(31, star, np.array([[3, 30]]), np.array([0.85]))
    assert groups.tolist() == [0] * 31


@pytest.mark.shared
@pytest.mark.slow
def test_the_course_split_leaks(shared_data: Path) -> None:
    """Four classes of the 25, whose val pictures have their photograph in train."""
    data = load_data(str(shared_data / "birds25-64-course.zip"), SIZE)
    rows = np.flatnonzero(data.manifest.labels % 6 == 1)
    parts, labels = data.manifest.parts[rows], data.manifest.labels[rows]
    found: Duplicates = find_duplicates(data.images[rows], data.manifest.hashes[rows].tolist())
    val = parts == "val"
    assert np.isin(found.groups[val], found.groups[~val]).mean() > 0.65
    between = labels[found.pairs[:, 0]] != labels[found.pairs[:, 1]]
    assert between.mean() < 0.005
