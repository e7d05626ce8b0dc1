from __future__ import annotations

import csv
import io

from normlab.report.export.formats import to_csv, to_latex
from normlab.report.sections.answer.data import answer, answer_table
from normlab.report.sections.answer.sentence import change, sentence
from normlab.report.sections.verdict.data import how_sure
from normlab.stats.summary.analysis import analyse


def answered(fabricate, **options):
    plan = fabricate.make_plan(
        norms=("bn", "bin", "none"),
        blocks=options.pop("blocks", 6),
        analysis=options.pop("analysis", None),
    )
    (setting,) = analyse(plan, fabricate.make_runs(plan, **options)).settings
    return answer(setting, sentence(setting, "study"), None, {}).perspectives[0], setting


def test_every_number_is_printed_as_the_analysis_has_it(fabricate):
    shown, setting = answered(fabricate, sd=0.002)
    assert shown.head[:3] == ("accuracy (%)", "against bn (points)", "95 % interval")
    bn, best, none = shown.rows
    difference = setting.verdict.comparison("bin", "bn").difference
    assert best.difference == f"+{100 * difference.mean:.1f}"
    assert (
        best.interval
        == f"[+{100 * difference.interval.low:.1f}, +{100 * difference.interval.high:.1f}]"
    )
    assert (best.decision, best.share, best.blocks) == ("better", "6 of 6", "6")
    assert none.difference.startswith("−1")
    assert (bn.decision, bn.difference, bn.time) == ("reference", "–", "1.00×")


def test_for_the_loss_the_units_are_nats(fabricate):
    shown, _ = answered(fabricate, analysis={"metric": "loss"})
    assert shown.head[:2] == ("loss", "against bn (nats)")
    assert shown.rows[2].difference.startswith("+0.")


def test_what_the_reader_needs_beside_the_decision(fabricate):
    missing = {("bin", block) for block in range(6)}
    shown, _ = answered(fabricate, without=missing, statuses={("none", 0): "diverged"})
    _, absent, none = shown.rows
    assert (absent.decision, absent.value, absent.blocks) == ("no result", "–", "0")
    assert "diverged in 1 of 6" in none.remark


def test_without_the_reference_nothing_is_compared(fabricate):
    shown, _ = answered(fabricate, analysis={"reference": "ln"})
    assert {row.decision for row in shown.rows} == {"not compared"}


def test_every_arm_may_be_the_reference(fabricate):
    _, setting = answered(fabricate, sd=0.002)
    views = answer(setting, sentence(setting, "study"), None, {}).perspectives
    assert [view.reference for view in views] == ["bn", "bin", "none"]
    seen_from_bin = {row.arm: row for row in views[1].rows}
    assert seen_from_bin["bin"].decision == "reference"
    assert seen_from_bin["bn"].decision == "worse"
    assert seen_from_bin["bn"].difference.startswith("−")
    assert views[1].head[1] == "against bin (points)"


def test_a_sentence_says_what_it_rests_on_and_what_would_change_it(fabricate):
    _, decided = answered(fabricate, sd=0.002)
    assert sentence(decided, "study").rests_on == "6 blocks, margin ±1.0 points"
    assert change(decided).startswith("other images")
    _, open_one = answered(fabricate, blocks=3, effects={"bin": 0.004})
    assert "more block" in change(open_one)
    _, alone = answered(fabricate, without={(a, b) for a in ("bin", "none") for b in range(6)})
    assert change(alone) == "results of a second arm"


def test_the_answer_for_a_paper_says_n_interval_and_correction(fabricate):
    _, setting = answered(fabricate, sd=0.002)
    table = answer_table(
        setting, answer(setting, sentence(setting, "study"), None, {}).perspectives[0]
    )
    for part in ("over n blocks", "t interval (95 %", "Holm's method over all 3 pairs"):
        assert part in table.caption
    assert table.head[-1] == "n"
    assert table.text_columns[0]
    assert not table.text_columns[2]
    assert r"\begin{tabular}{lrrrrrlr}" in to_latex(table)
    head, _, best, _ = csv.reader(io.StringIO(to_csv(table)))
    held = dict(zip(head, best, strict=True))
    difference = setting.verdict.comparison("bin", "bn").difference
    assert float(held["against bn (points)"]) == 100 * difference.mean
    assert float(held["95 % interval low"]) == 100 * difference.interval.low


def test_what_is_open_after_the_last_look_is_not_told_that_two_blocks_are_missing(fabricate):
    """After five of five blocks it said "at least two blocks are needed to say how many more"."""
    plan = fabricate.make_plan(norms=("bn", "bin"), blocks=5, analysis={"method": 2})
    runs = fabricate.make_runs(plan, effects={"bn": 0.0, "bin": 0.004}, sd=0.02)
    (setting,) = analyse(plan, runs).settings
    assert setting.verdict.comparison("bin", "bn").decision == "undecided"
    rows = answer(setting, sentence(setting, "study"), None, {}).perspectives[0].rows
    assert [row.remark for row in rows] == ["", "open after the last look that was planned"]


def test_what_the_race_left_open_is_not_asked_for_more_blocks(fabricate):
    """The best arm beats both others at the first look; one of them stays until five blocks."""
    plan = fabricate.make_plan(norms=("bn", "bin", "none"), blocks=5, analysis={"method": 2})
    effects = {"bn": 0.0, "bin": 0.2, "none": -0.004}
    left_out = {("none", 3), ("none", 4)}
    runs = fabricate.make_runs(plan, effects=effects, sd=0.004, without=left_out)
    (setting,) = analyse(plan, runs).settings
    assert dict(setting.verdict.dropped) == {"none": 3}
    said = sentence(setting, "study")
    assert said.change == "other images or settings; more blocks would only narrow the intervals"
    rows = answer(setting, said, None, {}).perspectives[0].rows
    remark = next(row.remark for row in rows if row.arm == "none")
    assert remark == "not asked any longer: none lost to another arm"
    assert how_sure(setting, 1000).startswith("3 to 5 trainings of every arm, each judged on")
