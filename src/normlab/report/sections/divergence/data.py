"""How reliably an arm trains: outcomes, the worst block, the spread, where it diverged."""

from __future__ import annotations

from normlab.report.export.formats import NOTHING
from normlab.stats.data.layout import CELL_STATUSES, Layout
from normlab.stats.data.metrics import format_value, orientation
from normlab.stats.summary.analysis import SettingAnalysis

HEAD = ("norm", "runs", "diverged", "at epoch", "worst block", "best block", "sd")


def reliability_rows(setting: SettingAnalysis, layout: Layout) -> tuple[tuple[str, ...], ...]:
    """One row an arm, as it is printed: HEAD's columns."""
    metric = setting.verdict.metric
    rows = []
    for row in setting.rows:
        values = [v for v in setting.table.row(row.arm) if v == v]
        values.sort(key=lambda value: orientation(metric) * value)
        records = [layout.record(row.arm, block) for block in layout.blocks]
        diverged = sorted(
            r.outcome.epochs
            for r in records
            if r is not None and r.outcome is not None and r.outcome.status == "diverged"
        )
        sd = row.test[metric].sd
        rows.append(
            (
                row.arm,
                ", ".join(
                    f"{row.outcomes[status]} {status.replace('_', ' ')}"
                    for status in CELL_STATUSES
                    if row.outcomes.get(status)
                ),
                f"{len(diverged)} of {len(layout.blocks)}",
                _span(diverged),
                format_value(metric, values[0]) if values else NOTHING,
                format_value(metric, values[-1]) if values else NOTHING,
                NOTHING if sd is None else format_value(metric, sd),
            )
        )
    return tuple(rows)


def _span(epochs: list[int]) -> str:
    if not epochs:
        return NOTHING
    return str(epochs[0]) if epochs[0] == epochs[-1] else f"{epochs[0]} to {epochs[-1]}"
