"""Factors beyond the norm: keys of [training], exclusions, names, another factor as the arms."""

from __future__ import annotations

import pytest

from normlab.errors import PlanError, UnknownNameError, UsageError
from normlab.records.cells import Setting, arm_of, cells, excluded_cells, level_text
from normlab.records.plan import read_plan, write_plan
from normlab.records.run import NetworkSpec
from normlab.stats.data.setting import planned_arms
from normlab.study.check import check_plan
from normlab.study.design.freeze import freeze
from normlab.study.design.runs import plan_runs


def frozen(plan):
    return freeze(plan, "fingerprint", ("a", "b"))


def test_any_key_of_training_is_a_factor(make_plan) -> None:
    levels = {
        "weight_decay": [0.0, 5e-4],
        "network": [{"name": "resnet8"}, {"name": "resnet14"}],
        "schedule": ["cosine"],
    }
    plan = frozen(make_plan(factors={"norm": ["bn", "gn"], "training": levels}))
    runs = plan_runs(plan)
    found = [(r.network.name, r.optimizer.weight_decay, r.schedule.name, r.arm) for r in runs]
    assert len(found) == len(set(found)) == 8
    assert {run.schedule.name for run in runs} == {"cosine"}
    settings = planned_arms(plan)
    assert len(settings) == 4
    assert all(arms == ("bn", "gn") for arms in settings.values())
    assert {Setting.of(run, plan) for run in runs} == set(settings)
    assert "weight decay 0.0005" in {str(s).split(", ")[3] for s in settings}


def test_a_plan_with_all_of_it_is_read_as_it_was_written(make_plan, tmp_path) -> None:
    plan = frozen(
        make_plan(
            factors={"norm": ["bn", "bn as twin"], "training": {"augmentation": ["none", "light"]}},
            exclude=[{"reason": "known", "norm": ["twin"], "batch_size": [32]}],
            tuning={"points": 2},
            analysis={"looks": [2, 3]},
            blocks=3,
        )
    )
    write_plan(plan, tmp_path / "study.toml")
    assert read_plan(tmp_path / "study.toml") == plan


@pytest.mark.parametrize(
    ("level", "text"),
    [
        (5e-4, "0.0005"),
        ("light", "light"),
        (None, "none"),
        (3, "3"),
        (NetworkSpec(name="resnet20", shortcut="B"), "resnet20-B"),
        ({"name": "resnet8"}, "resnet8"),
    ],
)
def test_levels_as_text(level, text) -> None:
    assert level_text(level) == text


def test_what_is_excluded_is_not_run_and_says_why(make_plan) -> None:
    plan = frozen(
        make_plan(
            factors={"norm": ["bn", "gn"], "batch_size": [2, 4]},
            exclude=[{"reason": "two values are noise", "norm": ["bn"], "batch_size": [2]}],
        )
    )
    assert [(c.norm, c.batch_size) for c in cells(plan)] == [("gn", 2), ("bn", 4), ("gn", 4)]
    ((cell, reason),) = excluded_cells(plan)
    assert (cell.norm, cell.batch_size, reason) == ("bn", 2, "two values are noise")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"exclude": [{"reason": "all"}]}, PlanError, "nothing is left to run"),
        ({"exclude": [{"reason": ""}]}, PlanError, "reason"),
        ({"exclude": [{"reason": "x", "norm": ["gnn"]}]}, UnknownNameError, "did you mean 'gn'"),
        ({"factors": {"training": {"colour": [1]}}}, PlanError, "unknown training factor 'colour'"),
        ({"factors": {"training": {"epochs": []}}}, PlanError, "has no level"),
        ({"factors": {"training": {"epochs": [1, 1]}}}, PlanError, "repeats a level"),
        ({"factors": {"training": {"epochs": [0]}}}, PlanError, "epochs"),
        ({"factors": {"training": {"augmentation": ["rain"]}}}, UsageError, "rain"),
        ({"analysis": {"compare": "colour"}}, PlanError, "colour"),
    ],
)
def test_what_no_study_can_have_is_one_sentence(make_plan, changes, error, message) -> None:
    with pytest.raises(error, match=message):
        check_plan(make_plan(**changes))


@pytest.mark.parametrize(
    ("factor", "levels", "arms"),
    [
        ("optimizer", ["sgd", "adam"], ["sgd", "adam"]),
        ("learning_rate", [0.1, 1e-4], ["learning rate 0.1", "learning rate 0.0001"]),
        ("batch_size", [2, 4], ["batch 2", "batch 4"]),
    ],
)
def test_the_levels_of_another_factor_are_the_arms(make_plan, factor, levels, arms) -> None:
    analysis = {"compare": factor, "reference": ""}
    plan = frozen(make_plan(factors={"norm": ["bn", "gn"], factor: levels}, analysis=analysis))
    assert plan.analysis.reference == arms[0]
    settings = planned_arms(plan)
    assert [setting.norm for setting in settings] == ["bn", "gn"]
    assert [list(found) for found in settings.values()] == [arms, arms]
    assert {arm_of(cell, plan) for cell in cells(plan)} == set(arms)


def test_a_training_key_as_the_arms(make_plan) -> None:
    plan = frozen(
        make_plan(
            factors={"norm": ["bn"], "training": {"augmentation": ["none", "light"]}},
            analysis={"compare": "augmentation", "reference": ""},
        )
    )
    assert [run.arm for run in plan_runs(plan)] == ["augmentation none", "augmentation light"]
    ((setting, arms),) = planned_arms(plan).items()
    assert setting.other == ()
    assert arms == ("augmentation none", "augmentation light")


def test_two_names_of_one_norm_differ_in_the_name_alone(make_plan) -> None:
    first, second = plan_runs(frozen(make_plan(factors={"norm": ["bn", "bn as twin"]})))
    assert second.arm == "twin"
    assert second.model_copy(update={"arm": "bn"}) == first
    assert second.id != first.id
