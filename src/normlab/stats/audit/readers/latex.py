r"""LaTeX: `tabular` and its relatives, with `\multicolumn`, `\multirow`, booktabs, captions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from normlab.stats.audit.grid import Cell, GridBuilder, RawTable, Span, rectangular
from normlab.stats.audit.readers.latex_text import argument, optional, to_text

_NAMES = r"(?:tabular|tabularx|tabulary|longtable|longtabu|tabu|tblr|NiceTabular|supertabular)\*?"
_BEGIN = re.compile(rf"\\begin\{{({_NAMES})\}}")
_WITH_WIDTH = ("tabular*", "tabularx", "tabulary")
_RULE = re.compile(
    r"\s*\\(?:(?P<full>toprule|midrule|bottomrule|hline|Xhline|specialrule|endhead|endfirsthead)"
    r"|cmidrule|cline|addlinespace|rowcolor|noalign|cdashline|hdashline|endfoot|endlastfoot"
    r"|morecmidrules|arrayrulecolor|vspace|caption|label|rowfont|pagebreak|nopagebreak)\*?"
    r"(?![A-Za-z])(?:\s*(?:\([^)]*\)|\[[^]]*\]))*"
)
_SECTION = re.compile(r"\\(?:chapter|section|subsection|subsubsection|paragraph)\*?\s*\{")


def find_latex(text: str) -> Iterator[tuple[RawTable, int]]:
    """The tables of LaTeX source and the last line of each, with captions and section titles."""
    text = re.sub(r"(?<!\\)%[^\n]*", "", text)
    text = _with_macros(text)
    position = 0
    while (match := _BEGIN.search(text, position)) is not None:
        end, position = _end(text, match)
        grid, heads = _grid(text[match.end() : end], match[1])
        if grid:
            table = RawTable(
                cells=rectangular(grid),
                line=text.count("\n", 0, match.start()) + 1,
                header_rows=heads,
                caption=_caption(text, match.start(), position),
                headings=tuple(_headings(text[: match.start()])),
            )
            yield table, text.count("\n", 0, position) + 1


def _with_macros(text: str) -> str:
    """Commands without arguments that the source defines itself, put in."""
    macros = {}
    for match in re.finditer(
        r"\\(?:(?:re)?newcommand\*?\s*\{?\s*\\(\w+)\s*\}?|def\s*\\(\w+))\s*\{", text
    ):
        content, _ = argument(text, match.end() - 1)
        name = match[1] or match[2]
        if "#" not in content and f"\\{name}" not in content:
            macros[name] = content
    for name, content in macros.items():
        text = re.sub(
            rf"(?<!newcommand)(?<!newcommand\{{)(?<!def)\\{name}(?![A-Za-z])(?:\{{\}})?",
            lambda _, content=content: content,  # type: ignore[misc]
            text,
        )
    return text


def _end(text: str, begin: re.Match[str]) -> tuple[int, int]:
    """Where the environment's content ends, and the place behind it."""
    depth = 1
    for match in re.finditer(rf"\\(begin|end)\{{{_NAMES}\}}", text[begin.end() :]):
        depth += 1 if match[1] == "begin" else -1
        if depth == 0:
            return begin.end() + match.start(), begin.end() + match.end()
    return len(text), len(text)


def _caption(text: str, start: int, end: int) -> str:
    """The caption of the float around a table; of several, the one that belongs to it."""
    float_start = max(text.rfind(f"\\begin{{{kind}", 0, start) for kind in ("table", "wraptable"))
    if float_start < 0 or re.search(r"\\end\{(?:wrap)?table", text[float_start:start]):
        return ""
    close = re.search(r"\\end\{(?:wrap)?table", text[end:])
    float_end = end + close.start() if close else len(text)
    body = text[float_start:float_end]
    captions = [
        argument(body, optional(body, match.end()))[0]
        for match in re.finditer(r"\\(?:sub)?caption(?:of\{table\})?\*?\s*(?=[\[{])", body)
    ]
    tables = list(_BEGIN.finditer(body))
    own = [index for index, match in enumerate(tables) if float_start + match.start() == start]
    if len(captions) == len(tables) > 1 and own:
        return to_text(captions[own[0]])
    return to_text(" ".join(captions))


def _headings(text: str) -> Iterator[str]:
    found = [to_text(argument(text, match.end() - 1)[0]) for match in _SECTION.finditer(text)]
    yield from found[-1:]


def _grid(body: str, name: str) -> tuple[list[list[Cell]], int | None]:
    start = optional(body, 0)
    for _ in range(2 if name in _WITH_WIDTH else 1):
        if body.startswith("{", start):
            _, start = argument(body, start)
            start = optional(body, start)
    body = re.sub(rf"\\begin\{{{_NAMES}\}}(?:\[[^]]*\])?\{{[^}}]*\}}", "{", body[start:])
    body = re.sub(rf"\\end\{{{_NAMES}\}}", "}", body)
    builder = GridBuilder(placeholders=True)
    rules: list[int] = []
    for row in _split(body, "\\\\"):
        content, rule = _without_rules(row)
        if rule:
            rules.append(len(builder.rows))
        if content.strip():
            builder.add([_span(cell) for cell in _split(content, "&")])
    inner = [rule for rule in rules if 0 < rule < len(builder.rows)]
    return builder.rows, inner[0] if inner else None


def _without_rules(row: str) -> tuple[str, bool]:
    """A row without the lines and colours before it, and whether a whole line was among them."""
    row = re.sub(r"^\s*\[[^]]*\]|^\s*\*(?=\s)", "", row)
    full = False
    while (match := _RULE.match(row)) is not None:
        full = full or match["full"] is not None
        end = match.end()
        while row.startswith("{", end):
            _, end = argument(row, end)
        row = row[end:]
    return row, full


def _split(text: str, separator: str) -> list[str]:
    """Parts at the separator, braces left whole."""
    parts, depth, last, index = [], 0, 0, 0
    while index < len(text):
        if depth == 0 and text.startswith(separator, index):
            parts.append(text[last:index])
            index += len(separator)
            last = index
            continue
        if text[index] == "\\":
            index += 2
            continue
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        index += 1
    return [*parts, text[last:]]


def _span(cell: str) -> Span:
    columns = rows = 1
    cell = cell.strip()
    while (match := re.match(r"\\multi(column|row)\s*(?:\[[^]]*\])?\s*(?=\{)", cell)) is not None:
        number, end = argument(cell, match.end())
        _, end = argument(cell, optional(cell, end)) if "{" in cell[end:] else ("", end)
        content, _ = argument(cell, optional(cell, end)) if "{" in cell[end:] else ("", end)
        size = int(number) if number.strip().isdigit() else 1
        columns, rows = (size, rows) if match[1] == "column" else (columns, size)
        cell = content.strip()
    return Span(to_text(re.sub(r"\\\\(?:\[[^]]*\])?|&", " ", cell)), columns, rows)
