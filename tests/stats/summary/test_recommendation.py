"""The recommendation says what the verdict decided, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from normlab.stats.inference.intervals import Interval
from normlab.stats.summary.analysis import analyse
from normlab.stats.summary.recommendation import _guessing, _settle, headline, recommend


def recommendation(fabricate, effects, sd=0.004, blocks=8, **plan_changes):
    plan = fabricate.make_plan(norms=tuple(effects), blocks=blocks, **plan_changes)
    runs = fabricate.make_runs(plan, effects=effects, sd=sd)
    (setting,) = analyse(plan, runs).settings
    return setting, recommend(setting, "photos-study")


def test_a_clear_winner_is_to_be_used_and_the_others_not(fabricate) -> None:
    setting, found = recommendation(fabricate, {"bn": 0.0, "gn": -0.10, "none": -0.20})
    assert setting.verdict.best == ("bn",)
    assert (found.use, found.not_these, found.open) == ("bn", ("gn", "none"), ())
    marks = [mark for mark, _, _ in found.lines]
    assert marks == ["USE", "NOT"]
    assert "no normalization (none)" in list(found.lines)[-1][1]
    losses = [abs(setting.verdict.comparison(a, "bn").difference.mean) for a in ("gn", "none")]
    assert found.not_why == f"lower by {100 * losses[0]:.1f} to {100 * losses[1]:.1f} points"
    assert found.command == ""


def test_what_is_not_told_apart_is_open_with_a_command_that_goes_on(fabricate) -> None:
    setting, found = recommendation(
        fabricate, {"bn": 0.0, "gn": 0.005, "none": -0.30}, sd=0.03, blocks=5
    )
    assert found.use == "bn"  # the reference, though gn's mean may be higher
    assert found.open == ("gn",)
    assert found.not_these == ("none",)
    assert found.settle.startswith("up to ")
    assert " better or " in found.settle
    assert found.command.startswith("normlab run photos-study --blocks ")
    assert int(found.command.split()[-1]) >= setting.verdict.blocks


def test_arms_that_only_guess_are_said_first_and_nothing_is_recommended(fabricate) -> None:
    setting, found = recommendation(fabricate, {"bn": -0.55, "gn": -0.55})
    assert found.use == ""
    assert found.warning.startswith("no arm is clearly above chance")
    assert [mark for mark, _, _ in found.lines] == ["FIRST"]
    assert found.command == ""  # more blocks of guessing would settle nothing
    assert setting.verdict.sentence.startswith("In 8 blocks no arm is clearly above chance")


def test_what_three_blocks_decide_is_confirmed_by_five(fabricate) -> None:
    effects = {"bn": 0.0, "gn": -0.2}
    setting, found = recommendation(fabricate, effects, 0.001, 3, analysis={"method": 2})
    assert setting.verdict.best == ("bn",)
    assert found.warning == "a first impression from 3 blocks; a decision takes 5"
    assert (found.use, found.open) == ("bn", ())
    assert (found.command, found.blocks) == ("normlab run photos-study --blocks 5", 5)


@pytest.mark.parametrize("blocks", [1, 2])
def test_few_blocks_are_a_first_impression(fabricate, blocks) -> None:
    _, found = recommendation(fabricate, {"bn": 0.0, "gn": -0.2}, blocks=blocks)
    assert found.warning
    assert (found.use == "") == (blocks == 1)


def test_one_arm_has_nothing_to_be_compared_with(fabricate) -> None:
    _, found = recommendation(fabricate, {"bn": 0.0})
    assert found.use == ""
    assert "nothing to compare" in found.warning


def test_the_headline_names_one_arm_or_says_that_it_depends(fabricate) -> None:
    _, clear = recommendation(fabricate, {"bn": 0.0, "gn": -0.10})
    assert headline([clear]) == "use bn"
    _, other = recommendation(fabricate, {"bn": -0.1, "gn": 0.0})
    assert headline([clear, other]).startswith("it depends: bn at ")


def test_a_size_that_is_not_known_is_no_number(fabricate) -> None:
    """Three blocks that vary much have intervals of over 100 points, which no accuracy can have."""
    _, found = recommendation(fabricate, {"bn": 0.0, "gn": -0.05}, sd=0.25, blocks=3)
    assert found.open
    assert "nothing can be said of the size" in found.settle
    assert " better or " not in found.settle


def test_an_open_arm_with_the_better_mean_is_named_beside_the_reference(fabricate) -> None:
    setting, found = recommendation(fabricate, {"bn": 0.0, "gn": 0.02}, sd=0.02, blocks=5)
    assert found.open == ("gn",)
    mean = 100 * setting.verdict.comparison("gn", "bn").difference.mean
    assert found.why == (
        f"nothing is shown to beat it, though gn was {mean:.1f} points better so far"
    )
    interval = setting.verdict.comparison("gn", "bn").interval
    better, worse = f"{100 * interval.high:.1f} better", f"{-100 * interval.low:.1f} worse"
    assert found.settle.startswith(f"up to {better} or {worse} (points)")


def test_runs_that_all_went_wrong_are_counted(fabricate) -> None:
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=2)
    how = {"bn": "out_of_memory", "gn": "failed"}
    cells = {(arm, block): how[arm] for arm in how for block in (0, 1)}
    (setting,) = analyse(plan, fabricate.make_runs(plan, statuses=cells)).settings
    found = recommend(setting, "photos-study")
    said = "2 failed and 2 out of memory"
    assert found.warning.startswith(f"no run that ended has a result: {said}")


def test_what_lies_on_one_side_and_is_not_decided_has_no_other_side(fabricate) -> None:
    setting, _ = recommendation(fabricate, {"bn": 0.0, "gn": -0.2}, blocks=2)
    pair = setting.verdict.comparison("gn", "bn")
    assert pair is not None

    def settle(low: float, high: float) -> str:
        interval = Interval(low, high, 0.95)
        return _settle(setting, [replace(pair, simultaneous=interval, forecast=None)])

    assert settle(-0.38, -0.31) == "31.0 to 38.0 worse so far (points), not decided yet"
    assert settle(0.01, 0.02) == "1.0 to 2.0 better so far (points), not decided yet"
    assert settle(-0.02, 0.01) == "up to 1.0 better or 2.0 worse (points)"


def test_an_open_arm_that_only_guesses_is_sent_to_other_rates_and_never_recommended(
    fabricate,
) -> None:
    effects = {"bn": -0.55, "gn": 0.0, "none": -0.55}
    _, found = recommendation(fabricate, effects, sd=0.004, blocks=2)
    assert found.use == "gn"  # though bn is the reference
    text = _guessing(["gn", "none"], ["gn"])
    assert text == "gn at chance level, so not more blocks but other rates may help (--tune 4)"
    assert _guessing(["gn"], ["gn"]).startswith("at chance level")
    assert _guessing(["none"], ["gn"]) == ""


def test_who_beat_an_arm_is_named_where_the_one_to_use_is_not_shown_to(fabricate) -> None:
    """NOT said "lower by" of gn, of which the table beside it said that it is undecided."""
    effects = {"bn": 0.0, "bin": 0.013, "gn": -0.016}
    setting, found = recommendation(fabricate, effects, sd=0.012, blocks=5)
    pairs = {other: setting.verdict.comparison("gn", other).decision for other in ("bn", "bin")}
    assert pairs == {"bn": "undecided", "bin": "worse"}
    assert (found.use, found.not_these) == ("bn", ("gn",))
    assert found.not_why.endswith("points than bn; gn shown to be below bin")
