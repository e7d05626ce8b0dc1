"""Batches: standardised by the training part, equal in all arms, deterministic where they judge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from normlab.data.dataset import Dataset, load_data
from normlab.data.load import BlockData, block_data, standardise
from normlab.errors import PlanError
from normlab.records.schema import DataSpec, RunSpec


@pytest.fixture
def dataset(tmp_path: Path, picture) -> Dataset:
    for label in "ab":
        for number in range(30):
            picture(tmp_path / "photos" / label / f"{number}.png", ord(label) * 100 + number)
    return load_data(str(tmp_path / "photos"), 8)


def block(dataset: Dataset, **changes: object) -> BlockData:
    fields = {
        "arm": "bn",
        "norm": "bn",
        "block": 0,
        "batch_size": 7,
        "data": DataSpec(fingerprint="f", classes=("a", "b"), image_size=8),
        **changes,
    }
    return block_data(dataset, RunSpec.model_validate(fields))


def test_statistics_come_from_the_training_part_alone(dataset: Dataset) -> None:
    """Peers: "validation set standardised by its own statistics"."""
    data = block(dataset)
    train = dataset.images[data.split.train].astype(np.float64) / 255
    np.testing.assert_allclose(data.mean, train.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(data.std, train.std((0, 1, 2)), rtol=1e-6)
    images = torch.cat([images for images, _ in data.plain_batches("train")])
    torch.testing.assert_close(images.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(images.std((0, 2, 3), correction=0), torch.ones(3))
    judged = torch.cat([images for images, _ in data.plain_batches("evaluation")])
    assert judged.mean((0, 2, 3)).abs().max() > 1e-4


def test_a_part_in_its_order_with_its_ragged_rest(dataset: Dataset, monkeypatch) -> None:
    monkeypatch.setattr("normlab.data.load.EVALUATION_BATCH", 5)
    data = block(dataset)
    batches = list(data.plain_batches("evaluation"))
    assert [len(labels) for _, labels in batches] == [5, 5, 2]
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    raw = dataset.images[data.split.evaluation].astype(np.float32) / 255
    expected = (torch.from_numpy(raw) - data.mean) / data.std
    torch.testing.assert_close(images, expected.permute(0, 3, 1, 2), rtol=1e-5, atol=1e-5)
    assert labels.tolist() == data.labels("evaluation").tolist()
    names = data.names("evaluation")
    assert [name[0] for name in names] == ["ab"[label] for label in labels.tolist()]


def test_evaluation_is_deterministic(dataset: Dataset) -> None:
    """Peers: "training augmentation on validation images"."""
    for part in ("evaluation", "selection", "train"):
        one, other = (list(block(dataset).plain_batches(part)) for _ in range(2))
        assert all(torch.equal(a[0], b[0]) for a, b in zip(one, other, strict=True))


def test_training_batches_are_full_and_channels_last(dataset: Dataset) -> None:
    data = block(dataset)
    batches = list(data.train_batches(1))
    assert len(batches) == data.steps_per_epoch == len(data.split.train) // 7
    for images, labels in batches:
        assert images.shape == (7, 3, 8, 8)
        assert images.dtype == torch.float32
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert labels.dtype == torch.int64


def test_an_epoch_shows_every_image_once(dataset: Dataset) -> None:
    data = block(dataset, batch_size=1, augmentation="none")
    images, labels = (torch.cat(parts) for parts in zip(*data.train_batches(3), strict=True))
    expected = torch.cat([images for images, _ in data.plain_batches("train")])
    distance = (images.flatten(1)[:, None] - expected.flatten(1)[None]).abs().amax(2)
    match = distance.argmin(1)
    assert sorted(match.tolist()) == list(range(len(expected)))
    assert distance.amin(1).max() < 1e-6
    assert labels.tolist() == data.labels("train")[match].tolist()


def test_arms_of_a_block_see_the_same_and_blocks_do_not(dataset: Dataset) -> None:
    """Peers: "arms use different random splits"."""

    def first(**changes: object) -> torch.Tensor:
        epoch = changes.pop("epoch", 1)
        return next(iter(block(dataset, **changes).train_batches(epoch)))[0]

    assert torch.equal(first(), first(arm="gn", norm="gn"))
    assert torch.equal(first(), first(optimizer={"name": "adam"}))
    assert torch.equal(first()[:3], first(batch_size=3))
    assert not torch.equal(first(), first(epoch=2))
    assert not torch.equal(first(), first(block=1))
    assert not torch.equal(first(), first(seed=1))


def test_a_batch_larger_than_the_training_part(dataset: Dataset) -> None:
    with pytest.raises(PlanError, match="a batch of 100 is larger than the training part of 44"):
        block(dataset, batch_size=100)


def test_what_is_shifted_in_has_the_mean_colour(dataset: Dataset) -> None:
    data = block(dataset, batch_size=40, augmentation="shift")
    ((images, _),) = data.train_batches(1)
    assert (images == 0).all(1).any()
    plain = block(dataset, batch_size=40, augmentation="none")
    ((unmoved, _),) = plain.train_batches(1)
    assert not (unmoved == 0).all(1).any()


def test_a_channel_without_variation_stays_finite() -> None:
    pixels = torch.full((2, 4, 4, 3), 9, dtype=torch.uint8)
    mean, std = torch.full((3,), 9 / 255), torch.full((3,), 1 / 255)
    assert standardise(pixels, mean, std).abs().max() < 1e-5
