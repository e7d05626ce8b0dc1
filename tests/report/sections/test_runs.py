from __future__ import annotations

from pathlib import Path

import pytest

from normlab.report.sections.runs.data import environments, next_step
from normlab.stats.data.reading import StudyRecords
from normlab.stats.summary.analysis import analyse


def step(fabricate, runs=None, folder="photos study", **options):
    plan = fabricate.make_plan(
        norms=("bn", "gn"), **{k: options.pop(k) for k in ("blocks",) if k in options}
    )
    runs = fabricate.make_runs(plan, **options) if runs is None else runs
    study = StudyRecords(Path(folder), plan, tuple(runs), ())
    return next_step(study, analyse(plan, runs))


def test_what_is_left_comes_first(fabricate):
    sentence, command = step(fabricate, runs=[])
    assert sentence == "6 runs of the plan still to be made or ended:"
    assert command == "normlab run 'photos study'"


def test_then_five_blocks(fabricate):
    assert step(fabricate)[1] == "normlab run 'photos study' --blocks 5"


def test_then_the_blocks_that_decide(fabricate):
    sentence, command = step(fabricate, blocks=5, effects={"gn": 0.006})
    assert sentence.startswith(
        "All planned runs have ended. The next undecided comparison needs about"
    )
    assert int(command.rsplit(" ", 1)[1]) > 5


def test_then_nothing(fabricate):
    assert "changes nothing" in step(fabricate, blocks=6, effects={"gn": 0.1})[0]


@pytest.mark.parametrize("folder", ["a;rm -rf b", "$(x)"])
def test_the_command_is_quoted(fabricate, folder):
    assert step(fabricate, runs=[], folder=folder)[1] == f"normlab run '{folder}'"


def test_each_environment_once(fabricate):
    plan = fabricate.make_plan(norms=("bn", "gn"))
    study = StudyRecords(Path("s"), plan, tuple(fabricate.make_runs(plan)), ())
    (text,) = environments(study)
    assert text.startswith("Test Processor 9000, cpu, 2 threads, Python 3.11.2")
    assert text.endswith("(6 runs)")
