"""`normlab status`: what of a study is done, and what is left."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer


def status(
    study: Annotated[Path, typer.Argument(help="A study folder, or the study.toml in it.")],
) -> None:
    """Count the runs of a study by outcome, list those that need a look, estimate the rest."""
    from statistics import median

    from normlab.cli.screen.console import SafeConsole
    from normlab.records.lease import lease_owner
    from normlab.study.study import Study
    from normlab.text import count, format_seconds, shell_command

    console = SafeConsole(highlight=False, markup=False, soft_wrap=True)
    opened = Study.open(study)
    outcomes: Counter[str] = Counter()
    seconds, not_begun = [], set()
    for spec in opened.specs():
        folder = opened.run_folder(spec)
        outcome = folder.read_outcome()
        if outcome is not None:
            opened.note(spec, outcome)  # or it would be read again for what is left
        unfinished = outcome is None or outcome.status == "interrupted"
        rows = folder.read_rows() if unfinished else ()
        kind = outcome.status if outcome else "begun" if rows else "not begun"
        outcomes[kind] += 1
        if kind == "not begun":
            not_begun.add(spec.id)
        if outcome is not None and outcome.test is not None:
            seconds.append(outcome.seconds)
        name = f"{spec.folder_name}  block {spec.block + 1}"
        if spec.is_tuning:
            name = spec.folder_name
        owner = lease_owner(folder.path) if kind in ("begun", "interrupted") else None
        if owner is not None:
            console.print(f"running      {name}, epoch {len(rows)}, by {owner}")
        elif kind in ("begun", "interrupted"):
            console.print(f"{kind:<12} {name}, epoch {len(rows)}/{spec.epochs}")
        elif outcome is not None and outcome.error is not None:
            console.print(f"{kind:<12} {name}  {outcome.error}")
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
