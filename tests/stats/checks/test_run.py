from __future__ import annotations

from pathlib import Path

import pytest

from normlab.errors import PluginError, UsageError
from normlab.records import checks as table
from normlab.stats.checks.base import StudyToCheck, check, finding, not_applicable
from normlab.stats.checks.run import run_checks, study_checks


def test_a_clean_study_passes_every_check(study):
    checks = run_checks(StudyToCheck(*study))
    states = {check.code: check.state for check in checks}
    assert sorted(states) == list(states)
    unknown = {code for code, state in states.items() if state == "not applicable"}
    assert unknown == {
        "NL002",
        "NL003",
        "NL006",
        "NL007",
        "NL015",
        "NL019",
        "NL020",
        "NL021",
    }  # no tuning, no data, no probe, no network in part
    assert {state for code, state in states.items() if code not in unknown} == {"passed"}


def test_every_check_is_explained_in_the_documentation(study):
    text = (Path(__file__).parents[3] / "docs" / "checks.md").read_text(encoding="utf-8")
    for each in study_checks():
        assert f"### {each.code}\n**{each.title}** ({each.severity}" in text
        assert each.summary


def test_without_runs_nothing_applies_but_what_is_missing(study):
    plan, _ = study
    states = {check.code: check.state for check in run_checks(StudyToCheck(plan, []))}
    assert states.pop("NL014") == "finding"
    assert set(states.values()) == {"not applicable"}


@pytest.fixture
def own_check():
    """A check in no file of normlab."""

    @check("NL900", "No arm is called gn", severity="warning")
    def called_gn(study):
        """The names of the arms."""
        names = {run.spec.arm for run in study.runs}
        if not names:
            return not_applicable("no arm has run")
        return finding("gn is one", "note" if len(study.runs) > 1 else None)

    yield called_gn
    table.unregister("NL900")


def test_a_check_from_outside_is_run_with_the_others(study, own_check):
    plan, runs = study
    found = run_checks(StudyToCheck(plan, runs))[-1]
    assert (found.code, found.title) == ("NL900", "No arm is called gn")
    assert (found.state, found.severity, found.message) == ("finding", "note", "gn is one")
    assert own_check(StudyToCheck(plan, runs[:1])).severity == "warning"
    assert run_checks(StudyToCheck(plan, []))[-1].state == "not applicable"
    assert own_check.summary == "The names of the arms"


def test_a_code_is_given_once(own_check):
    with pytest.raises(UsageError, match="two checks have the code NL900"):
        check("NL900", "Another", severity="note")(lambda study: not_applicable(""))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("no_such_module", r"'mine' of normlab.checks \(no_such_module\) cannot be imported"),
        ("math:pi", "is not a check: what a decorator `check` makes, but float"),
    ],
)
def test_checks_of_an_installed_package_that_cannot_be_used(installed, value, says):
    installed("normlab.checks", "mine", value)
    with pytest.raises(PluginError, match=says):
        table.import_checks.__wrapped__("normlab.stats.checks")


def test_checks_of_an_installed_package_are_registered_once(installed, own_check):
    installed("normlab.checks", "mine", "somewhere:check", own_check)
    table.import_checks.__wrapped__("normlab.stats.checks")
    assert table.registered_checks("NL900") == (own_check,)
    table.unregister("NL900")
    table.import_checks.__wrapped__("normlab.stats.checks")
    assert table.registered_checks("NL900") == (own_check,)
