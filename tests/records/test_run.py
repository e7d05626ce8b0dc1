"""Specs are values: frozen, hashed by content, and unforgiving of unknown fields."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from normlab.canonical import canonical_json
from normlab.records.run import DataSpec, EpochRow, Measures, OptimizerSpec, Outcome, RunSpec

DATA = DataSpec(fingerprint="f", classes=("a", "b"), image_size=32)


def spec(**changes: object) -> RunSpec:
    return RunSpec.model_validate({"arm": "bn", "block": 0, "norm": "bn", "data": DATA, **changes})


def test_the_id_is_the_content() -> None:
    assert spec().id == spec().id
    assert spec().id == RunSpec.model_validate_json(spec().model_dump_json()).id
    assert len(spec().id) == 12
    changed = [
        spec(block=1),
        spec(seed=1),
        spec(norm="gn"),
        spec(arm="a"),
        spec(batch_size=64),
        spec(epochs=31),
        spec(patience=3),
        spec(augmentation="none"),
        spec(precision="bfloat16"),
        spec(optimizer=OptimizerSpec(learning_rate=0.2)),
        spec(data=DATA.model_copy(update={"image_size": 64})),
        spec(network={"shortcut": "B"}),
        spec(schedule={"name": "cosine"}),
        spec(label_smoothing=0.1),
        spec(clip_gradient_norm=1.0),
        spec(numerics=0),
    ]
    assert len({s.id for s in [spec(), *changed]}) == len(changed) + 1


def test_the_same_in_another_block_is_what_is_written_anew() -> None:
    first = spec(network={"shortcut": "B"}, epochs=7)
    assert first.id == first.in_block(0).id
    assert first.folder_name == first.in_block(0).folder_name
    for block in (1, 12, 999):
        there = first.in_block(block)
        anew = spec(network={"shortcut": "B"}, epochs=7, block=block)
        assert (there, there.id, there.folder_name) == (anew, anew.id, anew.folder_name)
        assert there.model_dump_json(exclude_unset=True) == anew.model_dump_json(exclude_unset=True)
        assert there.model_copy(update={"epochs": 8}).id != there.id
    assert first.block == 0
    with pytest.raises(ValidationError, match="frozen"):
        first.in_block(1).block = 3  # type: ignore[misc]


@given(st.text(min_size=1, max_size=60))
def test_folder_names_are_portable(arm: str) -> None:
    name = spec(arm=arm).folder_name
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.=-")
    assert len(name) < 64


def test_unknown_fields_and_changes_are_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        spec(learning_rate=0.1)
    with pytest.raises(ValidationError, match="frozen"):
        spec().block = 3  # type: ignore[misc]


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), 0.1])
def test_figures_that_are_not_finite_survive_the_file(loss: float) -> None:
    measures = Measures(loss=loss, accuracy=0.5, micro_f1=0.5, macro_f1=0.5, images=4)
    row = EpochRow(
        epoch=1,
        learning_rate=0.1,
        train=measures,
        validation=measures,
        seconds=1.0,
        images_per_second=4.0,
    )
    back = EpochRow.model_validate_json(row.model_dump_json())
    assert back.train.loss == loss or (back.train.loss != back.train.loss and loss != loss)


def test_which_outcomes_are_final() -> None:
    final = {"finished", "stopped_early", "diverged"}
    for status in ("finished", "stopped_early", "diverged", "out_of_memory", "failed"):
        assert Outcome(status=status, epochs=1).is_final == (status in final)


def test_canonical_json_does_not_depend_on_the_order() -> None:
    assert canonical_json({"b": 1, "a": [1.5, "é"]}) == '{"a":[1.5,"é"],"b":1}'
