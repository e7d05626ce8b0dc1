"""Planning, factors, tuning, recipes and budgets from the command line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from normlab.records.plan import TuningPlan, read_plan
from normlab.study.study import Study

pytestmark = pytest.mark.usefixtures("no_report")


@pytest.mark.slow
def test_plan_writes_a_frozen_plan_and_run_starts_it(normlab, photos, tiny, scratch) -> None:
    result = normlab("plan", "photos", *tiny, "--looks", "2,3", "--blocks", "3")
    assert (result.code, result.err) == (0, "")
    plan = read_plan(scratch / "photos-study" / "study.toml")
    assert plan.frozen is not None
    assert plan.frozen.hash == plan.hash
    assert plan.analysis.looks == (2, 3)
    assert "after blocks (level) 2 (0." in result.out
    assert f"frozen   {plan.frozen.hash[:12]}" in result.out
    assert "start it: normlab run photos-study" in result.out
    assert not (scratch / "photos-study" / "runs").exists()
    assert (scratch / "photos-study" / "data.json").exists()
    assert result.out.index("photos-study/look.html") < result.out.index("start it: normlab run")
    assert (scratch / "photos-study" / "look.html").exists()
    assert normlab("run", "photos-study").code == 0
    assert len(Study.open("photos-study").records()) == 6


@pytest.mark.slow
def test_plan_says_what_a_cluster_would_be_asked_for(normlab, photos, tiny) -> None:
    result = normlab("plan", "photos", *tiny, "--blocks", "3", "--resources")
    assert (result.code, result.err) == (0, "")
    memory = re.search(r"a run    1 CPU · ([\d,.]+) (MiB|GiB) of memory · up to", result.out)
    assert memory is not None, result.out
    assert float(memory[1].replace(",", "")) > (100 if memory[2] == "MiB" else 0)
    assert "all      6 runs at once until the next look · one after the other" in result.out
    asked = re.search(r"--executor slurm:cpus=1,mem=(\d+)M,time=10m,tasks=6", result.out)
    assert asked is not None
    assert int(asked[1]) % 256 == 0
    assert f'6 × {{"CPU": 1, "memory": {int(asked[1]) * 2**20}}}' in result.out
    assert "--executor ray:cpus=1,tasks=6" in result.out
    assert not (Path("photos-study") / "runs").exists(), "its steps are thrown away"


@pytest.mark.parametrize("blocks", ["1001", "9" * 21])
def test_a_study_cannot_be_given_more_blocks_than_a_plan(normlab, photos, tiny, blocks) -> None:
    """`run` took the number as it came, and all memory of the machine with it."""
    normlab("plan", "photos", *tiny, "--no-probe")
    result = normlab("run", "photos-study", "--blocks", blocks, "--yes")
    result.assert_one_sentence(f"at most 1,000 blocks, got {blocks}")
    assert Study.open("photos-study").plan.blocks < 1000


def test_resources_go_with_plan(normlab, photos, tiny) -> None:
    normlab("compare", "photos", *tiny, "--resources").assert_one_sentence("goes with plan")


def test_a_plan_that_was_changed_is_refused(normlab, photos, tiny, scratch) -> None:
    normlab("plan", "photos", *tiny)
    path = scratch / "photos-study" / "study.toml"
    path.write_text(path.read_text().replace("margin = 0.01", "margin = 0.05"))
    normlab("run", "photos-study").assert_one_sentence("was changed after its study had started")


def test_any_key_of_training_may_vary(normlab, photos, tiny) -> None:
    result = normlab("plan", "photos", *tiny, "--vary", "augmentation=none,light")
    assert result.code == 0, result.err
    assert "in 2 settings" in result.out
    settings = {(run.augmentation, run.arm) for run in Study.open("photos-study").specs()}
    assert settings == {(a, n) for a in ("none", "light") for n in ("bn", "gn")}


@pytest.mark.slow
def test_networks_may_vary_and_be_named_by_their_depth(normlab, photos, tiny) -> None:
    small = tiny[:6]  # without a model
    options = ("--batch-sizes", "4", "--vary", "network=cifar-resnet8,cifar-resnet20")
    result = normlab("plan", "photos", *small, *options, "--out", "several")
    assert result.code == 0, result.err
    names = {run.network.name for run in Study.open("several").specs()}
    assert names == {"cifar-resnet8", "cifar-resnet20"}
    deeper = ("--batch-sizes", "4", "--n", "3", "--shortcut", "B")
    deep = normlab("plan", "photos", *small, *deeper, "--out", "deep")
    assert deep.code == 0, deep.err
    network = Study.open("deep").plan.training.network
    assert (network.name, network.options["shortcut"]) == ("cifar-resnet20", "B")


def test_another_factor_can_be_compared(normlab, photos, tiny) -> None:
    options = ("--norms", "bn", "--compare", "learning_rate", "--learning-rates", "0.1,0.0001")
    result = normlab("compare", "photos", *tiny, *options)
    assert result.code == 0, result.err
    arms = {record.spec.arm for record in Study.open("photos-study").records()}
    assert arms == {"learning rate 0.1", "learning rate 0.0001"}
    assert "minus learning rate 0.1" in result.out


@pytest.mark.slow
def test_one_norm_under_two_names(normlab, photos, tiny) -> None:
    result = normlab("compare", "photos", *tiny, "--norms", "bn,bn as twin", "--blocks", "2")
    assert result.code == 0, result.err
    bn, twin = (
        [r.outcome.test for r in Study.open("photos-study").records() if r.spec.arm == arm]
        for arm in ("bn", "twin")
    )
    assert bn == twin
    said = " ".join(result.out.split())
    assert re.search(r"twin \d+\.\d \d+\.\d \+0\.0", said)
    assert "FIRST" in said
    assert "LEVEL" not in said  # two equal blocks prove little


@pytest.mark.slow
def test_tuning_from_the_command_line(normlab, photos, tiny) -> None:
    result = normlab("compare", "photos", *tiny, "--tune", "2", "--tune-range", "0.01,0.1")
    assert result.code == 0, result.err
    assert "× 1 block = 2 runs + 4 short ones to tune" in result.out
    assert re.search(r"tuning, rate 0\.\d+ +bn +validation +\d", result.out)
    tuning_results = Study.open("photos-study").tuning_results()
    assert tuning_results is not None
    assert {arm.arm for arm in tuning_results.arms} == {"bn", "gn"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["normalization", "optimizer", "batch-size"])
@pytest.mark.parametrize("scale", ["small", "course"])
def test_the_studies_of_the_course(normlab, photos, scratch, name, scale) -> None:
    options = ("--recipe", name, "--scale", scale, "--epochs", "2", "--image-size", "8")
    result = normlab("plan", "photos", *options, "--batch-sizes", "4")
    assert result.code == 0, result.err
    plan = Study.open("photos-study").plan
    assert plan.training.epochs == 2
    (factors,) = plan.factors
    assert factors.batch_size == (4,)  # what the user says goes before the recipe
    assert len(factors.norm) == {"normalization": 7, "optimizer": 6, "batch-size": 2}[name]
    assert len(factors.optimizer) == (3 if name == "optimizer" else 1)


@pytest.mark.slow
def test_no_run_is_begun_of_which_not_an_epoch_would_end_in_time(normlab, photos, tiny) -> None:
    normlab("plan", "photos", *tiny, "--blocks", "2")
    result = normlab("run", "photos-study", "--budget", "0.001s")
    assert result.code == 3, result.err
    assert "stopped  the time is over: about " in result.out
    assert " left · go on: normlab run photos-study" in result.out
    assert Study.open("photos-study").records() == []
    assert normlab("run", "photos-study", "--budget", "1h").code == 0
    assert len(Study.open("photos-study").records()) == 4


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("--vary", "augmentation"), ("--vary takes a factor and its levels",)),
        (("--vary", "colour=1,2"), ("colour", "training factor")),
        (("--vary", "augmentation=none,none"), ("repeats a level",)),
        (("--compare", "colour"), ("colour",)),
        (("--looks", "7,4"), ("looks must rise",)),
        (("--looks", "4,7"), ("last look is after 7 blocks",)),
        (("--tune", "1"), ("--tune must be",)),
        (("--tune", "4", "--tune-range", "1"), ("lowest and the highest",)),
        (("--tune", "4", "--tune-range", "1,0.1"), ("lowest and the highest",)),
        (("--recipe", "norms"), ("recipe", "norms")),
        (("--recipe", "optimizer", "--scale", "huge"), ("scale", "huge")),
        (("--norms", "bn as a,gn as a"), ("'a' stands for bn and for gn",)),
        (("--reference", "ln"), ("'ln' is not among the arms",)),
        (("--alpha", "0.9"), ("alpha",)),
        (("--n", "2"), ("--n 2 is cifar-resnet14", "resnet8", "leave one of them out")),
        (("--shortcut", "C"), ("shortcut", "C")),
        (("--vary", "network=resnet9"), ("resnet9", "did you mean")),
    ],
)
def test_bad_plans_are_one_sentence(normlab, photos, tiny, options, parts) -> None:
    normlab("plan", "photos", *tiny, *options).assert_one_sentence(*parts)


@pytest.mark.slow
def test_a_budget_with_room_lets_every_arm_find_its_rate(normlab, photos) -> None:
    """And does not where a rate was given, or blocks and epochs were."""
    small = ("--norms", "bn,gn", "--model", "resnet8", "--batch-sizes", "4", "--image-size", "8")
    wide = normlab("plan", "photos", *small, "--budget", "night", "--out", "wide")
    assert wide.code == 0, wide.err
    assert "tuned    learning rate 0.001 to 1: the same 4 points for every arm" in wide.out
    assert read_plan(Path("wide/study.toml")).tuning == TuningPlan(points=4)
    again = normlab("plan", "photos", *small, "--budget", "night", "--out", "wide")
    assert again.code == 0, again.err
    given = ("--learning-rates", "0.1")
    fixed = normlab("plan", "photos", *small, *given, "--budget", "night", "--out", "fixed")
    assert "tuned" not in fixed.out
    narrow = normlab("plan", "photos", *small, "--epochs", "3", "--budget", "night", "--out", "few")
    assert "tuned" not in narrow.out
