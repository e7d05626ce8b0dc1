"""`normlab track`: send a study that was run before to a tracker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from normlab.cli import options
from normlab.cli.screen.echo import echo


def track(
    study: Annotated[Path, typer.Argument(help="A study's folder.")],
    to: Annotated[
        list[str] | None,
        typer.Option(
            help="mlflow, wandb or tensorboard, with where: mlflow:http://127.0.0.1:5000. May be "
            "repeated.",
            show_default="those of its study.toml",
        ),
    ] = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Send what was sent before as well, as new runs.")
    ] = False,
    trust_plugins: options.TrustPlugins = False,
) -> None:
    """Send runs, epochs and the verdict to a tracker; what it has already is not sent again."""
    from normlab.errors import UsageError
    from normlab.records.plan import read_plan
    from normlab.text import count
    from normlab.trackers.beside import check_targets, where
    from normlab.trackers.sender import Sender, TrackerDownError

    folder = study.parent if study.name == "study.toml" else study
    plan = read_plan(folder / "study.toml")
    targets = tuple(dict.fromkeys(to or plan.track))
    if not targets:
        raise UsageError("say where to send the study: --to mlflow, --to wandb or --to tensorboard")
    check_targets(targets)
    options.use_plugins(plan, folder, trusted=trust_plugins)
    for target in targets:
        sender = Sender(folder, target, anew=anew)
        try:
            sender.send_all()
            sender.close()
        except TrackerDownError as error:
            raise TrackerDownError(
                f"{target} did not take {count(sender.missing, 'run')}: {error}; when it is "
                "repaired or started, run the command again"
            ) from None
        runs = count(len(list(sender.run_paths())), "run")
        echo(f"track    {target.partition(':')[0]} · {runs} · {where(folder, plan, target)}")
