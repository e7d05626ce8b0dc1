"""The lines before a study starts: its pictures, what is odd about them, its plan and its time.

photos   965 pictures, 10 classes · train 600 · validation 186 (to choose) · test 179 (to judge)
check    no duplicates · 15 look-alikes, kept
plan     7 norms × up to 5 blocks = 35 runs · about 9 min · first ranking in 2 min
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from normlab.cli.screen.console import WORD, say, say_facts
from normlab.cli.screen.scan_progress import LoadedData
from normlab.data.scan import Manifest
from normlab.data.split import make_split
from normlab.records.cells import Setting, arm_of, cells
from normlab.records.plan import StudyPlan
from normlab.records.run import RunSpec
from normlab.stats.inference.sequential import planned_looks
from normlab.study.design.runs import plan_runs
from normlab.study.tuning.cost import tuning_runs
from normlab.text import count, format_seconds, shell_command

SHOWN = 5
"""Files left out that are listed by name."""
FINDINGS = 4
"""Findings that are said in full; the others are on the page of `normlab check`."""


def say_data(console: Console, loaded: LoadedData, plan: StudyPlan, look: Path | None) -> None:
    """The lines `photos` and `check`; the plan is a frozen one.

    Raises:
        DataError: a class is too small to be in every part.
    """
    facts = list(photo_facts(loaded.dataset.manifest, plan))
    say_facts(console, "photos", [*facts, *([str(look)] if look is not None else [])])
    say_facts(console, "check", list(check_facts(loaded)))
    manifest = loaded.dataset.manifest
    for listed in (manifest.unreadable, manifest.skipped):
        for name, reason in listed[:SHOWN]:
            say(console, f"{'':<{WORD}}{name}: {reason}")
        if len(listed) > SHOWN:
            say(console, f"{'':<{WORD}}… and {len(listed) - SHOWN} more")
    findings = loaded.report.findings
    for finding in findings[:FINDINGS]:
        say(console, f"{'':<{WORD}}{finding.code}  {finding.message} {finding.remedy}")
    if len(findings) > FINDINGS:
        more = count(len(findings) - FINDINGS, "more finding")
        say(console, f"{'':<{WORD}}… and {more}: {shell_command('check', loaded.report.source)}")


def photo_facts(manifest: Manifest, plan: StudyPlan) -> Iterator[str]:
    """How many pictures there are, and in the first block's parts."""
    spec = plan_runs(plan.model_copy(update={"blocks": 1}))[0]
    split = make_split(manifest, spec.data, spec.seed, 0)
    yield f"{count(len(manifest), 'picture')}, {count_classes(len(manifest.classes))}"
    yield f"train {len(split.train):,}"
    yield f"validation {len(split.validation):,} (to choose)"
    yield f"test {len(split.test):,} (to judge)"


def check_facts(loaded: LoadedData) -> Iterator[str]:
    """What was found at a glance; `normlab check` looks closer."""
    manifest = loaded.dataset.manifest
    if manifest.unreadable:
        yield f"{len(manifest.unreadable):,} unreadable, left out"
    if manifest.skipped:
        yield f"{len(manifest.skipped):,} outside the class folders, left out"
    if manifest.duplicates:
        exact = manifest.duplicates == manifest.exact_duplicates
        kind = "exact copies" if exact else "copies"
        yield f"{manifest.duplicates:,} {kind}, kept on one side of the split"
    else:
        yield "no duplicates"
    if loaded.look_alikes:
        kept = "kept" if loaded.look_alikes_stay else "kept on one side of the split"
        yield f"{count(loaded.look_alikes, 'look-alike')}, {kept}"
    if loaded.report.findings:
        yield count(len(loaded.report.findings), "finding")


def plan_facts(
    plan: StudyPlan, missing: Sequence[RunSpec], seconds: Mapping[str, float]
) -> list[str]:
    """How much is run and how long it takes, with the tuning, and when there is something to see.

    Args:
        plan: a frozen one.
        missing: the runs that are still to be made.
        seconds: expected ones of each of them, by id.
    """
    rows = cells(plan)
    arms = len({arm_of(cell, plan) for cell in rows})
    settings = len({Setting.of_cell(cell, plan) for cell in rows})
    noun = "norm" if plan.analysis.compare == "norm" else "arm"
    several = f" × {count(settings, 'setting')}" if settings > 1 else ""
    total = len(rows) * plan.blocks
    short = len(tuning_runs(plan))
    tuned = f" + {short} short ones to tune" if short else ""
    up_to = (
        "up to " if len(planned_looks(plan)) > 1 and plan.blocks > planned_looks(plan)[0] else ""
    )
    facts = [
        f"{count(arms, noun)}{several} × {up_to}{count(plan.blocks, 'block')} "
        f"= {count(total, 'run')}{tuned}",
        f"{plan.training.network} at {plan.data.image_size} px, "
        f"{count(plan.training.epochs, 'epoch')}",
    ]
    if 0 < len(missing) < total + short:
        facts.append(f"{count(len(missing), 'run')} to do")
    if missing:
        facts.append(f"about {format_seconds(sum(seconds[spec.id] for spec in missing))}")
        facts += first_ranking(plan, missing, seconds)
    else:
        facts.append("nothing left to do")
    return facts


def first_ranking(
    plan: StudyPlan, missing: Sequence[RunSpec], seconds: Mapping[str, float]
) -> list[str]:
    """When every arm has been run once: after the tuning before it and the first block."""
    first = [spec for spec in missing if not spec.is_tuning and spec.block == 0]
    if not first or len({arm_of(cell, plan) for cell in cells(plan)}) < 2 or plan.blocks < 2:
        return []
    once = plan.tuning is not None and plan.tuning.scope == "study"
    before = [spec for spec in missing if spec.is_tuning and (once or spec.block == 0)]
    wait = sum(seconds[spec.id] for spec in (*before, *first))
    return [f"first ranking in {format_seconds(wait)}"]


def count_classes(number: int) -> str:
    """A number of classes, in words.

    >>> count_classes(1), count_classes(1000)
    ('1 class', '1,000 classes')
    """
    return "1 class" if number == 1 else f"{number:,} classes"
