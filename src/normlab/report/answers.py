"""The answer table of a setting: every number as it is printed."""

from __future__ import annotations

from normlab.report.formats import NOTHING
from normlab.report.page import Answer, AnswerRow, PageFigure
from normlab.stats.analysis import ArmRow, SettingAnalysis
from normlab.stats.metrics import LABELS, format_difference, format_value, unit
from normlab.stats.wording import further_blocks


def answer(setting: SettingAnalysis, figure: PageFigure | None) -> Answer:
    """The verdict of a setting, its table and its figure."""
    verdict = setting.verdict
    reference = verdict.reference or "the reference"
    measure = unit(verdict.metric)
    percent = " (%)" if measure == "points" else ""
    return Answer(
        setting=setting.setting.label,
        slug=setting.setting.slug,
        sentence=verdict.sentence,
        head=(
            f"{LABELS[verdict.metric]}{percent}",
            f"against {reference} ({measure})",
            f"{100 * (1 - verdict.alpha):g} % interval",
            "P(better)",
            "time",
            "decision",
            "blocks",
        ),
        rows=tuple(answer_row(row, setting) for row in setting.rows),
        figure=figure,
    )


def answer_row(row: ArmRow, setting: SettingAnalysis) -> AnswerRow:
    """One arm; what is not known is a dash, and the decision says why."""
    metric = setting.verdict.metric
    summary = row.validation[metric]
    decision, remark = decision_text(row, setting)
    difference = interval = share = NOTHING
    blocks = str(row.n)
    if row.comparison is not None:
        found = row.comparison.difference
        blocks = str(found.n)
        if found.mean is not None:
            difference = format_difference(metric, found.mean)
        if found.interval is not None:
            low, high = (
                format_difference(metric, end) for end in (found.interval.low, found.interval.high)
            )
            interval = f"[{low}, {high}]"
        if row.comparison.share is not None:
            share = f"{row.comparison.share.share:.2f}"
    return AnswerRow(
        arm=row.arm,
        value=NOTHING if summary.mean is None else format_value(metric, summary.mean),
        sd="" if summary.sd is None else format_value(metric, summary.sd),
        difference=difference,
        interval=interval,
        share=share,
        time=NOTHING if row.relative_time is None else f"{row.relative_time:.2f}×",
        decision=decision,
        remark=remark,
        blocks=blocks,
    )


def decision_text(row: ArmRow, setting: SettingAnalysis) -> tuple[str, str]:
    """The decision in one or two words, and what the reader needs beside it."""
    remarks = []
    if row.comparison is not None and row.comparison.decision == "undecided":
        remarks.append(further_blocks([row.comparison]))
    if row.outcomes.get("diverged"):
        remarks.append(f"diverged in {row.outcomes['diverged']} of {len(setting.table.blocks)}")
    if row.arm == setting.verdict.reference:
        decision = "reference"
    elif row.comparison is not None:
        decision = row.comparison.decision
    else:
        decision = "no result" if row.n == 0 else "not compared"
    return decision, "; ".join(remarks)
