"""From a file to its tables: which readers a format gets, and the words around each table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from normlab.errors import DataError
from normlab.inputs import check_input, reading
from normlab.stats.audit.grid import RawTable
from normlab.stats.audit.interpret import interpret
from normlab.stats.audit.model import PublishedTable
from normlab.stats.audit.readers.delimited import find_delimited
from normlab.stats.audit.readers.html import find_html
from normlab.stats.audit.readers.latex import find_latex
from normlab.stats.audit.readers.markdown import find_markdown, headings_of
from normlab.stats.audit.readers.markup import clean
from normlab.stats.audit.readers.plain import find_plain
from normlab.stats.audit.readers.rest import find_rest

Found = tuple[RawTable, int]


def read_tables(path: Path) -> list[PublishedTable]:
    """All tables of a file that have a figure of accuracy, error, loss or F1.

    Raises:
        DataError: the file cannot be read, or holds no such table.
    """
    try:
        text = check_input(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not UTF-8 text"
        raise DataError(f"{path} cannot be read: {reason}") from None
    with reading(f"{path} cannot be read as tables", "give it in another form"):
        raw = find_tables(text, path)
        tables = [table for one in raw for table in interpret(replace(one, file=path.name), text)]
    if not any(table.figures for table in tables):
        raise DataError(
            f"{path} holds no table with a column of accuracy, error, loss, micro or macro F1; "
            "give Markdown, CSV, LaTeX, HTML or reStructuredText tables with a header, or lines "
            'of numbers under a line "Table 1: …"'
        )
    return tables


def find_tables(text: str, path: Path) -> list[RawTable]:
    """The tables of a text, in the order in which they stand there."""
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return [table for table, _ in find_delimited(text, path.stem)]
    lines = text.splitlines()
    finders: list[Iterable[Found]] = [find_html(text), find_latex(text)]
    if suffix in (".tex", ".latex"):
        return _outermost(finders[1:])
    if suffix in (".html", ".htm", ".xhtml"):
        return _outermost(finders[:1])
    if suffix == ".rst":
        finders.insert(0, find_rest(lines, path.parent))
        finders.append(find_plain(lines))
        return list(_with_context(_located(finders), lines, _rest_headings(lines)))
    finders += [find_markdown(text), find_rest(lines), find_plain(lines)]
    return list(_with_context(_located(finders), lines, headings_of(text)))


def _outermost(finders: Sequence[Iterable[Found]]) -> list[RawTable]:
    return [table for table, _ in _located(finders)]


def _located(finders: Sequence[Iterable[Found]]) -> list[Found]:
    """What the finders find, an earlier finder's lines not given to a later one."""
    taken: set[int] = set()
    found: list[Found] = []
    for finder in finders:
        own = [one for one in finder if not taken & set(range(one[0].line, one[1] + 1))]
        for table, last in own:
            taken |= set(range(table.line, last + 1))
        found += own
    return sorted(found, key=lambda one: one[0].line)


Headings = dict[int, tuple[int, str]]


def _with_context(
    found: Sequence[Found], lines: Sequence[str], headings: Headings
) -> Iterator[RawTable]:
    """Each table with the headings above it and the paragraphs around it."""
    occupied = {n for table, last in found for n in range(table.line, last + 1)}
    for table, last in found:
        above, near = _paragraph_above(table.line - 1, lines, headings, occupied)
        yield replace(
            table,
            headings=table.headings or _headings_above(table.line, headings),
            above=above,
            near=near,
            below=_paragraph_below(last, lines, headings, occupied),
        )


def _headings_above(line: int, headings: Headings) -> tuple[str, ...]:
    stack: list[tuple[int, str]] = []
    for start, (level, text) in sorted(headings.items()):
        if start < line:
            stack = [*(pair for pair in stack if pair[0] < level), (level, text)]
    return tuple(text for _, text in stack)


def _paragraph_above(
    line: int, lines: Sequence[str], headings: Headings, occupied: set[int]
) -> tuple[str, bool]:
    """The nearest paragraph above under the same heading, tables stepped over."""
    near = True
    text: list[str] = []
    while line > 0:
        content = lines[line - 1].strip()
        if line in headings:
            break
        if line in occupied:
            near = False
            if text:
                break
        elif content and not re.fullmatch(r"[=\-~^*#+|`:\s]+|<[^>]*>|\.\.\s.*", content):
            text.insert(0, content)
        elif text:
            break
        line -= 1
    return clean(" ".join(text))[-600:].lstrip("# "), near and bool(text)


def _paragraph_below(
    line: int, lines: Sequence[str], headings: Headings, occupied: set[int]
) -> str:
    text: list[str] = []
    for number in range(line + 1, min(line + 8, len(lines) + 1)):
        content = lines[number - 1].strip()
        if number in headings or number in occupied or (text and not content):
            break
        if content and not re.fullmatch(r"<[^>]*>", content):
            text.append(content)
    return clean(" ".join(text))[:400]


def _rest_headings(lines: Sequence[str]) -> Headings:
    """Titles that are underlined; the order in which the signs appear is the level."""
    order: list[str] = []
    found: Headings = {}
    for number, (title, under) in enumerate(pairwise(lines), start=1):
        sign = under.strip()[:1]
        underlined = re.fullmatch(r"([=\-~^*#+\"'`:.])\1{2,}", under.rstrip())
        is_title = re.match(r"\S", title) and not re.fullmatch(r"[=\-~^*#+\s]+", title)
        if underlined and is_title and len(under.rstrip()) >= len(title.rstrip()):
            if sign not in order:
                order.append(sign)
            found[number] = (order.index(sign) + 1, clean(title))
    return found
