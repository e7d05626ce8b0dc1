"""The analysis in words: what is seen, why it may be so, what to try, each with its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from normlab.report.export.table import Table
from normlab.report.sections.analysis.data import evidence_tables
from normlab.report.sections.base import ReportContext, Section, section_template
from normlab.stats.summary.rate_curves import rate_curves
from normlab.stats.summary.words.analysis_words import AnalysisWords, analysis_words, as_text

FILE = "analysis.txt"


@dataclass(frozen=True)
class AnalysisView:
    """The words and the tables behind them."""

    words: AnalysisWords
    tables: tuple[Table, ...]

    def table(self, slug: str) -> Table | None:
        """The evidence of a setting."""
        return next((one for one in self.tables if one.slug == f"evidence-{slug}"), None)


def build(context: ReportContext) -> AnalysisView | None:
    """None where no two arms have a result."""
    words = analysis_words(
        context.analysis,
        context.layouts,
        context.layer_summaries,
        rate_curves(context.study.tuning_results, context.study.runs),
        tuple(one.ensembles for one in context.prediction_tables),
        context.study_folder,
    )
    return None if words.is_empty else AnalysisView(words, evidence_tables(words))


def tables(view: AnalysisView) -> tuple[Table, ...]:
    """The evidence."""
    return view.tables


def texts(view: AnalysisView) -> Mapping[str, str]:
    """report/analysis.txt."""
    return {FILE: as_text(view.words)}


SECTION = Section(
    name="analysis",
    title="Why: the analysis in words",
    entry="Why",
    order=60,
    template=section_template(__file__),
    build=build,
    tables=tables,
    texts=texts,
)
