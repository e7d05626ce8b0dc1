"""The audit as a page: every table as it was read, the cells marked, the arithmetic below it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from normlab.stats.audit.model import PublishedTable
from normlab.stats.audit.printing import describe
from normlab.stats.audit.rules import RULES, AuditReport
from normlab.stats.audit.rules.base import Finding
from normlab.text import count, in_markup

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --certain: #c62828; --question: #b26a00; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { border: 1px solid var(--line); padding: .25rem .6rem; text-align: left; }
td.certain { outline: 3px solid var(--certain); outline-offset: -3px; font-weight: 600; }
td.question { outline: 3px dotted var(--question); outline-offset: -3px; }
.kind { font-weight: 600; } .kind.certain { color: var(--certain); }
.kind.question { color: var(--question); }
.read { opacity: .8; font-size: .9rem; } sup { font-weight: 400; }
"""


def render_audit_page(tables: Sequence[PublishedTable], report: AuditReport) -> str:
    """One HTML page without anything from outside."""
    body = "".join(_sections(tables, report))
    summary = (
        f"{count(len(report.certain), 'certain finding')} (arithmetic that no data can give), "
        f"{count(len(report.questions), 'question')} (worth asking, no fault by itself)"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Audit of published tables</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>Audit of published tables</h1><p>{summary}.</p>{body}</main></body></html>\n"
    )


def _sections(tables: Sequence[PublishedTable], report: AuditReport) -> Iterator[str]:
    seen: set[tuple[str, int]] = set()
    for table in tables:
        place = (table.raw.file, table.raw.line)
        if place in seen:  # tables side by side are pieces of one
            continue
        seen.add(place)
        pieces = [one for one in tables if (one.raw.file, one.raw.line) == place]
        own = [one for one in report.findings if (one.file, one.line) == place]
        yield f"<section><h2>{in_markup(table.title or f'{place[0]}, line {place[1]}')}</h2>"
        yield "".join(f'<p class="read">{in_markup(describe(piece))}</p>' for piece in pieces)
        yield _grid(table, own)
        yield _list(own) if own else "<p>Nothing was found.</p>"
        yield "</section>"
    if report.notes:
        yield "<section><h2>Not tested</h2>"
        yield "".join(f"<p>{in_markup(note)}</p>" for note in report.notes) + "</section>"


def _grid(table: PublishedTable, findings: Sequence[Finding]) -> str:
    marks: dict[tuple[int, int], list[int]] = {}
    for number, one in enumerate(findings, start=1):
        for cell in one.cells:
            marks.setdefault(cell, []).append(number)
    heads = min((f.row for f in table.figures), default=1)
    rows = []
    for r, cells in enumerate(table.raw.cells):
        tag = "th" if r < heads else "td"
        rows.append(
            "<tr>"
            + "".join(
                _cell(tag, cell.text, marks.get((r, c), []), findings)
                for c, cell in enumerate(cells)
            )
            + "</tr>"
        )
    return f'<div class="scroll" tabindex="0"><table>{"".join(rows)}</table></div>'


def _cell(tag: str, text: str, numbers: Sequence[int], findings: Sequence[Finding]) -> str:
    if not numbers:
        return f"<{tag}>{in_markup(text)}</{tag}>"
    certain = any(findings[number - 1].kind == "certain" for number in numbers)
    kind = "certain" if certain else "question"
    listed = ", ".join(map(str, numbers))
    return f'<{tag} class="{kind}">{in_markup(text)}<sup> {listed}</sup></{tag}>'


def _list(findings: Sequence[Finding]) -> str:
    titles = {rule.code: rule.title for rule in RULES}
    items = "".join(
        f'<li><span class="kind {one.kind}">{one.kind}</span> {one.code}, {titles[one.code]}: '
        f"{in_markup(one.row)}: {in_markup(one.arithmetic)}</li>"
        for one in findings
    )
    return f"<ol>{items}</ol>"
