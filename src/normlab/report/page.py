"""The page: its content as plain data, and the template that it is poured into.

Every text is escaped by the template; only the figures, which our own renderer made and escaped,
go in as they are. Nothing in the page points outside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from normlab.report.colours import Stroke
from normlab.report.formats import cell_text
from normlab.report.tables import Table
from normlab.stats.checks.check import Check

TEMPLATES = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class AnswerRow:
    """One arm in the answer table, every number as it is printed."""

    arm: str
    value: str
    sd: str
    difference: str
    interval: str
    share: str
    time: str
    decision: str
    remark: str
    blocks: str


@dataclass(frozen=True)
class PageFigure:
    """A figure that stands in the page itself."""

    svg: Markup
    caption: str


@dataclass(frozen=True)
class Answer:
    """The verdict of one setting with the numbers behind it."""

    setting: str
    slug: str
    sentence: str
    head: tuple[str, ...]
    """Of the columns after the arm, in the order of AnswerRow."""
    rows: tuple[AnswerRow, ...]
    figure: PageFigure | None


@dataclass(frozen=True)
class PanelView:
    """One panel of the curves."""

    metric: str
    part: str
    svg: Markup


@dataclass(frozen=True)
class CurvesView:
    """The curves of one setting."""

    setting: str
    arms: tuple[str, ...]
    panels: tuple[PanelView, ...]


@dataclass(frozen=True)
class RunRow:
    """One run, as it is printed."""

    id: str
    arm: str
    setting: str
    block: int
    outcome: str
    error: str
    epochs: int
    seconds: str
    value: str
    predictions: str


@dataclass(frozen=True, eq=False)
class PageContent:
    """All that the page says, in its order."""

    title: str
    facts: str
    missing: tuple[str, ...]
    metric: str
    strokes: Mapping[str, Stroke]
    answers: tuple[Answer, ...]
    reading: tuple[str, ...]
    """How to read the answers, a paragraph each."""
    curves: tuple[CurvesView, ...]
    tables: tuple[Table, ...]
    checks: tuple[Check, ...]
    runs: tuple[RunRow, ...]
    several_settings: bool
    provenance: tuple[tuple[str, str], ...]
    next_step: str
    command: str
    version: str


def template_environment() -> jinja2.Environment:
    """The package's templates: everything is escaped, and an unknown name is an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render_page(page: PageContent) -> str:
    """The page as HTML."""
    environment = template_environment()
    environment.filters["cell_text"] = cell_text
    css = Markup((TEMPLATES / "page.css").read_text(encoding="utf-8"))
    return environment.get_template("page.html.j2").render(page=page, css=css)


def findings_first(checks: Sequence[Check]) -> tuple[Check, ...]:
    """Checks in the order in which they matter to the reader."""
    rank = {"finding": 0, "passed": 1, "not applicable": 2}
    severity = {"error": 0, "warning": 1, "note": 2}
    return tuple(
        sorted(checks, key=lambda c: (rank[c.state], severity[c.severity] * (c.state == "finding")))
    )
