"""Class probabilities from a finished run, for images of any kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8

from normlab.data.load import standardise
from normlab.errors import StorageError
from normlab.models.resnet import ResNet
from normlab.records.schema import RunSpec
from normlab.train.checkpoint import load_weights
from normlab.train.fit import forward
from normlab.train.network import build_network


@dataclass(frozen=True)
class Predictor:
    """A trained network with its geometry and its input statistics."""

    spec: RunSpec
    network: ResNet
    mean: torch.Tensor
    std: torch.Tensor

    @classmethod
    def load(cls, run: Path, device: torch.device | str = "cpu") -> Predictor:
        """Read a run's weights, without pickle.

        Raises:
            UsageError: the run has no weights yet.
            StorageError: they are damaged or do not fit the network.
        """
        weights, spec, mean, std = load_weights(run / "weights.safetensors")
        network = build_network(spec, device)
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise StorageError(f"the weights in {run} do not fit {spec.network.name}") from error
        network.eval()
        return cls(
            spec, network, torch.tensor(mean, device=device), torch.tensor(std, device=device)
        )

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
