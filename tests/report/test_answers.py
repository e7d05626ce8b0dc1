from __future__ import annotations

from normlab.report.answers import answer
from normlab.stats.analysis import analyse


def answered(fabricate, **options):
    plan = fabricate.make_plan(
        norms=("bn", "bin", "none"),
        blocks=options.pop("blocks", 6),
        analysis=options.pop("analysis", None),
    )
    (setting,) = analyse(plan, fabricate.make_runs(plan, **options)).settings
    return answer(setting, None), setting


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
    assert (best.decision, best.share, best.blocks) == ("better", "1.00", "6")
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
