"""The probe of a study: made where it is wanted, told in one line, kept with the study."""

from __future__ import annotations

from rich.console import Console

from normlab.cli.screen.console import say_facts
from normlab.data.dataset import Dataset, typical_size
from normlab.data.load import block_data
from normlab.errors import NormlabError
from normlab.records.data_report import PROBE, Probe, probe_text, proposals_text
from normlab.records.plan import StudyPlan
from normlab.records.store import read_optional
from normlab.study.budget import Calibration, cost_key, run_seconds
from normlab.study.design.runs import plan_runs
from normlab.study.probe import probe_seconds, probed_run, run_probe, with_proposals
from normlab.study.study import Study
from normlab.train.step_mode import StepMode


def make_probe(
    plan: StudyPlan,
    dataset: Dataset,
    found: Calibration,
    seconds: float,
    steps: StepMode,
    console: Console,
) -> Probe | None:
    """Train one arm of a frozen plan for a share of the study's seconds.

    None where that is little, or where this process may not have the memory for a step.
    """
    if found.is_apart:
        return None
    costs, data = found.costs, found.data
    spec = probed_run(plan, plan_runs(plan.model_copy(update={"blocks": 1})))
    limit = probe_seconds(seconds, run_seconds(spec, costs[cost_key(spec)], data))
    if limit is None:
        return None
    own = block_data(dataset, spec, data.device)
    with console.status(f"a probe: does {spec.arm} learn anything?"):
        probe = run_probe(spec, own, costs[cost_key(spec)], limit, steps)
    return None if probe is None else with_proposals(probe, plan, _size(plan))


def tell_probe(study: Study, console: Console) -> None:
    """The line of the study's probe, if it has one and no run yet."""
    probe = study.probe or read_optional(study.folder / PROBE, Probe)
    if probe is not None and not (study.folder / "runs").exists():
        say_facts(console, "probe", [*filter(None, (probe_text(probe), proposals_text(probe)))])


def wants_probe(study: Study) -> bool:
    """Whether the study has neither a probe nor a run."""
    begun = (study.folder / PROBE).exists() or (study.folder / "runs").exists()
    return study.probe is None and not begun


def _size(plan: StudyPlan) -> int:
    try:
        return typical_size(plan.data.source)
    except (NormlabError, OSError):  # it has moved since it was opened
        return plan.data.image_size
