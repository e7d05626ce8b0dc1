"""Everything that is drawn for one setting: the plain data, and the charts made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from normlab.report.charts.axes import Axes, curve_axes
from normlab.report.charts.charts import difference_chart, panel_chart
from normlab.report.charts.colours import Stroke
from normlab.report.charts.layer_diagnostics_charts import course_chart, depth_chart, feature_chart
from normlab.report.charts.overview_charts import (
    confusion_chart,
    cost_chart,
    recall_chart,
    value_chart,
)
from normlab.report.charts.parallel_drawing import Sketch
from normlab.report.charts.robustness_chart import robustness_chart
from normlab.report.sections.cost import CostFigure, CostRow, cost_figure, cost_rows
from normlab.report.sections.ensembles import EnsembleView, ensemble_view, reliability_chart
from normlab.report.sections.figures import (
    CurveFigure,
    DifferenceFigure,
    curve_figure,
    difference_figure,
)
from normlab.report.sections.layer_diagnostics import (
    LayerDiagnosticsFigures,
    layer_diagnostics_figures,
)
from normlab.report.sections.per_class import (
    ClassView,
    ConfusionFigure,
    RecallFigure,
    class_view,
    confusion_figure,
    recall_figure,
)
from normlab.report.sections.reliability import robustness_rows
from normlab.report.sections.robustness import RobustnessView, robustness_view
from normlab.report.sections.values import ValueFigure, value_figure
from normlab.stats.data.layout import Layout
from normlab.stats.summary.analysis import SettingAnalysis
from normlab.stats.summary.classes import ClassTable, class_table, collect
from normlab.stats.summary.ensembles import ensemble_table
from normlab.stats.summary.layer_diagnostics import LayerSummaries
from normlab.stats.summary.robustness import RobustnessTable


@dataclass(frozen=True, eq=False)
class SettingFigures:
    """One setting, before anything is drawn."""

    analysis: SettingAnalysis
    values: ValueFigure | None
    differences: Mapping[str, DifferenceFigure]
    """By the arm that they are seen from."""
    curves: CurveFigure
    axes: Axes
    cost_rows: tuple[CostRow, ...]
    cost: CostFigure | None
    robustness: tuple[tuple[str, ...], ...]
    class_table: ClassTable | None
    classes: ClassView | None
    recall: RecallFigure | None
    confusion: ConfusionFigure | None
    inside: LayerDiagnosticsFigures | None
    stress: RobustnessView | None
    ensembles: EnsembleView | None

    @property
    def slug(self) -> str:
        """Of the setting."""
        return self.analysis.setting.slug

    def charts(self) -> dict[str, Sketch]:
        """Every chart of the page by its name."""
        found: dict[str, Sketch] = {}
        if self.values is not None:
            found[f"values/{self.slug}"] = (value_chart, (self.values,))
        for reference, figure in self.differences.items():
            found[f"differences/{self.slug}/{reference}"] = (difference_chart, (figure,))
        if not self.curves.is_empty:
            for number, panel in enumerate(self.curves.panels):
                if self.curves.twin(number) is None:
                    found[f"curves/{self.slug}/{number}"] = (panel_chart, (panel, self.curves))
        if self.cost is not None:
            found[f"cost/{self.slug}"] = (cost_chart, (self.cost,))
        if self.inside is not None:
            found[f"features/{self.slug}"] = (feature_chart, (self.inside.features,))
            for course in self.inside.courses:
                found[f"{course.measure}/{self.slug}"] = (course_chart, (course,))
            found[f"depth/{self.slug}"] = (depth_chart, (self.inside.depth,))
        if self.ensembles is not None:
            found[f"reliability/{self.slug}"] = (reliability_chart, (self.ensembles.figure,))
        if self.stress is not None:
            found[f"stress/{self.slug}"] = (robustness_chart, (self.stress.figure,))
        return found

    def paper_charts(self) -> dict[str, Sketch]:
        """Charts that only the folder of figures has: the page shows tables in their place."""
        found: dict[str, Sketch] = {}
        if self.recall is not None:
            found[f"recall/{self.slug}"] = (recall_chart, (self.recall,))
        if self.confusion is not None:
            found[f"confusion/{self.slug}"] = (confusion_chart, (self.confusion,))
        return found


def setting_figures(
    setting: SettingAnalysis,
    layout: Layout,
    curves: pd.DataFrame,
    strokes: Mapping[str, Stroke],
    alpha: float,
    inside: LayerSummaries | None,
    stress: RobustnessTable | None,
) -> SettingFigures:
    """Work out the figures of a setting."""
    verdict = setting.verdict
    references = [verdict.reference] if verdict.reference else []
    references += [arm for arm in verdict.arms if arm != verdict.reference]
    differences = {
        reference: figure
        for reference in references
        if (figure := difference_figure(setting, strokes, reference)) is not None
    }
    costs = cost_rows(setting, layout)
    collected = collect(layout)
    table = class_table(layout, collected)
    ensembles = ensemble_table(layout, collected, alpha)
    view = None
    if table is not None:
        view = class_view(table, verdict.reference or table.arms[0], alpha)
    return SettingFigures(
        analysis=setting,
        values=value_figure(setting, strokes),
        differences=differences,
        curves=curve_figure(setting, curves, dict(strokes)),
        axes=curve_axes(layout, {arm: number for number, arm in enumerate(strokes)}),
        cost_rows=costs,
        cost=cost_figure(setting, costs, strokes),
        robustness=robustness_rows(setting, layout),
        class_table=table,
        classes=view,
        recall=recall_figure(table, view) if table is not None and view is not None else None,
        confusion=confusion_figure(table, view) if table is not None and view is not None else None,
        inside=None
        if inside is None
        else layer_diagnostics_figures(setting.setting, inside, strokes),
        ensembles=None if ensembles is None else ensemble_view(ensembles, strokes),
        stress=None if stress is None else robustness_view(stress, strokes),
    )
