"""The page: its content as plain data, and the template that it is poured into.

Every text is escaped by the template; only the figures, which our own renderer made and escaped,
go in as they are. Nothing in the page points outside it, and its own policy forbids it to.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from normlab.records.data_report import DataReport
from normlab.report.charts.colours import Stroke
from normlab.report.export.formats import cell_text
from normlab.report.page.pictures import PictureSection
from normlab.report.sections.by_setting import Matrix
from normlab.report.sections.per_class import ClassView
from normlab.report.sections.tables import Table
from normlab.stats.checks.check import Check
from normlab.stats.data.metrics import format_difference

TEMPLATES = Path(__file__).with_name("templates")
Rows = Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Sentence:
    """The verdict of one setting in words."""

    setting: str
    slug: str
    text: str
    rests_on: str
    change: str


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
    """A figure that stands in the page itself, with the table behind it."""

    svg: Markup
    caption: str
    head: tuple[str, ...] = ()
    rows: Rows = ()


@dataclass(frozen=True)
class Perspective:
    """The answer seen from one reference arm."""

    reference: str
    head: tuple[str, ...]
    """Of the columns after the arm, in the order of AnswerRow."""
    rows: tuple[AnswerRow, ...]
    figure: PageFigure | None


@dataclass(frozen=True)
class Answer:
    """The numbers of one setting."""

    setting: str
    slug: str
    values: PageFigure | None
    perspectives: tuple[Perspective, ...]
    """The plan's reference first."""


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
    slug: str
    arms: tuple[str, ...]
    panels: tuple[PanelView, ...]
    head: tuple[str, ...]
    rows: Rows


@dataclass(frozen=True)
class SettingView:
    """Cost, robustness and classes of one setting."""

    setting: str
    slug: str
    cost: PageFigure | None
    cost_rows: Rows
    robustness: Rows
    classes: ClassView | None


@dataclass(frozen=True)
class LayerDiagnosticsView:
    """What went on inside the layers in one setting."""

    setting: str
    slug: str
    figures: tuple[PageFigure, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class EnsembleSection:
    """Ensembles and calibration of one setting."""

    setting: str
    slug: str
    table: Table
    figure: PageFigure


@dataclass(frozen=True)
class RobustnessSection:
    """Accuracy as the images change, in one setting."""

    setting: str
    slug: str
    sentence: str
    figure: PageFigure
    batches: Table | None


@dataclass(frozen=True)
class RunRow:
    """One run, as it is printed."""

    id: str
    arm: str
    setting: str
    slug: str
    block: int
    outcome: str
    error: str
    epochs: int
    seconds: str
    value: str
    predictions: str
    environment: int
    """Its number among the environments of the study; 0 if it left none."""


@dataclass(frozen=True, eq=False)
class PageContent:
    """All that the page says, in its order."""

    title: str
    facts: str
    missing: tuple[str, ...]
    metric: str
    strokes: Mapping[str, Stroke]
    sentences: tuple[Sentence, ...]
    answers: tuple[Answer, ...]
    reading: tuple[str, ...]
    """How to read the answers, a paragraph each."""
    matrix: Matrix | None
    where: PageFigure | None
    curves: tuple[CurvesView, ...]
    units: tuple[str, ...]
    tables: tuple[Table, ...]
    settings: tuple[SettingView, ...]
    explain: PictureSection | None
    ensembles: tuple[EnsembleSection, ...]
    inside: tuple[LayerDiagnosticsView, ...]
    stress: tuple[RobustnessSection, ...]
    robustness_missing: str
    """Why what was measured cannot be read; empty where it can, or nothing was."""
    data_report: DataReport | None
    data_missing: str
    checks: tuple[Check, ...]
    methods: str
    runs: tuple[RunRow, ...]
    shared_spec: Mapping[str, str]
    provenance: tuple[tuple[str, str], ...]
    plan_text: str
    next_step: str
    command: str
    study: str
    """The folder as the user would type it."""
    data: Mapping[str, object]
    """What the page's script reads."""
    version: str

    @property
    def arms(self) -> tuple[str, ...]:
        """In the order of the plan."""
        return tuple(self.strokes)

    @property
    def references(self) -> tuple[str, ...]:
        """The arms that any setting can be seen from."""
        found = [p.reference for a in self.answers for p in a.perspectives if p.reference]
        return tuple(dict.fromkeys(found))

    @property
    def blocks(self) -> tuple[int, ...]:
        """Of all runs."""
        return tuple(sorted({run.block for run in self.runs}))


def template_environment() -> jinja2.Environment:
    """The package's templates: everything is escaped, and an unknown name is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell_text"] = cell_text
    environment.filters["json"] = htmlsafe_json_dumps
    environment.filters["points"] = lambda value: format_difference("accuracy", value)
    return environment


def render_page(page: PageContent) -> str:
    """The page as HTML."""
    return render("page.html.j2", ("page.css",), page=page)


def render(template: str, styles: Sequence[str], **content: object) -> str:
    """A template with its styles, the script, and the policy that lets only these two act."""
    css = "\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in styles)
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'"
    )
    return (
        template_environment()
        .get_template(template)
        .render(css=Markup(css), script=Markup(script), policy=policy, **content)
    )


def findings_first(checks: Sequence[Check]) -> tuple[Check, ...]:
    """Checks in the order in which they matter to the reader."""
    rank = {"finding": 0, "passed": 1, "not applicable": 2}
    severity = {"error": 0, "warning": 1, "note": 2}
    return tuple(
        sorted(checks, key=lambda c: (rank[c.state], severity[c.severity] * (c.state == "finding")))
    )
