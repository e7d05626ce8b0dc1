"""Option groups: the same options in every verb that takes them, under the group's heading."""

from __future__ import annotations

import inspect
from dataclasses import fields

import pytest
import typer

from normlab.cli.expand import expand_groups
from normlab.cli.option_groups import ImageOptions, OptionGroup, RunningOptions, TrainingOptions
from normlab.cli.verbs.compare import compare
from normlab.cli.verbs.run import run
from normlab.cli.verbs.train import train


def test_a_verb_is_called_with_its_groups() -> None:
    seen = {}

    def verb(name: str, *, images: ImageOptions, running: RunningOptions) -> None:
        seen.update(name=name, images=images, running=running)

    expanded = expand_groups(verb)
    expanded(
        "photos",
        image_size=32, resize="fit", copies="exact", pairs=None,
        device="cpu", deterministic=True, compiled=False, yes=True,
    )  # fmt: skip
    assert seen["name"] == "photos"
    assert seen["images"] == ImageOptions(image_size=32, resize="fit", copies="exact")
    assert seen["running"] == RunningOptions(device="cpu", deterministic=True, yes=True)
    assert "images" not in inspect.signature(expanded).parameters


@pytest.mark.parametrize(
    ("group", "verbs"),
    [
        (ImageOptions, (compare, train)),
        (TrainingOptions, (compare, train)),
        (RunningOptions, (compare, train, run)),
    ],
)
def test_verbs_share_names_and_defaults(group: type[OptionGroup], verbs) -> None:
    defaults = {field.name: field.default for field in fields(group)}
    for verb in verbs:
        parameters = inspect.signature(verb).parameters
        assert {name: parameters[name].default for name in defaults} == defaults


def test_every_option_has_one_name_in_a_verb() -> None:
    """Two groups with one field would silently share one value."""

    def verb(*, images: ImageOptions, others: ImageOptions) -> None:
        raise AssertionError(images, others)

    with pytest.raises(ValueError, match="duplicate parameter name"):
        expand_groups(verb)


def test_help_is_divided_by_the_groups(normlab) -> None:
    text = normlab("compare", "--help").out
    headings = [line[:-1] for line in text.splitlines() if line.endswith(":") and line[0] != " "]
    assert headings == [
        *("Arguments", "Options", "Factors", "Study"),
        *("Images", "Training", "Analysis", "Running"),
    ]
    assert text.index("Training:") < text.index("--weight-decay") < text.index("Analysis:")
    options = [p for p in inspect.signature(compare).parameters.values() if p.name != "context"]
    assert len(options) > 30
    assert all(
        isinstance(p.annotation.__metadata__[0], typer.models.ParameterInfo) for p in options
    )
