"""How well the audit tells the possible from the impossible: made tables in every format.

A clean table holds what simulated predictions give, shortened by rounding or cutting off. An
injected one has one cell changed to what no data can give. Printed are recall (the changed cell
is named by the right rule, as certain) and the certain findings in clean tables, all of them false.

    python benchmarks/audit.py [--tables 100] [--seed 0]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from normlab.stats.audit.reading import read_tables
from normlab.stats.audit.rules import AuditReport, audit
from normlab.stats.audit.rules.base import Known

Rows = list[list[str]]
ARMS = ("BN", "GN", "IN", "LN", "BIN", "none", "ResNet-20", "ResNet-56 (k=12)", "FRN + TLU", "SN")
METRIC_NAMES = {
    "loss": ("Loss", "cross-entropy loss"),
    "accuracy": ("Accuracy", "Acc.", "Top-1", "acc@1", "top1"),
    "error": ("Error", "top-1 err.", "Err. (top-1)"),
    "top-5 accuracy": ("Top-5", "acc@5", "top5 accuracy"),
    "micro F1": ("Micro F1", "F1 (micro)", "micro-F1 score"),
    "macro F1": ("Macro F1", "F1 (macro)", "macro-F1"),
}


# --- formats


def markdown(title: str, rows: Rows) -> str:
    """Pipes on both sides."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return f"{title}\n\n" + "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]]) + "\n"


def bare_markdown(title: str, rows: Rows) -> str:
    """Pipes between the cells only."""
    lines = [" | ".join(row) for row in rows]
    return f"## {title}\n\n" + "\n".join([lines[0], " | ".join(["---"] * len(rows[0])), *lines[1:]])


def comma_csv(title: str, rows: Rows) -> str:
    """Commas, cells with commas quoted, under a line of title."""
    quoted = [[f'"{cell}"' if "," in cell else cell for cell in row] for row in rows]
    return "\n".join([f'"{title}"', *(",".join(row) for row in quoted)]) + "\n"


def semicolon_csv(title: str, rows: Rows) -> str:
    """Semicolons and decimal commas."""
    body = [[row[0], *(cell.replace(".", ",") for cell in row[1:])] for row in rows[1:]]
    return "\n".join([title, *(";".join(row) for row in [rows[0], *body])]) + "\n"


def tabs(title: str, rows: Rows) -> str:
    """A file of tabs."""
    return "\n".join([title, *("\t".join(row) for row in rows)]) + "\n"


def latex(title: str, rows: Rows) -> str:
    """Booktabs; the figures under one merged head."""
    cells = [[cell.replace("%", r"\%").replace("±", r"$\pm$") for cell in row] for row in rows]
    cells[1][1] = rf"\textbf{{{cells[1][1]}}}"
    lines = [" & ".join(row) + r" \\" for row in cells]
    width = len(rows[0])
    return "\n".join(
        [
            rf"\begin{{table}}\caption{{{title.replace('%', chr(92) + '%')}}}",
            rf"\begin{{tabular}}{{l{'c' * (width - 1)}}} \toprule",
            rf" & \multicolumn{{{width - 1}}}{{c}}{{Results}} \\ \cmidrule(lr){{2-{width}}}",
            lines[0] + r" \midrule",
            *lines[1:],
            r"\bottomrule \end{tabular} \end{table}",
        ]
    )


def html(title: str, rows: Rows) -> str:
    """A caption, heads in `th`, a merged head above them."""
    top = f'<tr><th rowspan="2">{rows[0][0]}</th><th colspan="{len(rows[0]) - 1}">Results</th></tr>'
    heads = "".join(f"<th>{cell}</th>" for cell in rows[0][1:])
    body = "\n".join(
        "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows[1:]
    )
    return f"<table><caption>{title}</caption>{top}<tr>{heads}</tr>\n{body}</table>\n"


def rest(title: str, rows: Rows) -> str:
    """A simple table of reStructuredText."""
    widths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]))]
    border = "  ".join("=" * width for width in widths)
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([title, "", border, lines[0], border, *lines[1:], border, ""])


def rest_list(title: str, rows: Rows) -> str:
    """A `list-table` of reStructuredText."""
    lines = [f".. list-table:: {title}", "   :header-rows: 1", ""]
    for row in rows:
        lines += [f"   {'* -' if n == 0 else '  -'} {cell}" for n, cell in enumerate(row)]
    return "\n".join([*lines, ""])


def text_tabs(title: str, rows: Rows) -> str:
    """Running text with tabs."""
    return "\n".join(
        ["Some words.", "", f"Table 3: {title}", *("\t".join(row) for row in rows), ""]
    )


def text_spaces(title: str, rows: Rows) -> str:
    """Running text in columns of spaces."""
    widths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]))]
    lines = ["   ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(["Words.", "", f"Table 3: {title}", "", *lines, "", "More words."])


def text_single(title: str, rows: Rows) -> str:
    """Running text with single spaces, as it is copied out of a PDF."""
    return "\n".join([f"Table 3. {title}", *(" ".join(row) for row in rows), ""])


FORMATS: dict[str, tuple[str, Callable[[str, Rows], str]]] = {
    "markdown": (".md", markdown),
    "markdown, bare pipes": (".md", bare_markdown),
    "html in markdown": (".md", html),
    "csv": (".csv", comma_csv),
    "csv, decimal commas": (".csv", semicolon_csv),
    "tsv": (".tsv", tabs),
    "latex": (".tex", latex),
    "html": (".html", html),
    "rst": (".rst", rest),
    "rst, list-table": (".rst", rest_list),
    "text, tabs": (".txt", text_tabs),
    "text, spaces": (".txt", text_spaces),
    "text, single spaces": (".txt", text_single),
}


# --- tables


@dataclass(frozen=True)
class Made:
    """A made table: numbers by arm and metric, and how they are printed."""

    arms: tuple[str, ...]
    values: dict[str, dict[str, float]]
    heads: dict[str, str]
    title: str
    images: int
    runs: int
    percent: bool
    decimals: int
    cut: bool
    transposed: bool
    known: Known
    signed: tuple[str, str] = ("", "")
    """The one cell that is printed with a per cent sign."""
    fault: str = ""
    place: tuple[str, str] = ("", "")
    replaced: dict[tuple[str, str], str] = field(default_factory=dict)

    def printed(self, arm: str, metric: str) -> str:
        """A number as the table prints it."""
        if (arm, metric) in self.replaced:
            return self.replaced[arm, metric]
        value = self.values[arm][metric]
        if (arm, metric) == self.signed:
            return replace(self, percent=True).shortened(value) + "%"
        return self.shortened(value, share=metric != "loss")

    def shortened(self, value: float, *, share: bool = True) -> str:
        """A number rounded or cut off; a share perhaps as per cent."""
        decimals = self.decimals - 2 if share and self.percent else self.decimals
        scale = 100 if share and self.percent else 1
        if self.cut and share:
            steps = int(value * scale * 10**decimals + 1e-7)
            return f"{steps / 10**decimals:.{decimals}f}"
        return f"{value * scale + 1e-12:.{decimals}f}"

    def rows(self) -> Rows:
        """Heads and cells."""
        grid = [["norm", *self.heads.values()]]
        grid += [[arm, *(self.printed(arm, m) for m in self.heads)] for arm in self.arms]
        return [list(row) for row in zip(*grid, strict=True)] if self.transposed else grid


def make(generator: np.random.Generator) -> Made:
    """One clean table, simulated image by image."""
    classes = int(generator.choice([2, 5, 10, 25]))
    per_class = int(generator.choice([7, 20, 60, 150, 300]))
    images, runs = classes * per_class, int(generator.choice([1, 1, 1, 3]))
    count = int(generator.integers(4, 9))
    arms = tuple(generator.permutation(ARMS)[:count].tolist())
    values = {arm: _simulate(generator, classes, per_class, runs) for arm in arms}
    kind = generator.integers(3)
    metrics = (
        ["accuracy", "top-5 accuracy"] if kind == 0 and classes > 5
        else ["error", "accuracy"] if kind == 1
        else ["loss", "accuracy", "micro F1", "macro F1"]
    )  # fmt: skip
    heads = {metric: str(generator.choice(METRIC_NAMES[metric])) for metric in metrics}
    part = str(generator.choice(["Validation results", "Test results", "Results on the test set"]))
    alone = (arms[0], metrics[-1]) if generator.integers(4) == 0 else ("", "")
    return Made(
        arms,
        values,
        heads,
        title=part + (f" (mean of {runs} runs)" if runs > 1 else ""),
        images=images,
        runs=runs,
        percent=bool(generator.integers(2)),
        decimals=4 if images * runs < 4_000 else 5,
        cut=bool(generator.integers(3) == 0),
        transposed=bool(generator.integers(4) == 0),
        known=Known(images=images, balanced=True),
        signed=alone,
    )


def _simulate(
    generator: np.random.Generator, classes: int, per_class: int, runs: int
) -> dict[str, float]:
    """The figures of one arm: means over runs of what its predictions give."""
    level = generator.uniform(0.4, 0.98)
    rows = []
    for _ in range(runs):
        truth = np.repeat(np.arange(classes), per_class)
        right = generator.random(len(truth)) < level * generator.uniform(0.8, 1, classes)[truth]
        wrong = (truth + generator.integers(1, classes, len(truth))) % classes
        guess = np.where(right, truth, wrong)
        top5 = right | (generator.random(len(truth)) < 0.5)
        hits = np.bincount(truth[right], minlength=classes)
        f1 = 2 * hits / (per_class + np.bincount(guess, minlength=classes))
        accuracy = right.mean()
        rows.append([accuracy, 1 - accuracy, top5.mean(), accuracy, f1.mean()])
    accuracy, error, top5_mean, micro, macro = np.mean(rows, axis=0).tolist()
    loss = float(generator.uniform(0.1, 2.0))
    return {
        "accuracy": accuracy, "error": error, "top-5 accuracy": top5_mean, "micro F1": micro,
        "macro F1": macro, "loss": loss,
    }  # fmt: skip


def inject(made: Made, generator: np.random.Generator) -> Made:
    """The table with one cell that no data can give."""
    arm = str(generator.choice(made.arms))
    faults: list[tuple[str, str, float]] = []
    own = made.values[arm]
    if "micro F1" in made.heads:
        step = 10.0 ** (2 - made.decimals)
        faults.append(("AU02", "micro F1", own["accuracy"] + generator.choice([-1, 1]) * step))
        low = 2 * own["accuracy"] ** 2 / (1 + own["accuracy"])
        faults.append(("AU03", "macro F1", low - generator.uniform(0.01, 0.1)))
    if "error" in made.heads:
        faults.append(("AU11", "error", own["error"] + generator.uniform(0.005, 0.02)))
    if "top-5 accuracy" in made.heads:
        faults.append(("AU10", "top-5 accuracy", own["accuracy"] - generator.uniform(0.01, 0.1)))
    faults.append(("AU12", "accuracy", 1 + generator.uniform(0.01, 0.5)))
    count = _no_count(made, own["accuracy"])
    if count is not None and generator.integers(2):
        faults = [("AU01", "accuracy", count)]
    code, metric, value = faults[int(generator.integers(len(faults)))]
    text = replace(made, cut=False).shortened(value)
    return replace(made, fault=code, place=(arm, metric), replaced={(arm, metric): text})


def _no_count(made: Made, near: float) -> float | None:
    """A value near by that neither rounding nor cutting off makes of a count."""
    unit, total = 10.0**-made.decimals, made.images * made.runs
    first = round(near / unit)
    for step in range(1, 200):
        value = (first + step) * unit
        low, high = (value - unit / 2 - 1e-7) * total, (value + unit + 1e-7) * total
        if np.ceil(low) > np.floor(high) and value < 1:
            return value
    return None


# --- measuring


def written(made: Made, form: str, folder: Path) -> Path:
    """The table as a file of that format."""
    suffix, render = FORMATS[form]
    if form == "text, single spaces":  # names of several words are no heads there
        made = replace(made, transposed=False)
    path = folder / f"table{suffix}"
    path.write_text(render(made.title, made.rows()), encoding="utf-8")
    return path


def audited(made: Made, form: str, folder: Path) -> AuditReport:
    """What the audit finds in the table, through a file."""
    return audit(read_tables(written(made, form, folder)), made.known)


def found(made: Made, report: AuditReport) -> bool:
    """Whether the changed cell is named, by its rule and as certain."""
    arm, _ = made.place
    text = made.replaced[made.place].replace(".", ",")
    return any(
        one.code == made.fault
        and one.row.startswith(arm)
        and text in [value.rstrip("%").replace(".", ",") for value in one.values]
        for one in report.certain
    )


def measure(tables: int, seed: int) -> dict[str, Counter[str]]:
    """Clean and injected tables by format and by rule: how many, found, falsely found."""
    generator = np.random.default_rng(seed)
    forms: Sequence[str] = tuple(FORMATS)
    result: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as name:
        for number in range(tables):
            form = forms[number % len(forms)]
            clean = make(generator)
            false = audited(clean, form, Path(name)).certain
            changed = inject(make(generator), generator)
            hit = found(changed, audited(changed, form, Path(name)))
            for key in (form, changed.fault, "all"):
                row = result.setdefault(key, Counter())
                row["injected"] += 1
                row["found"] += hit
                if key != changed.fault:
                    row["clean"] += 1
                    row["false"] += len(false)
    return result


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tables", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    start = time.perf_counter()
    result = measure(given.tables, given.seed)
    print(f"{'':24}{'clean':>8}{'false':>8}{'injected':>10}{'recall':>8}")
    for key, row in result.items():
        recall = row["found"] / max(row["injected"], 1)
        clean = (str(row["clean"]), str(row["false"])) if row["clean"] else ("", "")
        print(f"{key:24}{clean[0]:>8}{clean[1]:>8}{row['injected']:>10}{recall:>8.3f}")
    print(f"{time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
