"""Images on their way to a device: the same batches, resident or read ahead."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from normlab.data.dataset import Dataset, load_data
from normlab.data.device import read_ahead, resident_images, to_device, upload
from normlab.data.load import block_data
from normlab.records.run import DataSpec, RunSpec

CPU = torch.device("cpu")


@pytest.fixture
def dataset(tmp_path: Path, picture) -> Dataset:
    for label in "ab":
        for number in range(20):
            picture(tmp_path / "photos" / label / f"{number}.png", ord(label) * 100 + number)
    return load_data(str(tmp_path / "photos"), 8)


def spec_of(augmentation: str) -> RunSpec:
    return RunSpec(
        arm="bn",
        norm="bn",
        block=0,
        batch_size=7,
        augmentation=augmentation,
        data=DataSpec(fingerprint="f", classes=("a", "b"), image_size=8),
    )


@pytest.mark.parametrize("augmentation", ["none", "light", "standard", "strong"])
def test_resident_batches_are_those_of_the_file(dataset, augmentation) -> None:
    data = block_data(dataset, spec_of(augmentation))
    there = replace(data, resident=upload(dataset.images, CPU, at_once=7))
    for part in ("train", "validation", "test"):
        pairs = zip(data.plain_batches(part), there.plain_batches(part), strict=True)
        for one, other in pairs:
            assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    for one, other in zip(data.train_batches(2), there.train_batches(2), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_upload_copies_every_image(dataset) -> None:
    there = upload(dataset.images, CPU, at_once=7)
    assert (there.numpy() == dataset.images).all()


def test_nothing_is_resident_on_the_cpu(dataset) -> None:
    assert resident_images(dataset, CPU) is None
    assert to_device(torch.from_numpy(dataset.images[[3, 1]]), CPU).shape == (2, 8, 8, 3)


def test_what_does_not_fit_is_not_resident(dataset, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 2000))
    assert resident_images(dataset, torch.device("cuda", 0)) is None


def test_reading_ahead_keeps_the_order_and_runs_aside() -> None:
    threads = set()

    def batches():
        for number in range(20):
            threads.add(threading.current_thread().name)
            yield number

    assert list(read_ahead(batches(), ahead=2)) == list(range(20))
    assert threads == {"normlab-read-ahead"}


def test_what_goes_wrong_there_is_raised_here() -> None:
    def batches():
        yield 1
        raise ValueError("half a file")

    found = read_ahead(batches())
    assert next(found) == 1
    with pytest.raises(ValueError, match="half a file"):
        next(found)


def test_a_consumer_that_stops_stops_the_thread() -> None:
    before = threading.active_count()
    found = read_ahead(iter(range(10**9)), ahead=2)
    next(found)
    found.close()
    assert threading.active_count() == before


def test_where_another_process_was_quicker_nothing_is_resident(dataset, monkeypatch) -> None:
    def taken(*args: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10**9, 10**9))
    monkeypatch.setattr("normlab.data.device.upload", taken)
    assert resident_images(dataset, torch.device("cuda", 0)) is None
