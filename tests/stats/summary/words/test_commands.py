"""Every command that is printed is one that the command line takes."""

from __future__ import annotations

import shlex

import pytest
import typer.main

from normlab.cli.main import app
from normlab.records.plan import StudyPlan
from normlab.stats.summary.words.commands import Change, compare_command, run_command


def parsed(command: str) -> dict[str, object]:
    """What the command line makes of it; a wrong option or value raises."""
    program, verb, *arguments = shlex.split(command)
    assert program == "normlab"
    group = typer.main.get_command(app)
    subcommand = group.get_command(None, verb)
    assert subcommand is not None
    return subcommand.make_context(verb, arguments).params


@pytest.fixture
def plan(fabricate) -> StudyPlan:
    found = fabricate.make_plan(norms=("bn", "gn:groups=4", "bn as twin"), blocks=5,
                                batch_size=(8, 32), learning_rate=(0.1, 0.01))  # fmt: skip
    data = found.data.model_copy(update={"source": "my photos/birds"})
    return found.model_copy(update={"data": data})


def test_the_study_itself(plan) -> None:
    found = parsed(compare_command(plan, "a study", Change("again")))
    assert found["source"] == "my photos/birds"
    assert found["norms"] == "bn,gn:groups=4,bn as twin"
    assert found["batch_sizes"] == "8,32"
    assert found["learning_rates"] == "0.1,0.01"
    assert (found["blocks"], found["epochs"], found["image_size"]) == (5, 5, 32)
    assert str(found["out"]) == "a study-again"


@pytest.mark.parametrize(
    ("change", "option", "value"),
    [
        (Change("x", tune=4), "tune", 4),
        (Change("x", batch_sizes=(8, 32, 128)), "batch_sizes", "8,32,128"),
        (Change("x", epochs=60), "epochs", 60),
        (Change("x", norms=("bn", "bn:momentum=0.02")), "norms", "bn,bn:momentum=0.02"),
        (Change("x", vary={"augmentation": ("none", "light")}), "vary",
         ["augmentation=none,light"]),
        (Change("x", vary={"weight_decay": (5e-4, 2.5e-3)}), "vary",
         ["weight_decay=0.0005,0.0025"]),
        (Change("x", model="cifar-resnet20"), "model", "cifar-resnet20"),
    ],
)  # fmt: skip
def test_changes(plan, change, option, value) -> None:
    assert parsed(compare_command(plan, "s", change))[option] == value


def test_tuning_leaves_no_rate(plan) -> None:
    assert "--learning-rates" not in compare_command(plan, "s", Change("x", tune=4))


def test_what_differs_from_the_defaults_is_kept(plan) -> None:
    training = plan.training.model_copy(
        update={"schedule": "cosine", "augmentation": "standard", "patience": 3}
    )
    analysis = plan.analysis.model_copy(update={"metric": "loss", "reference": "twin"})
    other = plan.model_copy(update={"training": training, "analysis": analysis, "seed": 7})
    found = parsed(compare_command(other, "s", Change("x")))
    assert (found["schedule"], found["augmentation"], found["patience"]) == (
        "cosine",
        "standard",
        3,
    )
    assert (found["metric"], found["reference"], found["seed"]) == ("loss", "twin", 7)


def test_more_blocks() -> None:
    assert parsed(run_command("a study", 10))["blocks"] == 10


def test_the_parser_refuses_what_is_wrong() -> None:
    with pytest.raises(Exception, match="no-such-option"):
        parsed("normlab compare photos --no-such-option 3")
