"""The network of a finished run as a torch module that brings its own preprocessing."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor, nn

from normlab.data.decode import decode, quiet_pillow
from normlab.errors import DataError, StorageError
from normlab.records.run import RunSpec
from normlab.train.checkpoint import load_weights
from normlab.train.network import build_network
from normlab.train.step import forward as step_forward

Picture = str | Path | Image.Image | UInt8[np.ndarray, "h w 3"]


class TrainedNetwork(nn.Module):
    """From pictures to logits, as the run was evaluated.

        logits = network((x − mean)/std),   x (N, 3, S, S) in [0, 1]

    >>> network = normlab.Study.open("photos-study").network("bn")     # doctest: +SKIP
    >>> network.classify("one.jpg")                                    # doctest: +SKIP
    {'sparrow': 0.83, 'finch': 0.09, …}
    """

    mean: Tensor
    std: Tensor

    def __init__(self, run: Path, device: torch.device | str = "cpu") -> None:
        """Read the weights of a run or an export, without pickle; the module is in evaluation mode.

        Raises:
            UsageError: the run has no weights yet.
            StorageError: they are damaged or do not fit the network.
        """
        super().__init__()
        exported = run / "model.safetensors"
        path = exported if exported.exists() else run / "weights.safetensors"
        weights, spec, mean, std = load_weights(path)
        self.spec: RunSpec = spec
        """All that decided the run."""
        self.classes: tuple[str, ...] = spec.data.classes
        self.network = build_network(spec, device, load_weights=False)
        try:
            self.network.load_state_dict(weights)
        except RuntimeError as error:
            raise StorageError(f"the weights in {run} do not fit {spec.network}") from error
        shape = (1, 3, 1, 1)
        self.register_buffer("mean", torch.tensor(mean, device=device).view(shape))
        self.register_buffer("std", torch.tensor(std, device=device).view(shape))
        self.eval()

    def forward(self, x: Float[Tensor, "n 3 s s"]) -> Float[Tensor, "n classes"]:
        """Logits of images of the run's size, with values in [0, 1]."""
        return step_forward(self.network, (x - self.mean) / self.std, self.spec)

    def preprocess(self, picture: Picture) -> Float[Tensor, "3 s s"]:
        """A picture as the run saw its own: turned upright, scaled as planned, in [0, 1].

        Args:
            picture: a path, an image of Pillow, or RGB values of 0 to 255.

        Returns:
            What `forward` takes a batch of.

        Raises:
            DataError: it is not an image, or cannot be read.
        """
        data = self.spec.data
        try:
            with quiet_pillow():
                pixels = decode(_content(picture), data.image_size, data.resize)[0]
        except OSError as error:
            raise DataError(f"{picture} cannot be read: {error.strerror or error}") from error
        except DataError as error:
            raise DataError(f"{picture} {error}") from None
        tensor = torch.from_numpy(pixels.copy()).to(self.mean.device)
        return tensor.permute(2, 0, 1).float() / 255

    @torch.inference_mode()
    def classify(self, picture: Picture) -> dict[str, float]:
        """Class → probability of one picture, the most probable first.

        Raises:
            DataError: it is not an image, or cannot be read.
        """
        logits = self(self.preprocess(picture)[None])[0]
        shares = logits.softmax(0).tolist()
        return dict(sorted(zip(self.classes, shares, strict=True), key=lambda pair: -pair[1]))


def _content(picture: Picture) -> bytes:
    if isinstance(picture, str | Path):
        return Path(picture).read_bytes()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()
