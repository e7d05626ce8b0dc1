"""The classes: recall against a reference, and what is taken for what."""

from __future__ import annotations

from dataclasses import dataclass

from normlab.report.charts.parallel_drawing import ChartCall
from normlab.report.charts.sheet import FigureText
from normlab.report.export.table import Table
from normlab.report.sections.base import ReportContext, Section, section_template
from normlab.report.sections.per_class.chart import confusion_chart, recall_chart
from normlab.report.sections.per_class.data import (
    ClassView,
    ConfusionFigure,
    RecallFigure,
    class_view,
    confusion_figure,
    recall_figure,
    recall_table,
)


@dataclass(frozen=True, eq=False)
class SettingClasses:
    """One setting; every part is None where no prediction can be read."""

    setting: str
    slug: str
    classes: ClassView | None
    recall: RecallFigure | None
    confusion: ConfusionFigure | None
    table: Table | None


def build(context: ReportContext) -> tuple[SettingClasses, ...]:
    """The classes of every setting."""
    alpha = context.study.plan.analysis.alpha
    found = []
    for one, tables in zip(context.settings, context.prediction_tables, strict=True):
        label, slug, table = one.setting.label, one.setting.slug, tables.classes
        if table is None:
            found.append(SettingClasses(label, slug, None, None, None, None))
            continue
        view = class_view(table, one.verdict.reference or table.arms[0], alpha)
        found.append(
            SettingClasses(
                label,
                slug,
                view,
                recall_figure(table, view),
                confusion_figure(table, view),
                recall_table(table, view),
            )
        )
    return tuple(found)


def paper_charts(view: tuple[SettingClasses, ...]) -> dict[str, ChartCall]:
    """Recall and confusions as figures; the page has tables in their place."""
    found: dict[str, ChartCall] = {}
    for one in view:
        if one.recall is not None:
            found[f"recall/{one.slug}"] = (recall_chart, (one.recall,))
        if one.confusion is not None:
            found[f"confusion/{one.slug}"] = (confusion_chart, (one.confusion,))
    return found


def tables(view: tuple[SettingClasses, ...]) -> tuple[Table, ...]:
    """Recall of every class and arm."""
    return tuple(one.table for one in view if one.table is not None)


def script_data(view: tuple[SettingClasses, ...]) -> dict[str, object]:
    """The confusion matrix of every arm."""
    return {
        "confusion": {
            one.slug: {"classes": one.classes.classes, "arms": one.classes.confusion}
            for one in view
            if one.classes is not None and one.classes.confusion
        }
    }


def captions(view: tuple[SettingClasses, ...]) -> dict[str, FigureText]:
    """What the figures are called and mean."""
    found = {}
    for one in view:
        if one.recall is not None:
            found[f"recall/{one.slug}"] = FigureText(
                f"Recall by class: {one.setting}",
                "Recall is the share of a class's test images that were named rightly, mean over "
                "blocks; blue is higher than the reference, orange lower.",
            )
        if one.confusion is not None:
            found[f"confusion/{one.slug}"] = FigureText(
                f"Confusion matrix: {one.setting}",
                "A row is a true class, in percent of its test images over all blocks.",
            )
    return found


SECTION = Section(
    name="per_class",
    title="By class",
    entry="Classes",
    id="classes",
    order=90,
    template=section_template(__file__),
    build=build,
    captions=captions,
    paper_charts=paper_charts,
    tables=tables,
    script_data=script_data,
)
