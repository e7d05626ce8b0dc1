"""What frames the sections: title, facts, what is missing, and what can be chosen at the top."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from normlab._version import __version__
from normlab.records.network import is_own
from normlab.report.charts.colours import Stroke
from normlab.report.sections.answer.data import references
from normlab.report.sections.base import ReportContext
from normlab.report.sections.runs.data import has_predictions
from normlab.stats.data.metrics import LABELS
from normlab.stats.data.reading import StudyRecords
from normlab.stats.summary.analysis import Analysis
from normlab.text import count


@dataclass(frozen=True, eq=False)
class PageFrame:
    """What every template sees as `page`."""

    title: str
    facts: str
    missing: tuple[str, ...]
    metric: str
    strokes: Mapping[str, Stroke]
    settings: tuple[tuple[str, str], ...]
    """Slug and label of each."""
    references: tuple[str, ...]
    """The arms that any setting can be seen from."""
    blocks: tuple[int, ...]
    """The numbers of all blocks that any run belongs to."""
    version: str

    @property
    def slugs(self) -> tuple[str, ...]:
        """The settings as they stand in ids and addresses."""
        return tuple(slug for slug, _ in self.settings)

    @property
    def several(self) -> bool:
        """Whether there is more than one setting, so that each needs a heading."""
        return len(self.settings) > 1

    @property
    def small(self) -> str:
        """The heading below that of a setting."""
        return "h4" if self.several else "h3"


def page_frame(context: ReportContext) -> PageFrame:
    """The frame of a study's page."""
    study, analysis = context.study, context.analysis
    found = (reference for setting in context.settings for reference in references(setting))
    return PageFrame(
        title=study.plan.name,
        facts=facts(study, analysis),
        missing=missing_items(study, analysis),
        metric=LABELS[study.plan.analysis.metric],
        strokes=context.strokes,
        settings=tuple((one.setting.slug, one.setting.label) for one in context.settings),
        references=tuple(dict.fromkeys(filter(None, found))),
        blocks=tuple(sorted({run.spec.block + 1 for run in study.runs})),
        version=__version__,
    )


def facts(study: StudyRecords, analysis: Analysis) -> str:
    """The study in one line under its title."""
    plan = study.plan
    own = is_own(plan.analysis.metric)
    arms = dict.fromkeys(row.arm for setting in analysis.settings for row in setting.rows)
    parts = [
        f"{analysis.done:,} of {count(analysis.planned, 'run')} ended",
        f"{count(len(arms), 'norm')} × {count(plan.blocks, 'block')}",
        str(plan.training.network)
        if own
        else f"{plan.training.network} at {plan.data.image_size} px, "
        f"{count(plan.training.epochs, 'epoch')}",
    ]
    if len(analysis.settings) > 1:
        parts.insert(2, f"{len(analysis.settings)} settings")
    if plan.frozen is not None and not own:
        parts.append(f"{len(plan.frozen.classes)} classes")
    return " · ".join(parts)


def missing_items(study: StudyRecords, analysis: Analysis) -> tuple[str, ...]:
    """What a reader would look for in vain, a sentence each."""
    items = []
    left = analysis.planned - analysis.done
    if left:
        items.append(f"{left} of {count(analysis.planned, 'planned run')} without a final result")
    items += [
        f"the folder runs/{folder.folder} cannot be read: {folder.reason}"
        for folder in study.unreadable
    ]
    finished = [run for run in study.runs if run.outcome and run.outcome.test]
    bare = [run for run in finished if not has_predictions(run)]
    if bare:
        items.append(f"the predictions of {count(len(bare), 'finished run')}")
    return tuple(items)
