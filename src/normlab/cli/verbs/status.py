"""`normlab status`: what of a study is done, and what is left."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from normlab.records.run import Outcome, RunSpec
    from normlab.records.store import RunFolder


def status(
    study: Annotated[Path, typer.Argument(help="A study folder, or the study.toml in it.")],
) -> None:
    """Count the runs of a study by outcome, list those that need a look, estimate the rest."""
    from statistics import median

    from normlab.cli.screen.console import SafeConsole
    from normlab.records.files import no_collection
    from normlab.study.runs import StudyRuns
    from normlab.text import count, format_seconds, shell_command

    console = SafeConsole(highlight=False, markup=False, soft_wrap=True)
    opened = StudyRuns.open(study)
    specs, begun = opened.specs(), opened.begun()
    looks = any(spec.folder_name not in begun for spec in specs)
    outcomes: Counter[str] = Counter()
    seconds, not_begun = [], set()
    with no_collection():
        for spec in specs:
            outcome = opened.read_outcome(spec, keep=looks) if spec.folder_name in begun else None
            kind, line = "not begun", ""
            if outcome is not None and outcome.status != "interrupted":
                kind = outcome.status
                line = "" if outcome.error is None else f"{kind:<12} {_name(spec)}  {outcome.error}"
            elif spec.folder_name in begun:
                kind, line = _unfinished(spec, outcome, opened.run_folder(spec))
            outcomes[kind] += 1
            if kind == "not begun":
                not_begun.add(spec.id)
            if outcome is not None and outcome.test is not None:
                seconds.append(outcome.seconds)
            if line:
                console.print(line)
    missing = {spec.id for spec in opened.missing()}
    left = len(missing)
    outcomes["not needed"] = len(not_begun - missing)  # of arms that earlier looks have decided
    outcomes["not begun"] -= outcomes["not needed"]
    study = opened.folder
    page = study / "report" / "index.html"
    console.print(", ".join(f"{n} {kind.replace('_', ' ')}" for kind, n in outcomes.items() if n))
    if left:
        rest = f", about {format_seconds(left * median(seconds))}" if seconds else ""
        console.print(f"{count(left, 'run')} left{rest}. Go on: {shell_command('run', study)}")
    elif page.exists():
        console.print(f"all runs are done. Report: {page}")
    else:
        console.print(f"all runs are done. See them: {shell_command('report', study)}")


def _unfinished(spec: RunSpec, outcome: Outcome | None, folder: RunFolder) -> tuple[str, str]:
    """The kind of a run that can go on, and its line; none where no epoch is done."""
    from normlab.records.lease import lease_owner

    done = len(folder.read_rows())
    kind = "interrupted" if outcome is not None else "begun" if done else "not begun"
    if kind == "not begun":
        return kind, ""
    owner = lease_owner(folder.path)
    if owner is not None:
        return kind, f"running      {_name(spec)}, epoch {done}, by {owner}"
    return kind, f"{kind:<12} {_name(spec)}, epoch {done}/{spec.epochs}"


def _name(spec: RunSpec) -> str:
    if spec.is_tuning:
        return spec.folder_name
    return f"{spec.folder_name}  block {spec.block + 1}"
