"""`normlab checks`: the table of checks."""

from __future__ import annotations

from typing import Annotated

import typer

from normlab.cli.screen.echo import echo


def checks(
    code: Annotated[
        str, typer.Argument(help="One check, as NL004 or DC020; all of them without.")
    ] = "",
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
) -> None:
    """List every check of a study (NL...) and of its data (DC...), with its severity.

    An error makes the results invalid, a warning limits what they may claim, a note is a fact.
    docs/checks.md and docs/data-check.md explain each code.
    """
    import json
    import textwrap

    from normlab.data.check.base import data_checks
    from normlab.records.checks import registered_checks
    from normlab.records.run import known
    from normlab.stats.checks.run import study_checks

    study_checks()
    data_checks()  # both kinds are in the table once they are imported
    found = registered_checks()
    if code:
        by_code = {check.code: check for check in found}
        found = (by_code[known("check", code.upper(), tuple(by_code))],)
    if as_json:
        names = ("code", "title", "severity", "summary")
        rows = [{name: getattr(check, name) for name in names} for check in found]
        echo(json.dumps(rows, indent=1))
        return
    for check in found:
        echo(f"{check.code:<8}{check.severity:<9}{check.title}")
        for line in textwrap.wrap(check.summary, 62):
            echo(f"{'':<17}{line}")
