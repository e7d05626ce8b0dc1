"""Batches of a block: a pure function of (seed, block, epoch), the same for every arm."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from normlab.data.augment.apply import augment
from normlab.data.augment.draws import Draws, draw
from normlab.data.augment.mix import erase, mix
from normlab.data.augment.moves import move
from normlab.data.augment.one_pass import OnePass, apply, one_pass
from normlab.data.augment.policy import MIXING, moves_alone, operations
from normlab.data.dataset import Dataset
from normlab.data.device import read_ahead, resident_images, to_device
from normlab.data.split import Split, make_split
from normlab.errors import PlanError
from normlab.randomness import torch_stream
from normlab.records.network import input_statistics
from normlab.records.run import Policy, RunSpec

Pixels = UInt8[Tensor, "n s s 3"]
Part = Literal["train", "validation", "test"]
Batch = tuple[Float[Tensor, "n 3 s s"], Tensor]
"""Images, and labels (n,); or the shares of the classes (n, classes) where images are mixed."""
EVALUATION_BATCH = 256


@dataclass(frozen=True, eq=False)
class BlockData:
    """All that a run needs of its data."""

    dataset: Dataset
    split: Split
    spec: RunSpec
    device: torch.device
    mean: Float[Tensor, " 3"]
    """Mean of the training part's pixels, per channel, in units of the full range [0, 1]."""
    std: Float[Tensor, " 3"]
    resident: Pixels | None = None
    """All images of the data set on the device, where they fit; see normlab.data.device."""

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Images of the train, validation and test parts."""
        return len(self.split.train), len(self.split.validation), len(self.split.test)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in the training part."""
        return len(self.split.train) // self.spec.batch_size

    def train_batches(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """The training part in the epoch's order, augmented by the epoch's draws.

        Of an epoch that goes on, the batches from `first_step` on; those before are not prepared.
        The ragged rest of an epoch is left out (other images each time), because batch statistics
        over fewer images would be another treatment.
        """
        spec = self.spec
        order_stream = torch_stream(spec.seed, spec.block, "order", epoch)
        order = torch.randperm(len(self.split.train), generator=order_stream).numpy()
        augment_stream = torch_stream(spec.seed, spec.block, "augment", epoch)
        size = self.dataset.images.shape[1]
        draws = draw(len(order), size, augment_stream)
        policy = operations(spec.augmentation)
        moves = one_pass(draws, policy, size) if spec.augmentation_method == 2 else None
        places = [
            slice(step * spec.batch_size, (step + 1) * spec.batch_size)
            for step in range(first_step, self.steps_per_epoch)
        ]
        gathered = self._gathered([self.split.train[order[place]] for place in places])
        for place, (pixels, labels) in zip(places, gathered, strict=True):
            if moves is None:
                images = self._augmented(pixels, draws[place], policy)
            else:
                images = self._in_one_pass(pixels, draws[place], policy, moves[place])
            if policy & MIXING:
                yield mix(images, labels, draws[place], policy, len(spec.data.classes))
            else:
                yield images, labels

    def _augmented(
        self, pixels: UInt8[Tensor, "n s s 3"], draws: Draws, policy: Policy
    ) -> Float[Tensor, "n 3 s s"]:
        still = policy - MIXING
        if not still:
            return standardise(pixels, self.mean, self.std)
        if moves_alone(still):
            moved, mask = move(pixels, draws, still)
            # 0 is the mean colour once the pixels are standardised.
            return standardise(moved, self.mean, self.std).mul_(mask.permute(0, 3, 1, 2))
        return augment(pixels, draws, still, self.mean, self.std)

    def _in_one_pass(
        self, pixels: UInt8[Tensor, "n s s 3"], draws: Draws, policy: Policy, moves: OnePass
    ) -> Float[Tensor, "n 3 s s"]:
        images = apply(pixels, moves, self.mean, self.std)
        return erase(images, draws.erase) if "erase" in policy else images

    def plain_batches(self, part: Part) -> Iterator[Batch]:
        """A part in the order of the manifest, without augmentation, ragged rest included."""
        indices = self._indices(part)
        places = range(0, len(indices), EVALUATION_BATCH)
        for images, labels in self._gathered([indices[p : p + EVALUATION_BATCH] for p in places]):
            yield standardise(images, self.mean, self.std), labels

    def names(self, part: Part) -> np.ndarray:
        """The name of every image of a part, in its order."""
        names: np.ndarray = self.dataset.manifest.names[self._indices(part)]
        return names

    def labels(self, part: Part) -> np.ndarray:
        """The class of every image of a part, in its order."""
        labels: np.ndarray = self.dataset.manifest.labels[self._indices(part)]
        return labels

    def groups(self, part: Part) -> np.ndarray:
        """The group of every image of a part, in its order."""
        groups: np.ndarray = self.dataset.manifest.groups[self._indices(part)]
        return groups

    def _indices(self, part: Part) -> np.ndarray:
        return {
            "train": self.split.train,
            "validation": self.split.validation,
            "test": self.split.test,
        }[part]

    def _gathered(self, batches: Sequence[np.ndarray]) -> Iterable[tuple[Pixels, Tensor]]:
        """Pixels and labels of each batch of image numbers, on the device."""
        if self.resident is not None:
            return self._gathered_on_device(batches, self.resident)
        gathered = map(self._gather, batches)
        return read_ahead(gathered) if self.device.type == "cuda" else gathered

    def _gather(self, indices: np.ndarray) -> tuple[Pixels, Tensor]:
        chosen = self.dataset.images[indices], self.dataset.manifest.labels[indices]
        pixels, labels = (to_device(torch.from_numpy(array), self.device) for array in chosen)
        return pixels, labels

    def _gathered_on_device(
        self, batches: Sequence[np.ndarray], images: Pixels
    ) -> Iterator[tuple[Pixels, Tensor]]:
        if not batches:
            return
        labels = to_device(torch.from_numpy(np.array(self.dataset.manifest.labels)), self.device)
        order = to_device(torch.from_numpy(np.concatenate(batches)), self.device)
        for own in order.split([len(batch) for batch in batches]):
            yield images.index_select(0, own), labels.index_select(0, own)


def block_data(dataset: Dataset, spec: RunSpec, device: torch.device | str = "cpu") -> BlockData:
    """Split the data for the spec's block and take the statistics of its training part.

    Raises:
        PlanError: the batch is larger than the training part, or the images have another size.
        DataError: a class is too small to be in every part.
    """
    size = dataset.images.shape[1]
    if size != spec.data.image_size:
        raise PlanError(
            f"the run is planned at {spec.data.image_size} px and the images are prepared at "
            f"{size} px; load them with image_size={spec.data.image_size}"
        )
    split = make_split(dataset.manifest, spec.data, spec.seed, spec.block)
    if spec.batch_size > len(split.train):
        raise PlanError(
            f"a batch of {spec.batch_size} is larger than the training part of "
            f"{len(split.train)} images; choose a batch size up to {len(split.train)}"
        )
    wanted = input_statistics(spec.network.options)
    if wanted is None:
        mean, std = channel_statistics(dataset, split.train)
    else:  # what pretrained weights have seen
        mean, std = torch.tensor(wanted[0]), torch.tensor(wanted[1])
    device = torch.device(device)
    images = resident_images(dataset, device)
    return BlockData(dataset, split, spec, device, mean.to(device), std.to(device), images)


def channel_statistics(
    dataset: Dataset, indices: Int[np.ndarray, " images"]
) -> tuple[Float[Tensor, " 3"], Float[Tensor, " 3"]]:
    """Mean and standard deviation of the pixels/255 of some images, from exact integer sums.

    A channel without variation gets 1/255 as its deviation, so that nothing is divided by 0.
    """
    pixels = len(indices) * dataset.images.shape[1] * dataset.images.shape[2]
    mean = dataset.pixel_sums[indices].sum(0) / pixels
    variance = dataset.pixel_squares[indices].sum(0) / pixels - mean**2
    std = np.sqrt(np.maximum(variance, 1.0))
    return torch.tensor(mean / 255).float(), torch.tensor(std / 255).float()


def standardise(
    pixels: UInt8[Tensor, "n s s 3"], mean: Float[Tensor, " 3"], std: Float[Tensor, " 3"]
) -> Float[Tensor, "n 3 s s"]:
    """(pixels/255 − mean)/std as float32, in channels_last memory format without a copy."""
    count, height, width, _ = pixels.shape
    # A row of pixels is one axis: over an innermost axis of 3 channels nothing is vectorised.
    scale = (1 / (255 * std)).repeat(width)
    shift = (-mean / std).repeat(width)
    rows = pixels.reshape(count, height, 3 * width).to(torch.float32)
    return torch.addcmul(shift, rows, scale).view(count, height, width, 3).permute(0, 3, 1, 2)
