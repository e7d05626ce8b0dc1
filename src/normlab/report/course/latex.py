"""The document: text that every engine of TeX sets, tables, figures."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

from normlab.report.export.formats import escape_latex, to_latex
from normlab.report.export.table import Table

_MATHS = {
    "≥": r"$\geq$", "≤": r"$\leq$", "→": r"$\to$", "≈": r"$\approx$", "γ": r"$\gamma$",
    "β": r"$\beta$", "ε": r"$\varepsilon$", "μ": r"$\mu$", "σ": r"$\sigma$", "Δ": r"$\Delta$",
    "·": r"$\cdot$", "…": r"\ldots{}", "√": r"$\surd$", "∞": r"$\infty$", "²": r"$^2$",
}  # fmt: skip
BREAK = "\\clearpage\n"
PREAMBLE = r"""\documentclass[11pt,a4paper]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\usepackage[margin=2.2cm]{geometry}
\usepackage{booktabs}
\usepackage{graphicx}
\usepackage[hidelinks]{hyperref}
\setlength{\emergencystretch}{3em}
"""


def latex_text(text: str) -> str:
    r"""Text that pdflatex sets too: what it has no letter for loses its accent, or is a box.

    >>> print(latex_text("50 % ≥ a_b"))
    50 \% $\geq$ a\_b
    """
    return "".join(_letter(c) for c in escape_latex(text))


def _letter(character: str) -> str:
    if character in _MATHS:
        return _MATHS[character]
    if ord(character) < 0x180:
        return character
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or r"$\Box$"


def section(title: str, body: str) -> str:
    """A section, before which all floats are set; `document` puts the first below the title."""
    return f"{BREAK}\\section{{{latex_text(title)}}}\n{body}"


def listed(lines: Sequence[str]) -> str:
    """Sentences as a list."""
    items = "\n".join(f"  \\item {latex_text(line)}" for line in lines)
    return f"\\begin{{itemize}}\n{items}\n\\end{{itemize}}" if lines else ""


def table(found: Table) -> str:
    """A table where it stands, with a number of its own."""
    set_ = "".join(c if ord(c) < 0x180 else _letter(c) for c in to_latex(found))
    lines = [line for line in set_.splitlines() if not line.startswith("%")]
    text = "\n".join(lines).replace(r"\begin{table}", r"\begin{table}[htbp]", 1)
    if found.slug.startswith("table-"):
        number = int(found.slug.removeprefix("table-")) - 1
        return f"\\setcounter{{table}}{{{number}}}\n{text}"
    return text


def figure(path: str, caption: str, width: float = 1.0) -> str:
    """A picture with its caption."""
    return (
        "\\begin{figure}[htbp]\n  \\centering\n"
        f"  \\includegraphics[width={width:g}\\linewidth]{{{path}}}\n"
        f"  \\caption{{{latex_text(caption)}}}\n\\end{{figure}}"
    )


def document(title: str, parts: Sequence[str], facts: Mapping[str, str]) -> str:
    """The whole file."""
    head = f"\\title{{{latex_text(title)}}}\n\\author{{}}\n\\date{{}}"
    rows = "\n".join(
        f"\\item[{latex_text(name)}] {latex_text(value)}" for name, value in facts.items()
    )
    about = f"\\begin{{description}}\n{rows}\n\\end{{description}}" if facts else ""
    body = "\n\n".join(part for part in (about, *parts) if part).replace(BREAK, "", 1)
    return f"{PREAMBLE}{head}\n\\begin{{document}}\n\\maketitle\n{body}\n\\end{{document}}\n"
