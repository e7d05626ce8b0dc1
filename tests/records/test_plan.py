"""study.toml: round trip, one sentence a fault, and the hash that notices changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from normlab.errors import PlanError
from normlab.records.plan import DataPlan, Frozenness, StudyPlan, parse_plan, read_plan, write_plan

PLAN = StudyPlan(name="birds", data=DataPlan(source="photos"))


def frozen(plan: StudyPlan) -> StudyPlan:
    state = Frozenness(
        hash=plan.hash, created="2026-01-01", normlab="0", fingerprint="f", classes=("a", "b"),
        groups="g", blocks=3,
    )  # fmt: skip
    return plan.model_copy(update={"frozen": state})


def test_round_trip(tmp_path: Path) -> None:
    for plan in (PLAN, frozen(PLAN)):
        write_plan(plan, tmp_path / "study.toml")
        assert read_plan(tmp_path / "study.toml") == plan


def test_blocks_may_grow_and_the_data_may_move(tmp_path: Path) -> None:
    plan = frozen(PLAN).model_copy(
        update={"blocks": 9, "data": PLAN.data.model_copy(update={"source": "elsewhere"})}
    )
    write_plan(plan, tmp_path / "study.toml")
    assert read_plan(tmp_path / "study.toml").blocks == 9


def test_nothing_else_may_change_after_the_start(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    write_plan(frozen(PLAN), path)
    path.write_text(path.read_text().replace("margin = 0.01", "margin = 0.05"))
    with pytest.raises(PlanError, match="was changed after its study had started"):
        read_plan(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('normlab = "0"', 'normlab = "1"'),
        ('created = "2026-01-01"', 'created = "2026-01-02"'),
        ('fingerprint = "f"', 'fingerprint = "g"'),
        ('"a",\n', '"c",\n'),
        ("seal = ", "deal = "),
    ],
)
def test_what_was_frozen_is_under_a_seal(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "study.toml"
    write_plan(frozen(PLAN), path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(PlanError, match=r"changed after its study had started|unknown key"):
        read_plan(path)


def test_a_frozen_plan_that_was_cut_off_anywhere_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    write_plan(frozen(PLAN), path)
    text = path.read_text().rstrip()
    for end in (*range(0, len(text), 29), *range(len(text) - 30, len(text))):
        path.write_text(text[:end])
        with pytest.raises(PlanError, match=r"study\.toml"):
            read_plan(path)


def test_a_plan_that_was_frozen_before_there_were_seals_is_read(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    write_plan(frozen(PLAN), path)
    path.write_text(path.read_text().partition("\n")[2])
    assert read_plan(path) == frozen(PLAN)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"name": "x"}, "the key 'data' is missing; add it"),
        ({"name": "x", "data": {"source": "p", "sz": 3}}, "unknown key 'data.sz'; remove it"),
        (
            {"name": "x", "data": {"source": "p", "image_size": 4}},
            "data.image_size = 4: input should be greater than or equal to 8",
        ),
        (
            {"name": "x", "data": {"source": "p"}, "analysis": {"metric": "acuracy"}},
            "unknown metric 'acuracy'; did you mean 'accuracy'",
        ),
        (
            {"name": "x", "data": {"source": "p"}, "factors": {"norm": []}},
            "factor 'norm' has no level",
        ),
        (
            {"name": "x", "data": {"source": "p"}, "factors": {"batch_size": [8, 8]}},
            "factor 'batch_size' repeats a level",
        ),
    ],
)
def test_faults_are_one_sentence(content: dict, sentence: str) -> None:
    with pytest.raises(PlanError) as caught:
        parse_plan(content)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_plan(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="no study plan at"):
        read_plan(tmp_path / "study.toml")
    (tmp_path / "study.toml").write_text("a = " + "[" * 50_000)
    with pytest.raises(PlanError, match=r"study.toml is not valid TOML \(.*\); restore the file"):
        read_plan(tmp_path / "study.toml")
    (tmp_path / "study.toml").write_text("name = ")
    with pytest.raises(PlanError, match="is not valid TOML"):
        read_plan(tmp_path / "study.toml")


def test_the_recipes_are_valid_plans() -> None:
    recipes = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))
    assert [path.stem for path in recipes] == ["cifar10", "indian-birds"]
    for path in recipes:
        assert read_plan(path).frozen is None


def test_a_function_of_somebodys_module_is_code_that_the_user_is_asked_about() -> None:
    content = {"name": "birds", "data": {"source": "photos"}, "training": {"network": "os:system"}}
    with pytest.raises(PlanError, match=r'os, which is not among the plugins; add plugins = ."os"'):
        parse_plan(content)
    level = {"training": {"network": ["cifar-resnet8", "os:system"]}}
    with pytest.raises(PlanError, match="not among the plugins"):
        parse_plan({**content, "training": {}, "factors": [level]})
    assert parse_plan({**content, "plugins": ["os"]}).training.network.name == "os:system"
