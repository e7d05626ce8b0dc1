"""What a section of the page is: its data, charts, tables, template and place, in one object.

The page is a loop over sections; what is exported beside it (tables, figures, texts) comes from
them too. A section is a folder with a `section.py` that holds `SECTION`, or the object that an
installed package names in the entry-point group "normlab.sections".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from markupsafe import Markup

from normlab.errors import StorageError, UsageError
from normlab.records.store import RunRecord
from normlab.report.charts.colours import Stroke
from normlab.report.charts.drawing import inline_svg, shown_again
from normlab.report.charts.parallel_drawing import ChartCall
from normlab.report.charts.sheet import FigureText, sheet
from normlab.report.explanation import Explanation, read_explanation
from normlab.report.export.table import Table
from normlab.stats.data.layout import Layout
from normlab.stats.data.reading import StudyRecords
from normlab.stats.summary.analysis import Analysis, SettingAnalysis
from normlab.stats.summary.chosen_run import chosen_run
from normlab.stats.summary.classes import ClassTable, class_table, collect
from normlab.stats.summary.ensembles import EnsembleTable, ensemble_table
from normlab.stats.summary.layer_diagnostics import (
    MAX_LAYER_SETTINGS,
    LayerSummaries,
    read_layer_summaries,
)

BLOCKS_SHOWN = 100
"""Blocks up to which the page shows each by itself; of more, what they have together."""

View = TypeVar("View")
Rows = Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class PredictionTables:
    """What the stored predictions of one setting say."""

    classes: ClassTable | None
    ensembles: EnsembleTable | None


@dataclass(frozen=True, eq=False)
class ReportContext:
    """What every section is built from: the records of a study and what was concluded from them."""

    study: StudyRecords
    analysis: Analysis
    layouts: tuple[Layout, ...]
    """The layout of each setting, in the order of `analysis.settings`."""
    strokes: Mapping[str, Stroke]
    """How each arm is drawn, in the order of the plan."""

    @property
    def settings(self) -> tuple[SettingAnalysis, ...]:
        """The settings of the study, in the order of the plan."""
        return self.analysis.settings

    @property
    def study_folder(self) -> str:
        """The study's folder as the user would type it."""
        return shown_folder(self.study.folder)

    @property
    def test_images(self) -> int | None:
        """Images of the test part; None where no run was judged."""
        outcomes = (run.outcome for run in self.study.runs)
        return next((one.test.images for one in outcomes if one and one.test), None)

    @cached_property
    def recommended_run(self) -> RunRecord | None:
        """The run to use, the same that `normlab predict` takes; None where no arm learned."""
        if all(setting.only_guesses for setting in self.settings):
            return None
        try:
            return chosen_run(self.study, self.analysis)[0]
        except UsageError:  # no run is finished
            return None

    @cached_property
    def explanation(self) -> Explanation | None:
        """The pictures that `normlab explain` left; None where there are none that can be read."""
        try:
            return read_explanation(self.study.folder)
        except StorageError:
            return None

    @cached_property
    def layer_summaries(self) -> tuple[LayerSummaries | None, ...]:
        """What the layers looked like, of the first settings: reading all would take too long."""
        return tuple(map(read_layer_summaries, self.layouts[:MAX_LAYER_SETTINGS]))

    @cached_property
    def prediction_tables(self) -> tuple[PredictionTables, ...]:
        """One a setting; the predictions of one setting at a time are held in memory."""
        alpha = self.study.plan.analysis.alpha
        found = []
        for layout in self.layouts:
            collected = collect(layout)
            found.append(
                PredictionTables(
                    class_table(layout, collected), ensemble_table(layout, collected, alpha)
                )
            )
        return tuple(found)


@dataclass(frozen=True)
class PageFigure:
    """A figure that stands in the page itself, with the table behind it."""

    svg: Markup
    caption: str
    head: tuple[str, ...] = ()
    rows: Rows = ()


@dataclass(frozen=True)
class DrawnCharts:
    """The charts of a page after drawing, by the names that sections gave them."""

    svgs: Mapping[str, str]
    strokes: Mapping[str, Stroke]
    n: str = ""
    """How many blocks the figures are of, as a sentence."""

    def inline(
        self, chart: str, description: str, *, marks: bool = False, shared: bool = False
    ) -> Markup:
        """The chart as part of the page.

        Args:
            chart: its name; it makes the ids inside the picture unique.
            description: what it shows, in words, for who cannot see it.
            marks: whether the page's script finds the arms in it.
            shared: whether `again` shows the same picture at another place.
        """
        numbers = {arm: number for number, arm in enumerate(self.strokes)} if marks else {}
        name = _id(chart)
        return Markup(inline_svg(self.svgs[chart], name, description, numbers, shared=shared))

    def again(self, chart: str, description: str) -> Markup:
        """A shared chart once more, at another place of the page."""
        return Markup(shown_again(self.svgs[chart], _id(chart), description))


@dataclass(frozen=True)
class Nothing:
    """What the page says in place of a section that has nothing to show."""

    text: str
    command: str = ""
    """What the user may run to have something here."""
    is_note: bool = False


def no_charts(view: Any) -> Mapping[str, ChartCall]:
    """A section without charts."""
    return {}


def no_tables(view: Any) -> Sequence[Table]:
    """A section without tables to export."""
    return ()


def no_entries(view: Any) -> Mapping[str, Any]:
    """A section without data for the page's script, or without texts to export."""
    return {}


def as_it_is(view: View, drawn: DrawnCharts) -> Any:
    """The template prints the view itself."""
    return view


def always(context: ReportContext) -> bool:
    """A section that is closed at first."""
    return True


def never(context: ReportContext) -> bool:
    """A section that is open at first."""
    return False


def left_out(context: ReportContext) -> Nothing | None:
    """A section that is not in the page at all where it has nothing to show."""
    return None


@dataclass(frozen=True, eq=False)
class Section(Generic[View]):
    """One section of the page; every part but the first six may be left out."""

    name: str
    """The name of its folder, or of the entry point."""
    title: str
    """The heading of the section."""
    order: int
    """Sections stand in the page by ascending order; the built-in ones are 10 apart."""
    template: Path
    """Jinja: `view` is what `content` gives, `page` the frame (see page/frame.py)."""
    build: Callable[[ReportContext], View | None]
    """The plain data of the section; None where there is nothing to show."""
    nothing: Callable[[ReportContext], Nothing | None] = left_out
    """What is said then; None leaves the section out of the page and its navigation."""
    entry: str = ""
    """The name in the navigation, where it is shorter than the title."""
    id: str = ""
    """The address in the page, where it is not the name."""
    content: Callable[[View, DrawnCharts], Any] = as_it_is
    """Makes what the template prints of the plain data and its drawn charts."""
    charts: Callable[[View], Mapping[str, ChartCall]] = no_charts
    """What is drawn for the page, by a name that no other section uses."""
    paper_charts: Callable[[View], Mapping[str, ChartCall]] = no_charts
    """What is drawn for report/figures only, because the page has a table in its place."""
    figures: Callable[[View, DrawnCharts], Mapping[str, str]] | None = None
    """The SVGs of report/figures by file name; None: each chart is a figure by itself."""
    captions: Callable[[View], Mapping[str, FigureText]] = no_entries
    """Title and note of each chart, by its name, where it is a figure by itself."""
    tables: Callable[[View], Sequence[Table]] = no_tables
    """The tables of report/tables; one that the page shows too can be copied from there."""
    texts: Callable[[View], Mapping[str, str]] = no_entries
    """Further files of report/ by name."""
    script_data: Callable[[View], Mapping[str, Any]] = no_entries
    """What the page's script reads; all of it stands in the page as text or figure too."""
    folded: Callable[[ReportContext], bool] = always
    """Whether the page shows it closed, with its heading to open it: the first screens are for
    the answer, the curves, the pictures and the data."""
    of_own: bool = False
    """Whether it has anything to say of a training of somebody's own, which gives figures alone."""
    in_regrouping: bool = True
    """Whether it belongs in a page of runs that are regrouped by another factor; what only says
    how the runs were made does not."""

    @property
    def anchor(self) -> str:
        """The address of the section in the page."""
        return self.id or self.name

    def all_charts(self, view: View, paper: bool) -> dict[str, ChartCall]:
        """What is drawn, with or without what only a paper needs."""
        return {**self.charts(view), **(self.paper_charts(view) if paper else {})}

    def all_figures(self, view: View, drawn: DrawnCharts) -> dict[str, str]:
        """The figures for a paper by their file names."""
        if self.figures is not None:
            return dict(self.figures(view, drawn))
        captions = self.captions(view)
        found = {}
        for name in self.all_charts(view, paper=True):
            text = captions.get(name, FigureText(self.title))
            note = f"{text.note} {drawn.n}".strip()
            found[_id(name)] = sheet(text.title, [("", drawn.svgs[name])], note=note)
        return found


def section_template(module: str) -> Path:
    """The `section.html.j2` in the folder of a module: `section_template(__file__)`."""
    return Path(module).with_name("section.html.j2")


def shown_folder(folder: Path) -> str:
    """The folder as the user would type it."""
    try:
        return str(folder.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(folder)


def _id(chart: str) -> str:
    return chart.replace("/", "-")
