"""Every run, where the numbers come from, and how to go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import tomli_w

from normlab.report.sections.base import ReportContext, Section, section_template
from normlab.report.sections.runs.data import (
    RUNS_FILE,
    RunRow,
    next_step,
    provenance,
    run_rows,
    runs_csv,
    shown_rows,
)
from normlab.report.sections.runs.specs import Specs, flat_specs


@dataclass(frozen=True, eq=False)
class RunsView:
    """The runs, where the numbers come from, and how to go on."""

    runs: tuple[RunRow, ...]
    """All of them."""
    shown: tuple[RunRow, ...]
    """Those that the page has a row of."""
    metric: str
    specs: Specs
    provenance: tuple[tuple[str, str], ...]
    next_step: str
    command: str
    plan_text: str

    @property
    def file(self) -> str:
        """The file of the report with all runs, where the page has not."""
        return RUNS_FILE if len(self.shown) < len(self.runs) else ""

    @property
    def shared_spec(self) -> Mapping[str, str]:
        """What all runs have in common."""
        return self.specs.shared


def build(context: ReportContext) -> RunsView:
    """Runs, provenance, the next step and the plan."""
    study = context.study
    step, command = next_step(study, context.analysis)
    rows = run_rows(study)
    shown = shown_rows(rows)
    return RunsView(
        runs=rows,
        shown=shown,
        metric=study.plan.analysis.metric,
        specs=flat_specs([run.spec for run in study.runs], {row.id for row in shown}),
        provenance=provenance(study),
        next_step=step,
        command=command,
        plan_text=tomli_w.dumps(study.plan.model_dump(mode="json", exclude_none=True)),
    )


def script_data(view: RunsView) -> dict[str, object]:
    """The keys of a spec in which each run differs from others."""
    return {"specs": view.specs.own}


def texts(view: RunsView) -> dict[str, str]:
    """All runs, where they are too many for the page."""
    return {view.file: runs_csv(view.runs, view.metric)} if view.file else {}


SECTION = Section(
    name="runs",
    title="Runs and provenance",
    entry="Runs",
    order=160,
    template=section_template(__file__),
    build=build,
    of_own=True,
    texts=texts,
    script_data=script_data,
    in_regrouping=False,
)
