"""The course's inference program: a model and a CSV of pixels in, one class id a line out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from normlab.errors import DataError, UsageError
from normlab.records.files import atomic_write
from normlab.serving.course.network import NAMES, load_course_network
from normlab.serving.predictor import Predictor, images_of_values, values_as_images

BATCH = 128


def infer(
    model: Path,
    normalization: str,
    n: int | None,
    images: Path,
    output: Path,
    *,
    mean: tuple[float, ...] = (),
    std: tuple[float, ...] = (),
    device: torch.device | str = "cpu",
    say: Callable[[str], None] = lambda line: None,
) -> int:
    """Write the class of every line of pixels; how many there were.

    Args:
        model: a run's weights.safetensors, or a state dict of another version of the network.
        normalization: as the course calls it, to be held against the weights.
        n: blocks a stage, to be held against the weights.
        images: 3·S·S values of 0 to 255 a line, channel by channel, without a header.
        output: one class id a line, in the same order.
        mean: of each channel, of values in [0, 1], where a foreign network was trained so.
        std: the same for the deviation.
        device: where it is computed.
        say: tells what was found in the file.

    Raises:
        UsageError: the weights do not fit what was said of them.
        DataError: the table cannot be read; nothing is written.
    """
    if len(mean) not in (0, 3) or len(std) not in (0, 3) or any(s <= 0 for s in std):
        raise UsageError("mean and std are three numbers with commas, those of std above 0")
    if not images.is_file():
        raise DataError(f"there is no table {images}; give a CSV of 3·S·S values a line")
    with images.open(encoding="utf-8", errors="replace", newline="") as file:
        if _is_ours(model):
            classes = _of_run(model, normalization, n, file, str(images), device)
        else:
            found = load_course_network(model, normalization, n)
            say(f"model    {model}: {found}")
            if not mean:
                say("input    values / 255; --mean and --std where it was trained on others")
            classes = _of_foreign(
                found.network.to(device), values_as_images(file, str(images)), mean, std, device
            )
        lines = [f"{number}\n" for number in classes]
    if not lines:
        raise DataError(f"{images} is empty; write 3·S·S values a line, without a header")
    atomic_write(output, "".join(lines).encode())
    return len(lines)


def _is_ours(model: Path) -> bool:
    """Whether the file is the weights of a run of normlab, which carry their own description."""
    import safetensors

    if not model.is_file():
        return False
    try:
        with safetensors.safe_open(model, framework="pt") as file:
            return "normlab" in (file.metadata() or {})
    except Exception:
        return False  # the reader of foreign weights says what is wrong


def _of_run(
    model: Path, normalization: str, n: int | None, file: object, origin: str,
    device: torch.device | str,
) -> Iterator[int]:  # fmt: skip
    predictor = Predictor.load_file(model, device)
    spec = predictor.spec
    said = NAMES.get(normalization, normalization)
    if said.partition(":")[0] != spec.norm.partition(":")[0]:
        raise UsageError(
            f"{model} was trained with {spec.norm}, and --normalization says {normalization}"
        )
    if n is not None and spec.network.name != f"cifar-resnet{6 * n + 2}":
        raise UsageError(
            f"{model} is of the network {spec.network.name}, and n = {n} is cifar-resnet{6 * n + 2}"
        )
    pixels = images_of_values(file, spec.data, origin)  # type: ignore[arg-type]
    return (int(found.argmax()) for found in predictor.probabilities(pixels))


@torch.inference_mode()
def _of_foreign(
    network: torch.nn.Module, images: Iterator[np.ndarray], mean: tuple[float, ...],
    std: tuple[float, ...], device: torch.device | str,
) -> Iterator[int]:  # fmt: skip
    centre = torch.tensor(mean or (0.0, 0.0, 0.0), device=device).view(1, 3, 1, 1)
    spread = torch.tensor(std or (1.0, 1.0, 1.0), device=device).view(1, 3, 1, 1)
    batch: list[np.ndarray] = []

    def classes() -> list[int]:
        pixels = torch.from_numpy(np.stack(batch)).to(device).permute(0, 3, 1, 2) / 255
        return list(map(int, network((pixels - centre) / spread).argmax(1)))

    for image in images:
        if batch and image.shape != batch[0].shape:
            raise DataError(f"an image of {image.shape[0]} pixels among those of {len(batch[0])}")
        batch.append(image)
        if len(batch) == BATCH:
            yield from classes()
            batch = []
    if batch:
        yield from classes()
