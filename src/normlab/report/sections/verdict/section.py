"""The first screen: the answer of every setting, the differences, and pictures of both kinds."""

from __future__ import annotations

from dataclasses import dataclass, replace

from normlab.report.explanation import FOLDER
from normlab.report.sections.answer.data import references
from normlab.report.sections.base import ReportContext, Section, never, section_template
from normlab.report.sections.gallery.data import AnswersView, answers_view
from normlab.report.sections.verdict.data import FirstScreen, first_screen
from normlab.stats.summary.analysis import SettingAnalysis
from normlab.stats.summary.further_time import seconds_of_a_block, time_to_go_on


@dataclass(frozen=True)
class VerdictView:
    """What stands above everything else."""

    settings: tuple[FirstScreen, ...]
    answers: AnswersView | None
    """Pictures that the recommended network got right and wrong; None without `normlab explain`."""
    guessing: bool
    """Whether nothing was learned, so that right answers are luck."""
    study: str
    try_it: str
    """The run to predict with; empty where no run has weights."""

    @property
    def columns(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Columns of the table of settings that say something in any of them: head and cells."""
        heads = ("use", "level with it", "not", "open")
        columns = zip(*(one.sentence.cells for one in self.settings), strict=True)
        found = zip(heads, columns, strict=True) if self.settings else ()
        return tuple((head, cells) for head, cells in found if {*cells} != {"–"} or head == "use")


def build(context: ReportContext) -> VerdictView:
    """The first screen of every setting, and the pictures of the recommended network."""
    seconds = seconds_of_a_block(context.study, context.analysis)
    settings = tuple(_first_screen(context, one, seconds) for one in context.settings)
    explanation = None if context.study.planned_compare is not None else context.explanation
    answers = None
    if explanation is not None and explanation.answers is not None:
        answers = answers_view(explanation.answers, context.study.folder / FOLDER)
    chosen = context.recommended_run
    return VerdictView(
        settings,
        answers,
        explanation is not None and bool(explanation.withheld),
        context.study_folder,
        "" if chosen is None else chosen.folder.name,
    )


def _first_screen(
    context: ReportContext, setting: SettingAnalysis, seconds_a_block: float
) -> FirstScreen:
    """One setting, with the time of the command that goes on."""
    screen = first_screen(
        setting,
        context.study_folder,
        tuple(filter(None, references(setting))),
        context.strokes,
        context.test_images,
    )
    found = screen.sentence.recommendation
    return replace(screen, takes=time_to_go_on(found, context.analysis, seconds_a_block))


SECTION = Section(
    name="verdict",
    title="In short",
    order=10,
    template=section_template(__file__),
    build=build,
    of_own=True,
    folded=never,
)
