"""Batches: standardised by the training part, equal in all arms, deterministic where they judge."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from normlab.data.augment.draws import draw
from normlab.data.dataset import Dataset, load_data
from normlab.data.load import BlockData, block_data, channel_statistics, standardise
from normlab.errors import PlanError
from normlab.randomness import torch_stream
from normlab.records.run import DataSpec, RunSpec


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
    """Peers: "validation set standardised by its own statistics": statistics come from the
    training part only."""
    data = block(dataset)
    train = dataset.images[data.split.train].astype(np.float64) / 255
    np.testing.assert_allclose(data.mean, train.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(data.std, train.std((0, 1, 2)), rtol=1e-6)
    images = torch.cat([images for images, _ in data.plain_batches("train")])
    torch.testing.assert_close(images.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(images.std((0, 2, 3), correction=0), torch.ones(3))
    held_out = torch.cat([images for images, _ in data.plain_batches("test")])
    assert held_out.mean((0, 2, 3)).abs().max() > 1e-4


def test_a_part_in_its_order_with_its_ragged_rest(dataset: Dataset, monkeypatch) -> None:
    monkeypatch.setattr("normlab.data.load.EVALUATION_BATCH", 5)
    data = block(dataset)
    batches = list(data.plain_batches("test"))
    assert [len(labels) for _, labels in batches] == [5, 5, 2]
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    raw = dataset.images[data.split.test].astype(np.float32) / 255
    expected = (torch.from_numpy(raw) - data.mean) / data.std
    torch.testing.assert_close(images, expected.permute(0, 3, 1, 2), rtol=1e-5, atol=1e-5)
    assert labels.tolist() == data.labels("test").tolist()
    names = data.names("test")
    assert [name[0] for name in names] == ["ab"[label] for label in labels.tolist()]


def test_evaluation_is_deterministic(dataset: Dataset) -> None:
    """Peers: "training augmentation on validation images": evaluation is deterministic."""
    for part in ("test", "validation", "train"):
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
    """Peers: "arms use different random splits": the same in every arm of a block."""
    one, other, next_block = (
        block(dataset),
        block(dataset, arm="gn", norm="gn"),
        block(dataset, block=1),
    )
    for part in ("train", "validation", "test"):
        assert one.names(part).tolist() == other.names(part).tolist()
    assert one.names("test").tolist() == next_block.names("test").tolist()
    assert one.names("validation").tolist() != next_block.names("validation").tolist()

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


def test_images_of_another_size_than_planned(dataset: Dataset) -> None:
    """A run's record says which pixels it saw."""
    planned = DataSpec(fingerprint="f", classes=("a", "b"), image_size=16)
    sentence = "planned at 16 px and the images are prepared at 8 px; load them with image_size=16"
    with pytest.raises(PlanError, match=sentence):
        block(dataset, data=planned)


def test_what_is_shifted_in_has_the_mean_colour(dataset: Dataset) -> None:
    data = block(dataset, batch_size=40, augmentation="shift")
    ((images, _),) = data.train_batches(1)
    assert (images == 0).all(1).any()
    plain = block(dataset, batch_size=40, augmentation="none")
    ((unmoved, _),) = plain.train_batches(1)
    assert not (unmoved == 0).all(1).any()


def test_the_recorded_batch_is_the_used_batch(dataset: Dataset) -> None:
    """Peers: "batch size silently multiplied for data parallelism"."""
    for size in (1, 5, 44):
        data = block(dataset, batch_size=size)
        assert {len(labels) for _, labels in data.train_batches(1)} == {size}
        assert data.steps_per_epoch == 44 // size


def test_a_ragged_part_is_judged_whole(dataset: Dataset, monkeypatch) -> None:
    """Peers: "metrics as mean of batch means with a ragged last batch": N not divisible by the
    batch size, every image once, and the same numbers whatever the batch."""
    data = block(dataset)
    ((whole, labels),) = data.plain_batches("train")
    assert data.sizes == (44, 4, 12)
    for size in (1, 5, 43, 44):
        monkeypatch.setattr("normlab.data.load.EVALUATION_BATCH", size)
        batches = list(data.plain_batches("train"))
        assert [len(labels) for _, labels in batches] == [size] * (44 // size) + [44 % size] * (
            44 % size > 0
        )
        assert torch.equal(torch.cat([images for images, _ in batches]), whole)
        assert torch.equal(torch.cat([labels for _, labels in batches]), labels)
        assert all(i.is_contiguous(memory_format=torch.channels_last) for i, _ in batches)


def test_the_training_rest_is_other_images_each_time(dataset: Dataset) -> None:
    """44 images in batches of 7: 2 are left out of an epoch, and all are seen over some epochs."""
    data = block(dataset, augmentation="none")
    everything = torch.cat([images for images, _ in data.plain_batches("train")]).flatten(1)
    left_out = []
    for epoch in range(1, 7):
        shown = torch.cat([images for images, _ in data.train_batches(epoch)]).flatten(1)
        seen = (shown[:, None] == everything[None]).all(2).any(0)
        assert int(seen.sum()) == 42
        left_out.append(tuple(torch.nonzero(~seen).flatten().tolist()))
    assert len(set(left_out)) > 1
    assert not set(left_out[0]).intersection(*left_out[1:])


def test_an_augmented_batch_by_hand(dataset: Dataset) -> None:
    """Order, draws, gather and standardisation from the named streams, one image at a time."""
    data = block(dataset, augmentation="light", seed=3, block=2)
    order = torch.randperm(44, generator=torch_stream(3, 2, "order", 5)).tolist()
    draws = draw(44, 8, torch_stream(3, 2, "augment", 5))
    mean, std = data.mean.double(), data.std.double()
    assert draws.mirrored.any()
    for step, (images, labels) in enumerate(data.train_batches(5)):
        for place in range(7):
            row = 7 * step + place
            index = data.split.train[order[row]]
            pixels = torch.tensor(dataset.images[index]).double() / 255
            if draws.mirrored[row]:
                pixels = pixels.flip(1)
            down, right = draws.shifts[row].tolist()
            expected = torch.zeros(10, 10, 3, dtype=torch.double)  # a border of 1 on each side
            expected[1 + down : 9 + down, 1 + right : 9 + right] = (pixels - mean) / std
            expected = expected[1:9, 1:9].permute(2, 0, 1)
            torch.testing.assert_close(images[place].double(), expected, rtol=1e-5, atol=2e-6)
            assert int(labels[place]) == dataset.manifest.labels[index]


def test_statistics_follow_the_split(dataset: Dataset) -> None:
    """Another block trains on other images, so it is standardised by other numbers."""
    one, other = block(dataset), block(dataset, block=1)
    assert not torch.equal(one.mean, other.mean)
    assert torch.equal(one.mean, block(dataset, arm="gn", norm="gn").mean)


def test_standardised_by_hand() -> None:
    """Each channel by its own numbers, at sides that are no power of two."""
    pixels = torch.randint(
        0, 256, (3, 5, 7, 3), dtype=torch.uint8, generator=torch_stream(0, 0, "init")
    )
    mean, std = torch.tensor([0.1, 0.5, 0.9]), torch.tensor([0.2, 0.3, 0.4])
    got = standardise(pixels, mean, std)
    assert got.shape == (3, 3, 5, 7)
    assert got.is_contiguous(memory_format=torch.channels_last)
    for channel in range(3):
        expected = (pixels[..., channel].double() / 255 - mean[channel]) / std[channel]
        torch.testing.assert_close(got[:, channel].double(), expected, rtol=1e-5, atol=2e-6)


def test_a_channel_without_variation_stays_finite() -> None:
    pixels = torch.full((2, 4, 4, 3), 9, dtype=torch.uint8)
    mean, std = torch.full((3,), 9 / 255), torch.full((3,), 1 / 255)
    assert standardise(pixels, mean, std).abs().max() < 1e-5


def test_a_constant_channel_has_the_deviation_of_one_step(tmp_path: Path) -> None:
    for label, level in (("a", 10), ("b", 200)):
        for number in range(5):
            path = tmp_path / "flat" / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (level, level, 9)).save(path)
    dataset = load_data(str(tmp_path / "flat"), 8)
    mean, std = channel_statistics(dataset, np.arange(10))
    torch.testing.assert_close(mean * 255, torch.tensor([105.0, 105.0, 9.0]))
    torch.testing.assert_close(std * 255, torch.tensor([95.0, 95.0, 1.0]))


def test_statistics_are_exact_on_many_bright_pixels() -> None:
    """Sums of squares of bytes are whole numbers: nothing cancels, however bright and flat."""
    images = np.full((300, 32, 32, 3), 254, np.uint8)
    images[::2] = 251
    sums = images.sum((1, 2), dtype=np.int64)
    squares = np.square(images, dtype=np.int64).sum((1, 2))
    made = SimpleNamespace(images=images, pixel_sums=sums, pixel_squares=squares)
    mean, std = channel_statistics(made, np.arange(300))
    assert (mean * 255).tolist() == pytest.approx([252.5] * 3, rel=1e-6)
    assert (std * 255).tolist() == pytest.approx([1.5] * 3, rel=1e-6)


@pytest.mark.parametrize("policy", ["standard", "standard+erase"])
def test_a_batch_in_one_pass_has_the_draws_of_the_first_method(
    dataset: Dataset, policy: str
) -> None:
    policy = policy.replace("standard", "mirror+crop+rotate+jitter")
    batches = [
        torch.cat([images for images, _ in data.train_batches(2)])
        for method in (None, 2)
        for data in [block(dataset, augmentation=policy, augmentation_method=method)]
    ]
    apart = (batches[0] - batches[1]).abs()
    assert 0 < apart.median() < 0.05
    assert ((batches[0] == 0) == (batches[1] == 0)).float().mean() > 0.99
