"""Names that act: they ring, clear, end lines, turn the direction, calculate, or are markup.

Classes, arms, files and tables are called so, and every verb that says or writes such names is run.
Each name is one injection for each verb; it is inert where no control is in what is printed and in
no text that is written, no cell of a table begins a formula, and no page has its markup.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .children import Ended, run, temporary_folder
from .kills import LIMIT, environment
from .photos import TINY, write_photos
from .tally import Tally

CONTROLS = {
    **{f"U+{n:04X}": chr(n) for n in range(1, 32)},
    "U+007F": "\x7f",
    **{f"U+{n:04X}": chr(n) for n in range(0x80, 0xA0)},
    **{f"U+{n:04X}": chr(n) for n in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))},
    "U+2028": "\u2028",
    "U+2029": "\u2029",
    "U+E0041": "\U000e0041",
    "escape sequence": "\x1b[2J\x1b]0;owned\x07",
}
"""What must not be seen as it is, by its name."""
WORDS = {
    "formula =": "=cmd()|'x'!A1",
    "formula +": "+1+1",
    "formula -": "-1+1",
    "formula @": "@SUM(A1)",
    "script": "<script>alert(1)<",
    "image": "<img src=x onerror=alert(1)>",
    "attribute": '" onmouseover="alert(1)',
    "template": "{{ 7 * 7 }}{% if 1 %}",
    "shell": "$(touch owned)`touch owned`",
    "latex": "\\input{x}&%#_$",
    "markdown": "[x](javascript:alert(1))|`",
}
"""What must be text, and nothing else."""
TEXTS = (".html", ".csv", ".svg", ".md", ".tex", ".txt")
"""What people and their tools read; records (JSON, TOML) keep names exactly as they are."""
EXACT = ("fix.csv", "pairs.csv")
"""Tables that are read again keep names as they are, in quotes."""
BARE = re.compile(r"<script>alert|<img src=x|\" onmouseover=\"alert")
CONTROL = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029\U000e0041]")


def verbs(images: str) -> dict[str, tuple[str, ...]]:
    """The verbs that say names, in the order in which they are run."""
    return {
        "check": ("check", images, "--out", "C"),
        "compare": ("compare", images, *TINY, "--out", "S"),
        "status": ("status", "S"),
        "predict": ("predict", "S", images, "--out", "p.csv"),
        "predict on the terminal": ("predict", "S", images),
        "explain": ("explain", "S", "--images", "1", "--arms", "bn,gn"),
        "stress": ("stress", "S", "--changes", "blur"),
        "audit": ("audit", "table.csv", "table.md", "--html", "audit.html"),
        "course-report": ("course-report", "S"),
    }


def torture(number: int, seed: int, say: Callable[[str], None]) -> list[Tally]:
    """Names in groups of up to ten classes until so many pairs of name and verb are tried."""
    random = np.random.default_rng(seed)
    names = [*CONTROLS.items(), *WORDS.items()]
    order = [names[place] for place in random.permutation(len(names))]
    tally = Tally("injections", seed)
    size = min(10, -(-number // len(verbs(""))))
    for start in range(0, len(order), size):
        if tally.tried >= number:
            break
        try_names(dict(order[start : start + size]), tally, say)
    return [tally]


def try_names(chosen: dict[str, str], tally: Tally, say: Callable[[str], None]) -> None:
    """One data set whose classes have these names, through all verbs."""
    with temporary_folder() as root:
        classes = [f"{text}{place}" for place, text in enumerate(chosen.values())]
        write_photos(root / "photos", [name.replace("/", "|") for name in classes])
        write_tables(root, classes)
        for verb, command in verbs("photos").items():
            ended = run(command, root, within=LIMIT, environment=environment(root))
            found = faults_of(ended, root)
            for place, (name, text) in enumerate(chosen.items()):
                own = [fault for fault, culprit in found if culprit is None or culprit in text]
                fault = f"{name} in {verb}: {own[0]}" if own else None
                tally.count(fault if place == 0 or own else None, verb)
            say(f"injections: {tally.tried}, {verb}")


def write_tables(root: Path, names: list[str]) -> None:
    """Tables of results whose arms have these names."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("norm", "accuracy"))
    writer.writerows((name, f"{80 + place / 10:.1f}") for place, name in enumerate(names))
    (root / "table.csv").write_text(buffer.getvalue(), encoding="utf-8", newline="")
    lines = ["| norm | accuracy |", "|---|---|"]
    for place, name in enumerate(names):
        cell = re.sub("[\r\n|\u2028\u2029\x0b\x0c\x1c-\x1e\x85]", "", name)
        lines.append(f"| {cell} | {80 + place / 10:.1f} |")
    (root / "table.md").write_text("\n".join(lines), encoding="utf-8")


def faults_of(ended: Ended, root: Path) -> list[tuple[str, str | None]]:
    """What is not inert, with the control that it is; None where it cannot be said whose it is."""
    if ended.code != 0:
        return [(f"exit {ended.code}: {(ended.err or ended.out)[-200:]!r}", None)]
    found: list[tuple[str, str | None]] = []
    for match in CONTROL.finditer(ended.out + ended.err):
        found.append((f"{match[0]!r} is printed", match[0]))  # noqa: PERF401
    for path in root.rglob("*"):
        if not is_written(path, root):
            continue
        text = path.read_bytes().decode("utf-8", "replace")
        where = path.relative_to(root)
        if path.name not in EXACT:
            found += [(f"{c!r} is in {where}", c) for c in sorted(set(CONTROL.findall(text)))]
        if path.suffix in (".html", ".svg") and (bare := BARE.search(text)):
            found.append((f"{bare[0]!r} is in {where}", bare[0]))
        if path.suffix == ".csv" and path.name not in EXACT:
            found += [(f"{cell!r} is in {where}", cell) for cell in formulas(text)]
    found += [("a command of the shell was run", "touch") for _ in root.rglob("owned")]
    return found


def is_written(path: Path, root: Path) -> bool:
    """Whether a file is text that a command has written for people."""
    inside = path.relative_to(root).parts[0]
    return path.suffix in TEXTS and path.is_file() and inside in ("C", "S", "p.csv", "audit.html")


def formulas(text: str) -> list[str]:
    """Cells that a spreadsheet would compute; numbers are none."""
    number = re.compile(r"[+-]?[\d.]+(e[+-]?\d+)?%?")
    cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
    return [c for c in cells if c and c[0] in "=@\t\r+-" and not number.fullmatch(c)]
