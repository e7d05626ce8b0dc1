"""Where the numbers come from: every run, the data, the machines, and how to go on."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from normlab.records.network import is_own
from normlab.records.store import RunRecord
from normlab.report.export.formats import NOTHING, csv_text
from normlab.report.sections.base import shown_folder
from normlab.stats.data.metrics import LABELS, format_value
from normlab.stats.data.pairing import score
from normlab.stats.data.reading import StudyRecords
from normlab.stats.data.setting import Setting, setting_finder
from normlab.stats.inference.power import BLOCKS_CAP
from normlab.stats.inference.sequential import EXPLORATORY_BELOW
from normlab.stats.summary.analysis import Analysis
from normlab.text import count, shell_command


@dataclass(frozen=True)
class RunRow:
    """One run, as it is printed."""

    id: str
    arm: str
    setting: str
    slug: str
    block: int
    """Counted from 1, as everywhere on the page."""
    outcome: str
    error: str
    epochs: int
    seconds: str
    value: str
    predictions: str
    environment: int
    """The number of the run's environment among those of the study; 0 if it left none."""


RUNS_SHOWN = 2000
"""Runs that the page has a row of; a browser takes seconds for ten times as many."""
RUNS_FILE = "tables/runs.csv"
"""All of them, where the page has not."""
WELL = ("finished", "stopped early")
"""Outcomes that need no look."""


def run_rows(study: StudyRecords) -> tuple[RunRow, ...]:
    """Every run in the order of block and arm."""
    setting_of = setting_finder(study.plan)
    texts: dict[Setting, tuple[str, str]] = {}
    for run in study.runs:
        setting = setting_of(run.spec)
        if setting not in texts:
            texts[setting] = setting.label, setting.slug

    def place(run: RunRecord) -> tuple[int, str, str]:
        return run.spec.block, texts[setting_of(run.spec)][0], run.spec.arm

    numbers = environment_numbers(study)
    metric = study.plan.analysis.metric
    return tuple(
        _run_row(run, metric, *texts[setting_of(run.spec)], numbers)
        for run in sorted(study.runs, key=place)
    )


def shown_rows(rows: Sequence[RunRow]) -> tuple[RunRow, ...]:
    """The rows of the page: those that need a look first of all, in the order of all."""
    if len(rows) <= RUNS_SHOWN:
        return tuple(rows)
    first = sorted(range(len(rows)), key=lambda place: rows[place].outcome in WELL)[:RUNS_SHOWN]
    return tuple(rows[place] for place in sorted(first))


def runs_csv(rows: Sequence[RunRow], metric: str) -> str:
    """All rows as a CSV file, as they are printed."""
    names = (
        *("id", "arm", "setting", "block", "outcome", "error", "epochs", "seconds", "value"),
        *("predictions", "environment"),
    )
    head = tuple(LABELS[metric] if name == "value" else name for name in names)
    return csv_text(head, ([getattr(row, name) for name in names] for row in rows))


def _run_row(
    run: RunRecord, metric: str, label: str, slug: str, numbers: Mapping[str, int]
) -> RunRow:
    outcome = run.outcome
    value = score(run, metric)
    seconds = sum(row.seconds for row in run.rows) if outcome is None else outcome.seconds
    return RunRow(
        id=run.spec.id,
        arm=run.spec.arm,
        setting=label,
        slug=slug,
        block=run.spec.block + 1,
        outcome="not ended" if outcome is None else outcome.status.replace("_", " "),
        error=(outcome.error or "") if outcome is not None else "",
        epochs=len(run.rows) if outcome is None else outcome.epochs,
        seconds=f"{seconds:.0f}",
        value=NOTHING if math.isnan(value) else format_value(metric, value),
        predictions="stored" if has_predictions(run) else "missing",
        environment=numbers.get(environment_text(run), 0) if run.environment else 0,
    )


def has_predictions(run: RunRecord) -> bool:
    """Whether the run left its predictions; they are not opened, which a big study would feel."""
    return os.path.exists(f"{run.folder}/predictions.npz")  # noqa: PTH110 - of 100,000


def provenance(study: StudyRecords) -> tuple[tuple[str, str], ...]:
    """Names and values: plan, data and environments."""
    plan = study.plan
    frozen = plan.frozen
    facts = [
        ("plan", f"SHA-256 {plan.hash}"),
        ("frozen", "not yet" if frozen is None else f"{frozen.created}, normlab {frozen.normlab}"),
        (
            "judged by",
            f"{LABELS[plan.analysis.metric]}, reference {plan.analysis.reference}, margin "
            f"{plan.analysis.margin:g}, α = {plan.analysis.alpha:g}",
        ),
    ]
    own = is_own(plan.analysis.metric)
    if not own:
        facts += [
            ("data", plan.data.source),
            ("image size", f"{plan.data.image_size} px, {plan.data.resize}"),
        ]
    if frozen is not None and not own:
        facts.append(("data fingerprint", frozen.fingerprint))
        facts.append(
            (
                "class" if len(frozen.classes) == 1 else f"{len(frozen.classes)} classes",
                ", ".join(frozen.classes),
            )
        )
    facts.append(("network", str(plan.training.network)))
    facts += [
        (f"environment {number}", text) for number, text in enumerate(environments(study), start=1)
    ]
    return tuple(facts)


def environments(study: StudyRecords) -> tuple[str, ...]:
    """Each distinct environment once, with the number of its runs."""
    texts: dict[str, int] = {}
    for run in study.runs:
        if run.environment:
            text = environment_text(run)
            texts[text] = texts.get(text, 0) + 1
    return tuple(f"{text} ({count(number, 'run')})" for text, number in texts.items())


def environment_numbers(study: StudyRecords) -> dict[str, int]:
    """The distinct environments, counted from 1 in the order of the runs."""
    texts = dict.fromkeys(environment_text(run) for run in study.runs if run.environment)
    return {text: number for number, text in enumerate(texts, start=1)}


def environment_text(run: RunRecord) -> str:
    """Machine and libraries of a run in one line."""
    environment = run.environment
    parts = [str(environment[key]) for key in ("processor", "device") if environment.get(key)]
    if environment.get("threads"):
        parts.append(f"{environment['threads']} threads")
    if environment.get("python"):
        parts.append(f"Python {environment['python']}")
    libraries = environment.get("libraries")
    if isinstance(libraries, dict):
        parts += [f"{name} {version}" for name, version in libraries.items() if version]
    return ", ".join(parts)


def next_step(study: StudyRecords, analysis: Analysis) -> tuple[str, str]:
    """What would change the verdict, in a sentence, and the command that does it."""
    command = shell_command("run", shown_folder(study.folder))
    left = analysis.planned - analysis.done
    if left:
        return f"{count(left, 'run')} of the plan still to be made or ended:", command
    blocks = study.plan.blocks
    if blocks < EXPLORATORY_BELOW:
        return (
            f"All planned runs have ended. {EXPLORATORY_BELOW} blocks would make the verdict more "
            "than exploratory:",
            f"{command} --blocks {EXPLORATORY_BELOW}",
        )
    wanted = [
        comparison.further_blocks
        for setting in analysis.settings
        for comparison in setting.verdict.against_reference()
        if comparison.further_blocks and comparison.further_blocks <= BLOCKS_CAP
    ]
    if wanted:
        return (
            "All planned runs have ended. The next undecided comparison needs about "
            f"{count(min(wanted), 'more block')}:",
            f"{command} --blocks {blocks + min(wanted)}",
        )
    return "All planned runs have ended. The same command changes nothing:", command
