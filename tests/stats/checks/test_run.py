from __future__ import annotations

from normlab.stats.checks.run import run_checks


def test_a_clean_study_passes_every_check(study):
    checks = run_checks(*study)
    codes = ["NL001", "NL004", "NL008", "NL009", "NL011", "NL012", "NL013", "NL014"]
    assert [check.code for check in checks] == codes
    assert {check.state for check in checks} == {"passed"}
    assert checks[1].anchor == "docs/checks.md#nl004"


def test_without_runs_nothing_applies_but_what_is_missing(study):
    plan, _ = study
    states = {check.code: check.state for check in run_checks(plan, [])}
    assert states.pop("NL014") == "finding"
    assert set(states.values()) == {"not applicable"}
