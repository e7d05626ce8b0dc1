"""A converted model, built anew and given its weights, is the converted model."""

from __future__ import annotations

import doctest
import importlib
import json
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from normlab.errors import UsageError
from normlab.norms.surgery.convert import convert_norms
from normlab.norms.surgery.recipe import CONFIG_ENTRY
from normlab.norms.surgery.restore import restore_norms


class PreTrainedConfig(SimpleNamespace):
    """As in transformers: an object of settings that is saved with the model."""


@pytest.mark.parametrize("norm", ["bn", "bin", "gn:groups=8~", "brn", "ln", "rms"])
def test_a_state_fits_what_was_restored(libraries, norm: str) -> None:
    torch.manual_seed(0)
    model = libraries.TorchvisionResNet()
    recipe = json.loads(json.dumps(convert_norms(model, norm).recipe))
    libraries.scramble(model)
    again = restore_norms(libraries.TorchvisionResNet(), recipe)
    again.load_state_dict(model.state_dict())
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(again.eval()(x), model.eval()(x))
    assert [type(m) for m in again.modules()] == [type(m) for m in model.modules()]


def test_several_conversions_are_noted_in_the_configuration_and_done_in_their_order() -> None:
    def make() -> nn.Module:
        model = nn.Sequential(nn.BatchNorm2d(8), nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8))
        model.config = PreTrainedConfig(num_labels=3)
        return model

    model = make()
    convert_norms(model, "gn:groups=4", where=lambda name, _: name == "0")
    convert_norms(model, "in")
    noted = getattr(model.config, CONFIG_ENTRY)
    assert noted == [{"norm": "gn:groups=4", "layers": ["0"]}, {"norm": "in", "layers": ["0", "2"]}]
    again = make()
    setattr(again.config, CONFIG_ENTRY, noted)
    restore_norms(again, getattr(again.config, CONFIG_ENTRY))
    assert [str(m) for m in again.modules()] == [str(m) for m in model.modules()]
    assert getattr(again.config, CONFIG_ENTRY) == noted  # once, not twice


def test_what_a_spec_states_at_its_default_is_still_stated() -> None:
    """Else ε would be that of the layer before, as for a spec that does not state it."""
    recipe = convert_norms(nn.Sequential(nn.BatchNorm2d(8, eps=0.1)), "bn:eps=1e-5").recipe
    assert restore_norms(nn.Sequential(nn.BatchNorm2d(8, eps=0.1)), recipe)[0].eps == 1e-5


def test_a_model_without_such_a_configuration_gets_none() -> None:
    model = nn.Sequential(nn.BatchNorm2d(8))
    model.config = {"width": 8}
    convert_norms(model, "in")
    assert model.config == {"width": 8}


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        ({"norm": "in", "layers": ["0", "7"]}, "converts '7', where this model has no norm"),
        ({"norm": "in"}, "a recipe is"),
        (["in"], "a recipe is .* got in"),
        ({"norm": "gnn", "layers": ["0"]}, "did you mean 'gn'"),
    ],
)
def test_what_is_no_recipe_of_this_model(recipe: object, sentence: str) -> None:
    with pytest.raises((UsageError, ValueError), match=sentence):
        restore_norms(nn.Sequential(nn.BatchNorm2d(8)), recipe)


def test_the_example_in_its_docstring() -> None:
    module = importlib.import_module("normlab.norms.surgery.restore")
    results = doctest.testmod(module)
    assert (results.failed, results.attempted > 0) == (0, True)
