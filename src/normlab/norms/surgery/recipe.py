"""What a conversion did as plain data, to be kept with the weights of the model."""

from __future__ import annotations

from typing import TypedDict

from torch import nn

CONFIG_ENTRY = "normlab_norms"
"""Where a configuration of the Hugging Face libraries has its model's recipes, in their order."""


class Recipe(TypedDict):
    """A conversion in terms of JSON."""

    norm: str
    """The spec, as "gn:groups=8"."""
    layers: list[str]
    """The names of the layers that were replaced."""


def note_recipe(model: nn.Module, recipe: Recipe) -> None:
    """Add a recipe to the configuration that a model of the Hugging Face libraries is saved with.

    A model of another library has none, and stays as it is.
    """
    config = getattr(model, "config", None)
    names = {base.__name__ for base in type(config).__mro__}
    if recipe["layers"] and names & {"PreTrainedConfig", "PretrainedConfig"}:
        setattr(config, CONFIG_ENTRY, [*getattr(config, CONFIG_ENTRY, ()), recipe])
