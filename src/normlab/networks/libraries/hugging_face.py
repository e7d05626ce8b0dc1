"""Image classifiers in the format of Hugging Face's transformers, from a folder or its hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from normlab.errors import UsageError
from normlab.networks.libraries.base import InputConfiguration, Source, built, import_library


class Logits(nn.Module):
    """A model of transformers, called with images, that gives its logits alone."""

    def __init__(self, model: nn.Module) -> None:
        """Keep the model as a child."""
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, 3, H, W)."""
        logits: Tensor = self.model(pixel_values=x).logits
        return logits


def _transformers() -> Any:
    return import_library("transformers", "transformers")


@contextmanager
def _quiet(library: Any) -> Iterator[None]:
    """Without its bars and its report of the head, which is drawn anew in any case."""
    before = library.logging.get_verbosity()
    library.logging.set_verbosity_error()
    library.logging.disable_progress_bar()
    try:
        yield
    finally:
        library.logging.set_verbosity(before)
        library.logging.enable_progress_bar()


def _build(name: str, num_classes: int, pretrained: bool) -> nn.Module:
    """From the folder `name`, whose config.json says which network; or from the hub if asked."""
    is_folder = (Path(name) / "config.json").is_file()
    if not is_folder and not pretrained:
        raise UsageError(
            f"{name} is no folder with a config.json; give one, or add --pretrained to download "
            f"hf/{name}"
        )
    library = _transformers()

    def make() -> nn.Module:
        if pretrained:
            return Logits(
                library.AutoModelForImageClassification.from_pretrained(
                    name,
                    num_labels=num_classes,
                    ignore_mismatched_sizes=True,
                    local_files_only=is_folder,
                    use_safetensors=True,
                    trust_remote_code=False,
                )
            )
        configuration = library.AutoConfig.from_pretrained(
            name, num_labels=num_classes, local_files_only=True, trust_remote_code=False
        )
        return Logits(library.AutoModelForImageClassification.from_config(configuration))

    with _quiet(library):
        return built("hf", name, lambda: make().to(torch.float32))


def _input_of(name: str) -> InputConfiguration:
    path = Path(name) / "preprocessor_config.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return InputConfiguration()
    if not isinstance(found, dict):
        return InputConfiguration()
    size = found.get("crop_size", found.get("size"))
    if isinstance(size, dict):
        size = size.get("height", size.get("shortest_edge"))
    mean, std = found.get("image_mean"), found.get("image_std")
    return InputConfiguration(
        mean=tuple(mean) if mean else None,
        std=tuple(std) if std else None,
        size=size if isinstance(size, int) else None,
    )


def _version() -> str:
    return f"transformers {_transformers().__version__}"


HUGGING_FACE = Source(
    "hf",
    "an image classifier of transformers, from its folder (hf/FOLDER)",
    _build,
    _input_of,
    _version,
    lambda: (),
)
