"""Class probabilities from a finished run, for images of any kind."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import nn

from normlab.data.decode import resize_pixels
from normlab.data.load import standardise
from normlab.errors import DataError, StorageError
from normlab.networks.view import NetworkView
from normlab.records.run import DataSpec, RunSpec
from normlab.train.checkpoint import load_weights
from normlab.train.network import build_network, view_of
from normlab.train.step import forward


@dataclass(frozen=True)
class Predictor:
    """A trained network with its geometry and its input statistics."""

    spec: RunSpec
    network: nn.Module
    mean: torch.Tensor
    std: torch.Tensor

    @classmethod
    def load(cls, run: Path, device: torch.device | str = "cpu") -> Predictor:
        """Read a run's weights, without pickle.

        Raises:
            UsageError: the run has no weights yet.
            StorageError: they are damaged or do not fit the network.
        """
        return cls.load_file(run / "weights.safetensors", device)

    @classmethod
    def load_file(cls, path: Path, device: torch.device | str = "cpu") -> Predictor:
        """The same for a run's file of weights, wherever it lies now."""
        weights, spec, mean, std = load_weights(path)
        network = build_network(spec, device, load_weights=False)
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise StorageError(f"the weights {path} do not fit {spec.network}") from error
        network.eval()
        return cls(
            spec, network, torch.tensor(mean, device=device), torch.tensor(std, device=device)
        )

    @cached_property
    def view(self) -> NetworkView:
        """The network's head, parts and layers, as one image shows them."""
        return view_of(self.network, self.spec, batch_size=1)

    @torch.inference_mode()
    def probabilities(
        self, images: Iterable[UInt8[np.ndarray, "h w 3"]], batch_size: int = 64
    ) -> Iterator[Float[np.ndarray, " classes"]]:
        """One vector an image, in the order of the images, each of the run's size."""
        for batch in _batches(images, batch_size):
            pixels = torch.from_numpy(np.stack(batch)).to(self.mean.device)
            logits = forward(self.network, standardise(pixels, self.mean, self.std), self.spec)
            yield from logits.softmax(1).cpu().numpy()


def _batches(
    images: Iterable[UInt8[np.ndarray, "h w 3"]], size: int
) -> Iterator[list[UInt8[np.ndarray, "h w 3"]]]:
    batch = []
    for image in images:
        batch.append(image)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def images_of_values(
    lines: Iterable[str], data: DataSpec, origin: str
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Images from lines of 3·S·S values, channel by channel, scaled to the run's size.

    Raises:
        DataError: a line that is not so many numbers in [0, 255].
    """
    for pixels in values_as_images(lines, origin):
        if len(pixels) == data.image_size:
            yield pixels
        else:
            yield resize_pixels(pixels, data.image_size)


def values_as_images(lines: Iterable[str], origin: str) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Images from lines of 3·S·S values, channel by channel, of the sizes that they have.

    Raises:
        DataError: a line that is not so many numbers in [0, 255], or has them scaled to [0, 1].
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            values = np.array([float(value) for value in line.split(",")])
        except ValueError:
            raise DataError(
                f"{origin} line {number} is not numbers with commas; write 3·S·S values a line, "
                "without a header"
            ) from None
        side = math.isqrt(len(values) // 3)
        if 3 * side * side != len(values) or side == 0:
            raise DataError(f"{origin} line {number} has {len(values)} values, not 3·S·S")
        if not np.all((values >= 0) & (values <= 255)):
            raise DataError(f"{origin} line {number} has values outside of 0 to 255")
        if values.max() <= 1 and np.any(values != values.round()):
            raise DataError(
                f"{origin} line {number} has values scaled to 0 to 1; write those of pixels, "
                "0 to 255"
            )
        yield values.round().astype(np.uint8).reshape(3, side, side).transpose(1, 2, 0)
