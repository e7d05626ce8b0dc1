"""Build a converted model again, so that its weights can be loaded.

    recipe = convert_norms(model, "gn:groups=8").recipe     {"norm": "gn:groups=8", "layers": […]}
    …
    model = restore_norms(make_model(), recipe)
    model.load_state_dict(state)

The recipe is plain JSON. `convert_norms` notes it in the configuration of a model of the Hugging
Face libraries (`config.normlab_norms`), with which it is saved and loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import nn

from normlab.errors import UsageError
from normlab.norms.surgery.convert import replace_norms
from normlab.norms.surgery.recipe import Recipe


def restore_norms(model: nn.Module, recipes: Recipe | Sequence[Recipe]) -> nn.Module:
    """Do to a model that was built anew what `convert_norms` did to the first one.

    Args:
        model: built as the first one was, before its norms were converted.
        recipes: `conversion.recipe`, or several in the order of the conversions.

    Returns:
        The model, converted in place; for a model that is itself a normalization, its replacement.

    Raises:
        UsageError: not a recipe; the model has no normalization under one of its names. Of several
            recipes those before the one that does not fit have been applied.

    >>> make = lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    >>> from normlab.norms.surgery.convert import convert_norms
    >>> recipe = convert_norms(make(), "gn:groups=4").recipe
    >>> recipe
    {'norm': 'gn:groups=4', 'layers': ['1']}
    >>> restore_norms(make(), recipe)[1]
    GroupNorm2d(4, 8, eps=1e-05, affine=True)
    """
    for recipe in [recipes] if isinstance(recipes, Mapping) else recipes:
        norm, names = _read(recipe)
        conversion = replace_norms(model, norm, _among(names))
        model = conversion.model
        done = {name for layer in conversion.layers for name in layer.names}
        if missing := sorted(names - done):
            raise UsageError(
                f"the recipe converts {missing[0] or '(the model)'!r}, where this model has no "
                "normalization; build the model as it was before its norms were converted"
            )
    return model


def _among(names: frozenset[str]) -> Callable[[str, nn.Module], bool]:
    def is_one(name: str, module: nn.Module) -> bool:
        return name in names

    return is_one


def _read(recipe: object) -> tuple[str, frozenset[str]]:
    if isinstance(recipe, Mapping):
        norm, layers = recipe.get("norm"), recipe.get("layers")
        if isinstance(norm, str) and isinstance(layers, list):
            return norm, frozenset(map(str, layers))
    raise UsageError(
        'a recipe is {"norm": "gn:groups=8", "layers": ["1", …]}, as conversion.recipe has it, '
        f"got {str(recipe)[:80]}"
    )
