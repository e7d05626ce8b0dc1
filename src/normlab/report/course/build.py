"""Write the folder: report.tex, tables/, figures/, and report.pdf where there is an engine.

STUDY/course-report/  report.tex  tables/*.tex,*.csv,*.md  figures/*.pdf,*.png,*.svg
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from normlab.errors import StorageError
from normlab.records.store import atomic_write
from normlab.report.course import latex
from normlab.report.course.curves import course_figures
from normlab.report.course.tables import course_tables
from normlab.report.explanation import MappedClass, read_explanation
from normlab.report.export.write import write_figures, write_table
from normlab.stats.data.reading import StudyRecords, read_study
from normlab.stats.summary.analysis import Analysis, analyse_study
from normlab.stats.summary.methods import methods_paragraph
from normlab.stats.summary.recommendation import recommend
from normlab.stats.summary.words.analysis_words import AnalysisWords, study_words
from normlab.text import count, shell_command

ENGINES: tuple[tuple[str, ...], ...] = (
    ("tectonic", "report.tex"),
    ("pdflatex", "-interaction=batchmode", "-no-shell-escape", "report.tex"),
    ("xelatex", "-interaction=batchmode", "-no-shell-escape", "report.tex"),
)
SECONDS = 180
"""An engine has for a pass."""
GALLERY = 7
"""Classes that the course asks for."""


@dataclass(frozen=True)
class CourseReport:
    """What was written."""

    document: Path
    pdf: Path | None
    tables: tuple[str, ...]
    figures: int
    missing: tuple[str, ...]
    """What the studies lack for the rest, and the command that makes it."""


def build_course_report(folders: Sequence[Path], out: Path | None = None) -> CourseReport:
    """Write the course's report of one or more studies.

    Args:
        folders: of the studies; the first one's verdict and analysis are told.
        out: the folder of the report; course-report/ in the first study by default.

    Raises:
        PlanError: there is no study.
        StorageError: the folder cannot be written.
    """
    studies = [read_study(folder) for folder in folders]
    out = out or folders[0] / "course-report"
    tables, missing = course_tables(studies)
    for one in tables:
        write_table(one, out / "tables")
    figures: dict[str, tuple[str, str]] = {}
    for number, folder in enumerate(folders):
        prefix = "" if number == 0 else f"study{number + 1}-"
        figures |= {f"{prefix}{name}": found for name, found in course_figures(folder).items()}
    write_figures({name: svg for name, (_, svg) in figures.items()}, out / "figures")
    gallery, lacking = _gallery(folders[0], out / "figures")
    parts = [
        *(_analysis(study) for study in studies),
        latex.section("Tables", "\n\n".join(map(latex.table, tables))) if tables else "",
        latex.section(
            "Curves",
            "\n\n".join(
                latex.figure(f"figures/{name}.pdf", said) for name, (said, _) in figures.items()
            ),
        )
        if figures
        else "",
        gallery,
    ]
    plan = studies[0].plan
    facts = {"Data": plan.data.source, "Network": str(plan.training.network)}
    text = latex.document(f"Normalization in a residual network: {plan.name}", parts, facts)
    atomic_write(out / "report.tex", text.encode())
    pdf = compile_pdf(out)
    names = tuple(one.slug for one in tables)
    return CourseReport(out / "report.tex", pdf, names, len(figures), (*missing, *lacking))


def _analysis(study: StudyRecords) -> str:
    analysis = analyse_study(study)
    words = study_words(study, analysis)
    body = [latex.latex_text(methods_paragraph(analysis, study.runs))]
    body += _verdicts(analysis, study)
    body += _words(words)
    return latex.section(
        f"Analysis: {study.folder.resolve().name}", "\n\n".join(part for part in body if part)
    )


def _verdicts(analysis: Analysis, study: StudyRecords) -> list[str]:
    found = []
    for setting in analysis.settings:
        lines = [f"{m}: {a}{why and f'; {why}'}" for m, a, why in recommend(setting, "").lines]
        found.append(f"\\subsection*{{Verdict: {latex.latex_text(setting.setting.label)}}}")
        found.append(latex.listed(lines))
    findings = [f"{one.code}: {one.title}" for one in analysis.findings]
    if findings:
        found += ["\\subsection*{Checks that were not passed}", latex.listed(findings)]
    return found


def _words(words: AnalysisWords) -> list[str]:
    """Every sentence with the evidence that it states."""
    found = [latex.latex_text(words.rule)]
    if words.across:
        found += ["\\subsection*{Across settings}", latex.listed([w.text for w in words.across])]
    for one in words.settings:
        label = latex.latex_text(one.setting)
        for name, group in (("What is seen", one.seen), ("Why it may be so", one.why)):
            if group:
                found.append(f"\\subsection*{{{name}: {label}}}")
                found.append(latex.listed([statement.text for statement in group]))
    if words.tries:
        found += ["\\subsection*{What to try}", latex.listed([w.text for w in words.tries])]
    return found


def _gallery(study: Path, figures: Path) -> tuple[str, tuple[str, ...]]:
    """Grad-CAM of the best network: right and wrong pictures of some classes."""
    explanation = None
    with contextlib.suppress(StorageError):
        explanation = read_explanation(study)
    if explanation is None or not explanation.classes:
        return "", (f"The galleries need: {shell_command('explain', study, '--images', 5)}",)
    parts = []
    for number, one in enumerate(explanation.classes[:GALLERY], start=1):
        name = f"gallery-{number:02d}.png"
        sheet = _sheet(one, study / "explain")
        if sheet is not None:
            figures.mkdir(parents=True, exist_ok=True)
            sheet.save(figures / name)
            right, wrong = (count(len(k), "picture") for k in (one.correct, one.incorrect))
            caption = (
                f"{one.name}: {right} classified correctly (above) and {wrong} incorrectly "
                "(below); gradient of the true class, last stage averaged."
            )
            parts.append(latex.figure(f"figures/{name}", caption))
    return (latex.section("Grad-CAM", "\n\n".join(parts)) if parts else ""), ()


TILE = 240


def _sheet(one: MappedClass, folder: Path) -> Image.Image | None:
    """The overlays of the first arm: a row of right ones, a row of wrong ones."""
    rows = [[p.maps[0].overlay for p in kind if p.maps] for kind in (one.correct, one.incorrect)]
    rows = [row for row in rows if row]
    if not rows:
        return None
    wide = max(map(len, rows))
    sheet = Image.new("RGB", (wide * TILE, len(rows) * TILE), "white")
    for y, row in enumerate(rows):
        for x, name in enumerate(row):
            with contextlib.suppress(OSError), Image.open(_found(folder, name)) as picture:
                tile = ImageOps.contain(picture.convert("RGB"), (TILE - 8, TILE - 8))
                sheet.paste(tile, (x * TILE + 4, y * TILE + 4))
    return sheet


def _found(folder: Path, name: str) -> Path:
    """A file that the explanation names, in its folder or one below."""
    return next((path for path in (folder / name, folder / "pictures" / name) if path.exists()),
                folder / name)  # fmt: skip


def compile_pdf(folder: Path) -> Path | None:
    """report.pdf by the first engine that is here; None where there is none, or it fails."""
    for command in ENGINES:
        if shutil.which(command[0]) is None:
            continue
        try:
            for _ in range(1 if command[0] == "tectonic" else 2):
                subprocess.run(
                    command, cwd=folder, capture_output=True, timeout=SECONDS, check=True
                )
        except (subprocess.SubprocessError, OSError):
            continue
        for suffix in (".aux", ".log", ".out"):
            (folder / f"report{suffix}").unlink(missing_ok=True)
        return folder / "report.pdf"
    return None
