"""The pictures that a study's page shows, made when the study has ended."""

from __future__ import annotations

from rich.console import Console

from normlab.cli.screen.console import say_facts
from normlab.data.dataset import Dataset
from normlab.study.study import Study
from normlab.text import shell_command


def make_pictures(
    study: Study, dataset: Dataset, device: str, console: Console, ended: str
) -> None:
    """Make them, in little time, unless somebody stopped the study; say what is left out."""
    if ended not in ("finished", "deadline"):
        return
    from normlab.explain.study_pictures import explain_at_end

    try:
        with console.status("making the pictures of the page"):
            note = explain_at_end(study, dataset, device)
    except KeyboardInterrupt:
        note = f"stopped; make them with: {shell_command('explain', study.folder)}"
    if note:
        say_facts(console, "pictures", [note])
