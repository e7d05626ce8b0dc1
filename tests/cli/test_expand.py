"""Option groups: the same options in every verb that takes them, under the group's heading."""

from __future__ import annotations

import inspect
from dataclasses import fields

import pytest
import typer

from normlab.cli.expand import expand_groups
from normlab.cli.help_text import EXAMPLES, FIRST, SHORT, VERBS
from normlab.cli.main import app
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
        device="cpu", deterministic=True, compiled=False, live=None, yes=True,
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
        *("Examples", "Arguments", "The first to know", "Options", "Factors", "Study"),
        *("Images", "Training", "Analysis", "Running"),
    ]
    assert text.index("Training:") < text.index("--weight-decay") < text.index("Analysis:")
    options = [p for p in inspect.signature(compare).parameters.values() if p.name != "context"]
    assert len(options) > 30
    assert all(
        isinstance(p.annotation.__metadata__[0], typer.models.ParameterInfo) for p in options
    )


@pytest.mark.parametrize("verb", EXAMPLES)
def test_every_example_can_be_parsed(normlab, verb) -> None:
    """Each of them is in the help of its verb, and names only options that are there."""
    shown = normlab(verb, "--help").out
    for example in EXAMPLES[verb]:
        name, used, *arguments = example.split()
        assert (name, f"  {example}\n" in shown) == ("normlab", True)
        command = typer.main.get_command(app).commands[used]
        with command.make_context(used, arguments, resilient_parsing=False) as context:
            assert context.info_name == used


def test_every_verb_has_an_example_and_a_place() -> None:
    verbs = set(typer.main.get_command(app).commands)
    assert verbs == set(EXAMPLES) == set(SHORT)
    assert verbs == {verb for group in VERBS.values() for verb in group}
    help_lines = typer.main.get_command(app).get_help(typer.Context(typer.main.get_command(app)))
    assert "..." not in help_lines.partition("Start here")[2]


def test_the_first_options_are_options() -> None:
    for verb, names in FIRST.items():
        command = typer.main.get_command(app).commands[verb]
        assert set(names) <= {parameter.name for parameter in command.params}
        assert len(names) == 5


@pytest.mark.parametrize(
    ("given", "meant"),
    [("--lr", "--learning-rates"), ("--network", "--model"), ("--augment", "--augmentation")],
)
def test_a_near_option_is_named(normlab, given, meant) -> None:
    result = normlab("compare", "photos", given, "3")
    result.assert_one_sentence(f"there is no option {given}; did you mean {meant}?")
    normlab("compare", "photos", "--xyzzy").assert_one_sentence("no option --xyzzy; all are in")


def test_one_or_several_norms(normlab, photos) -> None:
    """--norm and --norms are one in every verb, also with an equals sign."""
    small = ("--image-size", "8", "--model", "cifar-resnet8", "--batch-size=4", "--epochs", "1")
    result = normlab("plan", "photos", "--norm", "bn,gn", *small, "--blocks", "1", "--out", "two")
    assert result.code == 0, result.err
    assert "bn gn × 1 block" in result.out
    normlab("bench", "--norm=bm").assert_one_sentence("bm", "bn")
    normlab("train", "photos", "--norms", "bm").assert_one_sentence("bm", "bn")
