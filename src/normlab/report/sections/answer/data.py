"""The answer of a setting: every number as it is printed, seen from each arm that has results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from normlab.report.export.formats import (
    NOTHING,
    csv_text,
    difference_cell,
    interval_cell,
    summary_cell,
)
from normlab.report.export.table import Printed, Table
from normlab.report.sections.answer.differences import DifferenceFigure
from normlab.report.sections.answer.sentence import Sentence
from normlab.report.sections.base import BLOCKS_SHOWN, PageFigure
from normlab.stats.data.metrics import LABELS, format_difference, format_value, unit
from normlab.stats.inference.intervals import ShareBetter
from normlab.stats.inference.looks.margins import least_margin
from normlab.stats.summary.analysis import Analysis, ArmRow, SettingAnalysis
from normlab.stats.summary.timing import relative_time
from normlab.stats.summary.verdict_text import further_blocks
from normlab.text import count, join

MOST_REFERENCES = 15
"""Arms up to which a setting can be seen from each; the page would have their square of rows."""
BlockTable = tuple[tuple[str, ...], Sequence[tuple[str, ...]]]
"""Head and rows, a row a block."""


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
class Perspective:
    """The answer seen from one reference arm."""

    reference: str
    head: tuple[str, ...]
    """Heads of the columns after the arm, in the order of AnswerRow."""
    rows: tuple[AnswerRow, ...]
    behind: BlockTable | None
    """The difference of every block; None where nothing can be compared."""


@dataclass(frozen=True)
class Answer:
    """The numbers of one setting."""

    setting: str
    slug: str
    sentence: Sentence
    values: PageFigure | None
    perspectives: tuple[Perspective, ...]
    """The plan's reference first."""
    blocks_file: str = ""
    """The file that has a row a block, where the page has none."""


def answer(
    setting: SettingAnalysis,
    sentence: Sentence,
    values: PageFigure | None,
    behind: Mapping[str, BlockTable],
    blocks_file: str = "",
) -> Answer:
    """The tables and figures of a setting; the plan's reference comes first."""
    return Answer(
        setting=setting.setting.label,
        slug=setting.setting.slug,
        sentence=sentence,
        values=values,
        perspectives=tuple(
            perspective(setting, reference, behind.get(reference or ""))
            for reference in references(setting)
        ),
        blocks_file=blocks_file,
    )


def references(setting: SettingAnalysis) -> tuple[str | None, ...]:
    """The arms that a setting can be seen from; the plan's reference is first, None if missing."""
    verdict = setting.verdict
    if not 2 <= len(verdict.arms) <= MOST_REFERENCES:
        return (verdict.reference,)
    return (verdict.reference, *(arm for arm in verdict.arms if arm != verdict.reference))


def perspective(
    setting: SettingAnalysis, reference: str | None, behind: BlockTable | None = None
) -> Perspective:
    """The answer table seen from one arm."""
    verdict = setting.verdict
    measure = unit(verdict.metric)
    percent = " (%)" if measure == "points" else ""
    speeds = {row.arm: row.speeds for row in setting.rows}
    return Perspective(
        reference=reference or "",
        head=(
            f"{LABELS[verdict.metric]}{percent}",
            f"against {reference or 'the reference'} ({measure})",
            f"{100 * (1 - verdict.alpha):g} % interval",
            "better in",
            "time",
            "decision",
            "blocks",
        ),
        rows=tuple(
            answer_row(row, setting, reference, speeds.get(reference or "", {}))
            for row in setting.rows
        ),
        behind=behind,
    )


def answer_row(
    row: ArmRow, setting: SettingAnalysis, reference: str | None, speeds: Mapping[int, float]
) -> AnswerRow:
    """One arm; what is not known is a dash, and the decision says why."""
    metric = setting.verdict.metric
    summary = row.test[metric]
    comparison = reference and setting.verdict.comparison(row.arm, reference)
    decision, remark = decision_text(row, setting, reference)
    difference = interval = share = NOTHING
    blocks = str(row.n)
    if comparison:
        found = comparison.difference
        blocks = str(found.n)
        if found.mean is not None:
            difference = format_difference(metric, found.mean)
        if (ends := comparison.interval) is not None:
            low, high = (format_difference(metric, end) for end in (ends.low, ends.high))
            interval = f"[{low}, {high}]"
        if comparison.share is not None:
            share = won_text(comparison.share)
    time = relative_time(row.speeds, speeds)
    return AnswerRow(
        arm=row.arm,
        value=NOTHING if summary.mean is None else format_value(metric, summary.mean),
        sd="" if summary.sd is None else format_value(metric, summary.sd),
        difference=difference,
        interval=interval,
        share=share,
        time=NOTHING if time is None else f"{time:.2f}×",
        decision=decision,
        remark=remark,
        blocks=blocks,
    )


def won_text(share: ShareBetter) -> str:
    """In how many blocks an arm was better: a count, for few blocks are no probability."""
    level = f" (= {share.ties})" if share.ties else ""
    return f"{share.won} of {share.n}{level}"


def decision_text(row: ArmRow, setting: SettingAnalysis, reference: str | None) -> tuple[str, str]:
    """The decision in one or two words, and what the reader needs beside it."""
    remarks = []
    comparison = reference and setting.verdict.comparison(row.arm, reference)
    if comparison and comparison.decision == "undecided":
        pair = (comparison.arm, comparison.other)
        left_out = [arm for arm in pair if arm in setting.verdict.dropped]
        if {*pair} <= setting.at_chance:
            remarks.append("both only guess")
        elif left_out and comparison.forecast is None:
            remarks.append(f"not asked any longer: {join(left_out)} lost to another arm")
        elif setting.verdict.decisions.over and comparison.further_blocks is None:
            remarks.append("open after the last look that was planned")
        else:
            remarks.append(further_blocks([comparison]))
    if row.outcomes.get("diverged"):
        remarks.append(f"diverged in {row.outcomes['diverged']} of {len(setting.table.blocks)}")
    if row.arm == reference:
        decision = "reference"
    elif comparison:
        decision = str(comparison.decision)
    else:
        decision = "no result" if row.n == 0 else "not compared"
    return decision, "; ".join(remarks)


def answer_table(setting: SettingAnalysis, view: Perspective) -> Table:
    """The answer of a setting as a table for a paper; the caption says what the numbers are."""
    verdict = setting.verdict
    margin = format_difference(verdict.metric, verdict.margin).removeprefix("+")
    pairs = len(verdict.arms) * (len(verdict.arms) - 1) // 2
    label, *rest = view.head
    speeds = next((row.speeds for row in setting.rows if row.arm == view.reference), {})
    return Table(
        slug=f"answer-{setting.setting.slug}",
        title=f"{LABELS[verdict.metric].capitalize()} by normalization",
        caption=(
            f"{setting.setting.label}. Mean ± standard deviation over n blocks; differences to "
            f"{view.reference or 'the reference'} are taken inside blocks, with "
            f"{_correction(setting, pairs)}; practically equal is within ±{margin} "
            f"{unit(verdict.metric)}."
        ),
        head=("norm", label, *rest[:-1], "n"),
        rows=tuple(
            (
                row.arm,
                summary_cell(verdict.metric, arm.test[verdict.metric]),
                *_compared(setting, row.arm, view.reference),
                row.share,
                Printed(relative_time(arm.speeds, speeds), row.time),
                row.decision,
                int(row.blocks),
            )
            for arm, row in zip(setting.rows, view.rows, strict=True)
        ),
    )


def _correction(setting: SettingAnalysis, pairs: int) -> str:
    """Which interval stands in the table, and how decisions are corrected."""
    verdict = setting.verdict
    confidence = f"{100 * (1 - verdict.alpha):g} %"
    if (rules := verdict.decisions.rules) is not None:
        family = "all looks and all settings" if rules.alpha < verdict.alpha else "all looks"
        return (
            f"the interval that belongs to the decision ({confidence}, over all "
            f"{count(pairs, 'pair')} of arms, {family} together)"
        )
    return (
        f"the t interval ({confidence}, for one comparison by itself). Decisions are corrected by "
        f"Holm's method over all {count(pairs, 'pair')} of arms (α = {verdict.alpha:g})"
    )


def _compared(setting: SettingAnalysis, arm: str, reference: str) -> tuple[Printed, Printed]:
    """The difference to the reference, and its interval."""
    metric, comparison = setting.verdict.metric, setting.verdict.comparison(arm, reference)
    if comparison is None:
        return difference_cell(metric, None), interval_cell(metric, None)
    return (
        difference_cell(metric, comparison.difference.mean),
        interval_cell(metric, comparison.interval),
    )


def difference_note(figure: DifferenceFigure, setting: SettingAnalysis) -> str:
    """What the marks of a plot of differences are."""
    verdict = setting.verdict
    margin = format_difference(verdict.metric, verdict.margin).removeprefix("+")
    has_ticks = any(len(row.blocks) <= BLOCKS_SHOWN for row in figure.rows)
    each = ", each tick one block" if has_ticks else ""
    return (
        f"Differences: the point is the mean over blocks, the bar its "
        f"{100 * (1 - verdict.alpha):g} % interval{each}; grey is practical "
        f"equality (±{margin} {unit(verdict.metric)}); an arrow points beyond "
        "the axis."
    )


def difference_table(figure: DifferenceFigure, setting: SettingAnalysis) -> BlockTable:
    """The differences of every block to the arm that the figure is seen from."""
    metric = setting.verdict.metric
    scale = 100.0 if unit(metric) == "points" else 1.0
    rows = [
        (
            str(block),
            *(
                format_difference(metric, row.blocks[block] / scale)
                if block in row.blocks
                else NOTHING
                for row in figure.rows
            ),
        )
        for block in (index + 1 for index in setting.table.blocks)
    ]
    return ("block", *(row.arm for row in figure.rows)), rows


def block_table(setting: SettingAnalysis) -> BlockTable:
    """The table behind the answer plot: a row a block, a column an arm."""
    table = setting.table
    head = ("block", *table.arms)
    rows = [
        (
            str(block + 1),
            *(
                format_value(table.metric, float(v)) if (v := table.values[a, b]) == v else NOTHING
                for a in range(len(table.arms))
            ),
        )
        for b, block in enumerate(table.blocks)
    ]
    return head, rows


def blocks_csv(setting: SettingAnalysis) -> str:
    """The values of every block as a CSV file, in the unit of the page, in full precision."""
    table = setting.table
    percent = unit(table.metric) == "points"
    scale, sign = (100.0, " (%)") if percent else (1.0, "")
    head = ("block", *(f"{arm}: {LABELS[table.metric]}{sign}" for arm in table.arms))
    rows = [
        (block + 1, *("" if v != v else scale * v for v in table.values[:, place].tolist()))
        for place, block in enumerate(table.blocks)
    ]
    return csv_text(head, rows)


def how_to_read(analysis: Analysis) -> tuple[str, ...]:
    """What the numbers of the answer mean, a paragraph each."""
    rules = analysis.plan.analysis
    margins = sorted({one.verdict.margin for one in analysis.settings}) or [rules.margin]
    ends = dict.fromkeys((margins[0], margins[-1]))
    margin = " to ".join(format_difference(rules.metric, end).removeprefix("+") for end in ends)
    fixed = "fixed in the plan"
    if rules.margin_share is not None:
        fixed = f"{100 * rules.margin_share:.0f} % of the reference's error in the first block"
        fixed += least_margin(rules.metric)
    confidence = f"{100 * (1 - rules.alpha):g} %"
    if rules.method == 2:
        intervals = (
            f"The interval is the one that belongs to the decision: it holds for all pairs, "
            f"looks and settings together ({confidence}), so it leaves out zero exactly where "
            'a difference is decided. Intervals of one comparison by itself are in the table "for '
            'whom it holds".'
        )
    else:
        intervals = (
            f"The interval is a t interval of them ({confidence}, for one comparison by itself), "
            "its error that of all arms together where they vary alike, else of the pair. "
            "Decisions take all pairs of a setting into account "
            f"(Holm, α = {rules.alpha:g}), so an interval may leave out zero and the pair still "
            "be undecided."
        )
    odds = "a range that holds in four of five studies" if rules.method == 2 else "at even odds"
    return (
        "A block is one training of every arm from the same split, initial weights, order of "
        f"images and augmentation; differences are taken inside blocks. {intervals}",
        f"Practically equal: shown by two one-sided tests to differ by less than {margin} "
        f"{unit(rules.metric)}, the margin ({fixed}). Better in: the blocks in which the arm was "
        "the better one. Time: of a training step, relative "
        "to the reference in the same block, median. More blocks: an "
        f"estimate from the spread so far, {odds}.",
        "The blocks share one fixed test part: the verdict speaks of new trainings judged on "
        "these images. What can be said of new images is in the "
        'table "for whom it holds".',
    )
