"""A run's network with its preprocessing inside, as a program of torch.export.

probabilities = softmax(network((x/255 − mean)/std)),   x (N, H, W, 3) of 8 bits
"""

from __future__ import annotations

import copy
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from normlab.norms.surgery.fold import fold
from normlab.serving.predictor import Predictor

MULTIPLES = (4, 32)
"""What the strides of networks divide the sides of a picture by."""
LARGEST_SIZE = 1024


class PictureProgram(nn.Module):
    """From pictures of 8 bits to probabilities."""

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, mean: Float[Tensor, " 3"], std: Float[Tensor, " 3"]):
        """With the network of a run, in evaluation mode, and its input statistics."""
        super().__init__()
        self.network = network
        self.register_buffer("scale", (1 / (255 * std)).view(1, 3, 1, 1))
        self.register_buffer("shift", (-mean / std).view(1, 3, 1, 1))

    def forward(self, pictures: UInt8[Tensor, "n h w 3"]) -> Float[Tensor, "n classes"]:
        """Probabilities, in the order of the classes."""
        x = pictures.permute(0, 3, 1, 2).float() * self.scale + self.shift
        logits: Tensor = self.network(x)
        return logits.float().softmax(1)


@dataclass(frozen=True, eq=False)
class Traced:
    """What torch.export made of a network."""

    program: ExportedProgram
    module: PictureProgram
    folded: int
    """Norms that were folded into convolutions, which is the same map."""
    norms: int
    multiple: int
    """Pictures may have any height and width that are multiples of this; 0: only the run's."""

    @property
    def sizes(self) -> str:
        """The sizes of pictures in words."""
        if not self.multiple:
            return "of its size alone"
        return f"of any height and width that are multiples of {self.multiple}"


@torch.no_grad()
def trace(
    predictor: Predictor,
    pictures: UInt8[Tensor, "n s s 3"],
    tolerance: float,
    *,
    folding: bool = True,
) -> Traced:
    """Trace a run's network: folded where that changes nothing, of any size where that can be.

    Args:
        predictor: the run's network, on the CPU.
        pictures: some of the run's size, to hold a form against the network itself.
        tolerance: how far apart probabilities may be.
        folding: whether norms may be folded at all.
    """
    mean, std = predictor.mean, predictor.std
    plain = PictureProgram(predictor.network, mean, std).eval()
    network = copy.deepcopy(predictor.network)
    folded_into = fold(network)
    module = PictureProgram(network, mean, std).eval()
    exact = (module(pictures) - plain(pictures)).abs().max() <= tolerance
    folded = len(folded_into.folded) if exact and folding else 0
    if not folded:
        module = plain
    norms = len(folded_into.folded) + len(folded_into.kept)
    for multiple in MULTIPLES:
        program = _of_any_size(module, pictures[:2], multiple)
        if program is not None and _agrees(program, module, pictures, multiple, tolerance):
            return Traced(program, module, folded, norms, multiple)
    return Traced(_exported(module, pictures[:2], {}), module, folded, norms, 0)


def _of_any_size(
    module: PictureProgram, pictures: UInt8[Tensor, "n s s 3"], multiple: int
) -> ExportedProgram | None:
    """The program for heights and widths of these multiples, unless its shapes refuse that, or
    to be stored.
    """
    if pictures.shape[1] % multiple:
        return None
    sides = {
        place: multiple * Dim(name, min=1, max=LARGEST_SIZE // multiple)
        for place, name in ((1, "rows"), (2, "columns"))
    }
    try:
        program = _exported(module, pictures, sides)
        with quiet_exporter():  # padding as TensorFlow's needs ⌈side / stride⌉, which has no form
            torch.export.save(program, io.BytesIO())
    except Exception:  # whatever a network's shapes make torch raise
        return None
    return program


def _exported(module: nn.Module, pictures: Tensor, sides: dict[int, Dim]) -> ExportedProgram:
    with quiet_exporter():
        if len(pictures) < 2:  # a size of 1 would be taken for a constant
            pictures = pictures.repeat(2, 1, 1, 1)
        return torch.export.export(
            module,
            (pictures,),
            dynamic_shapes=({0: Dim("pictures", min=1), **sides},),
            strict=False,
        )


def _agrees(
    program: ExportedProgram,
    module: PictureProgram,
    pictures: Tensor,
    multiple: int,
    tolerance: float,
) -> bool:
    """Whether a program is right for pictures of another size."""
    height, width = pictures.shape[1] + multiple, pictures.shape[2] + 2 * multiple
    other = pictures[:1].repeat(1, 3, 3, 1)[:, :height, :width].contiguous()
    try:
        return bool((program.module()(other) - module(other)).abs().max() <= tolerance)
    except Exception:  # a network for one size
        return False


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """The exporter's remarks on itself are not the user's to read."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
