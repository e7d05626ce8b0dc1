"""What an audit says: lines for a terminal, data for a program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from normlab.stats.audit.model import PublishedTable
from normlab.stats.audit.rules import RULES, AuditReport
from normlab.stats.audit.rules.base import Known
from normlab.text import count


def as_lines(tables: Sequence[PublishedTable], report: AuditReport, known: Known) -> Iterator[str]:
    """The lines of the report: what was read, the findings rule by rule, what was not tested."""
    read = [table for table in tables if table.figures]
    figures = sum(len(table.figures) for table in read)
    yield f"{count(len(read), 'table')} with {count(figures, 'figure')}"
    for table in tables:
        yield f"  {describe(table)}"
    uncounted = known.images is None and not known.by_name
    for rule in RULES:
        own = [one for one in report.findings if one.code == rule.code]
        if rule.needs_images and uncounted and not own:
            yield f"\n{rule.code}  {rule.title}: not tested, for it needs --images"
            continue
        certain = sum(one.kind == "certain" for one in own)
        parts = [count(certain, "certain finding")] if certain else []
        parts += [count(len(own) - certain, "question")] if len(own) > certain else []
        yield f"\n{rule.code}  {rule.title}: {', '.join(parts) or 'passed'}"
        for one in own:
            mark = "" if one.kind == "certain" else "? "
            yield f"  {mark}{one.row}: {one.arithmetic}  [{_place(one.table, one.file, one.line)}]"
    for note in report.notes:
        yield f"\nNote: {note}"
    yield (
        f"\n{count(len(report.certain), 'certain finding')}, "
        f"{count(len(report.questions), 'question')}"
    )


def _place(title: str, file: str, line: int) -> str:
    return f"{title}, {file}:{line}" if title else f"{file}:{line}"


def describe(table: PublishedTable) -> str:
    """One line on what was read of a table, and what was left aside."""
    place = f"{table.raw.file}:{table.raw.line}"
    if not table.figures:
        return f"{place}  not read: no head names a metric that the audit knows"
    columns = ", ".join(
        metric if head == metric else f"{head} → {metric}"
        for head, metric in dict.fromkeys(table.columns)
    )
    parts = sorted({f.part for f in table.figures if f.part})
    data = sorted({f.dataset for f in table.figures if f.dataset})
    text = f"{place}  {count(len({f.row for f in table.figures}), 'row')}: {columns}"
    text += f"; of {', '.join([*data, *parts])}" if data or parts else ""
    if table.unread:
        text += f"; {count(len(table.unread), 'cell')} not read: {', '.join(table.unread[:3])}"
    either = [f.text for f in table.figures if not f.known_scale and f.value >= 0]
    if either:
        text += f"; {count(len(either), 'cell')} of no known unit (share or per cent?): "
        text += ", ".join(either[:3]) + (" …" if len(either) > 3 else "")
    if table.unused:
        shown = ", ".join(name[:30] for name in table.unused[:6])
        text += f"; left aside: {shown}{' …' if len(table.unused) > 6 else ''}"
    return text


def as_data(tables: Sequence[PublishedTable], report: AuditReport) -> dict[str, Any]:
    """The same for programs."""
    return {
        "tables": [
            {
                "file": table.raw.file,
                "line": table.raw.line,
                "title": table.title,
                "rows": len({figure.row for figure in table.figures}),
                "figures": len(table.figures),
                "columns": [list(pair) for pair in dict.fromkeys(table.columns)],
                "unused": list(table.unused),
                "unread": list(table.unread),
            }
            for table in tables
        ],
        "findings": [asdict(one) for one in report.findings],
        "certain": len(report.certain),
        "questions": len(report.questions),
        "notes": list(report.notes),
    }
