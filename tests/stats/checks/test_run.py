from __future__ import annotations

from pathlib import Path

from normlab.stats.checks.run import run_checks


def test_a_clean_study_passes_every_check(study):
    checks = run_checks(*study)
    states = {check.code: check.state for check in checks}
    assert sorted(states) == list(states)
    unknown = {code for code, state in states.items() if state == "not applicable"}
    assert unknown == {
        "NL002",
        "NL003",
        "NL006",
        "NL007",
        "NL015",
    }  # no tuning, no data
    assert {state for code, state in states.items() if code not in unknown} == {"passed"}
    assert checks[3].anchor == "docs/checks.md#nl004"


def test_every_check_is_explained_in_the_documentation(study):
    text = (Path(__file__).parents[3] / "docs" / "checks.md").read_text(encoding="utf-8")
    for check in run_checks(*study):
        assert f"### {check.code}" in text
        assert f"**{check.title}**" in text


def test_without_runs_nothing_applies_but_what_is_missing(study):
    plan, _ = study
    states = {check.code: check.state for check in run_checks(plan, [])}
    assert states.pop("NL014") == "finding"
    assert set(states.values()) == {"not applicable"}
