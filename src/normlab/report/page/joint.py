"""Several studies in one page: the same arms on several data sets, and a summary over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from normlab._version import __version__
from normlab.errors import UsageError
from normlab.records.store import atomic_write
from normlab.report.charts.colours import Stroke, strokes
from normlab.report.export.formats import NOTHING
from normlab.report.page.render import render
from normlab.stats.data.metrics import LABELS, format_difference, format_value, unit
from normlab.stats.data.reading import StudyRecords, read_study
from normlab.stats.inference.across_datasets import DatasetsRow, over_datasets
from normlab.stats.summary.analysis import Analysis, SettingAnalysis, analyse_study
from normlab.text import count


@dataclass(frozen=True)
class JointCell:
    """One arm on one data set."""

    value: str
    difference: str
    interval: str
    decision: str


@dataclass(frozen=True)
class JointRow:
    """One arm over all data sets, as it is printed."""

    arm: str
    cells: tuple[JointCell, ...]
    mean: str
    interval: str
    n: int
    signs: str
    sign_p: str


@dataclass(frozen=True)
class JointView:
    """One comparison over data sets: a setting that the studies share."""

    title: str
    names: tuple[str, ...]
    """The names of the data sets."""
    settings: tuple[str, ...]
    """The setting in each."""
    rows: tuple[JointRow, ...]
    reference: JointRow
    sentence: str


@dataclass(frozen=True, eq=False)
class JointContent:
    """All that the joint page says."""

    title: str
    facts: str
    warnings: tuple[str, ...]
    metric: str
    unit: str
    reference: str
    strokes: dict[str, Stroke]
    views: tuple[JointView, ...]
    sentences: tuple[tuple[str, str, str], ...]
    """Study, setting and verdict of each."""
    data: dict[str, object]
    version: str


def build_joint_report(folders: Sequence[Path], out: Path) -> Path:
    """Write out/index.html over several studies, and give its path.

    Raises:
        PlanError: a folder has no study.toml, or it cannot be used.
        UsageError: the studies are not judged by the same metric and reference.
        StorageError: the page cannot be written.
    """
    studies = [read_study(folder) for folder in folders]
    content = joint_content(studies)
    page = out / "index.html"
    atomic_write(page, render("joint.html.j2", ("page.css",), page=content).encode())
    return page


def joint_content(studies: Sequence[StudyRecords]) -> JointContent:
    """Everything that the joint page prints."""
    rules = [study.plan.analysis for study in studies]
    for name in ("metric", "reference"):
        found = list(dict.fromkeys(getattr(rule, name) for rule in rules))
        if len(found) > 1:
            raise UsageError(
                f"the studies are judged by different {name}s ({', '.join(found)}); join those of "
                "one plan only"
            )
    analyses = [analyse_study(study) for study in studies]
    arms = dict.fromkeys(r.arm for a in analyses for s in a.settings for r in s.rows)
    reference = rules[0].reference
    names = study_names(studies)
    views = tuple(
        _view(title, [(names[index], one) for index, one in group], reference)
        for title, group in shared_settings(analyses)
    )
    return JointContent(
        title=" · ".join(names),
        facts=f"{count(len(studies), 'data set')}, {count(len(arms), 'norm')}, reference "
        f"{reference}",
        warnings=_warnings(studies, names, views),
        metric=LABELS[rules[0].metric],
        unit=unit(rules[0].metric),
        reference=reference,
        strokes=strokes(list(arms)),
        views=views,
        sentences=tuple(
            (name, one.setting.label, one.verdict.sentence)
            for name, analysis in zip(names, analyses, strict=True)
            for one in analysis.settings
        ),
        data={"arms": list(arms), "tables": {}},
        version=__version__,
    )


def study_names(studies: Sequence[StudyRecords]) -> list[str]:
    """The name of every study; where two share one, the folder beside it."""
    plain = [study.plan.name for study in studies]
    return [
        name if plain.count(name) == 1 else f"{name} ({study.folder.name})"
        for name, study in zip(plain, studies, strict=True)
    ]


def shared_settings(
    analyses: Sequence[Analysis],
) -> list[tuple[str, list[tuple[int, SettingAnalysis]]]]:
    """The comparisons that can be made: (title, [(number of the study, its setting)]).

    Studies of one setting each are compared whatever it is, since a good learning rate is the data
    set's own; otherwise only settings that at least two studies have are.
    """
    if all(len(analysis.settings) == 1 for analysis in analyses):
        return [("", [(i, analysis.settings[0]) for i, analysis in enumerate(analyses)])]
    groups: dict[str, list[tuple[int, SettingAnalysis]]] = {}
    for index, analysis in enumerate(analyses):
        for one in analysis.settings:
            groups.setdefault(one.setting.label, []).append((index, one))
    return [(label, group) for label, group in groups.items() if len(group) > 1]


def _view(title: str, group: Sequence[tuple[str, SettingAnalysis]], reference: str) -> JointView:
    settings = [one for _, one in group]
    found = over_datasets(settings, reference)
    metric = settings[0].verdict.metric
    own = tuple(_cell(one, reference, reference) for one in settings)
    return JointView(
        title=title,
        names=tuple(name for name, _ in group),
        settings=tuple(one.setting.label for one in settings),
        rows=tuple(_row(row, settings, reference, metric) for row in found),
        reference=JointRow(reference, own, NOTHING, NOTHING, 0, NOTHING, ""),
        sentence=_sentence(found, reference, metric),
    )


def _cell(one: SettingAnalysis, arm: str, reference: str) -> JointCell:
    metric = one.verdict.metric
    mean = next((row.test[metric].mean for row in one.rows if row.arm == arm), None)
    value = NOTHING if mean is None else format_value(metric, mean)
    if arm == reference:
        return JointCell(value, NOTHING, "", "reference")
    comparison = one.verdict.comparison(arm, reference)
    if comparison is None or comparison.difference.mean is None:
        return JointCell(value, NOTHING, "", "no result" if mean is None else "not compared")
    interval = comparison.difference.interval
    return JointCell(
        value,
        format_difference(metric, comparison.difference.mean),
        "" if interval is None else _interval(metric, interval.low, interval.high),
        comparison.decision,
    )


def _row(
    row: DatasetsRow, settings: Sequence[SettingAnalysis], reference: str, metric: str
) -> JointRow:
    mean, interval = row.over.mean, row.over.interval
    ties = f", {row.ties} equal" if row.ties else ""
    return JointRow(
        arm=row.arm,
        cells=tuple(_cell(one, row.arm, reference) for one in settings),
        mean=NOTHING if mean is None else format_difference(metric, mean),
        interval=NOTHING if interval is None else _interval(metric, interval.low, interval.high),
        n=row.over.n,
        signs=f"{row.better} better, {row.worse} worse{ties}",
        sign_p="" if row.sign_p is None else f"sign test p = {row.sign_p:.2f}",
    )


def _interval(metric: str, low: float, high: float) -> str:
    return f"[{format_difference(metric, low)}, {format_difference(metric, high)}]"


def _sentence(found: Sequence[DatasetsRow], reference: str, metric: str) -> str:
    clear = [
        f"{row.arm} ({format_difference(metric, row.over.mean)})"
        for row in found
        if row.over.mean is not None
        and row.over.interval is not None
        and (row.over.interval.low > 0 or row.over.interval.high < 0)
    ]
    n = max((row.over.n for row in found), default=0)
    if n < 2:
        return f"{count(n, 'data set')} cannot say what another data set would give."
    if not clear:
        return (
            f"Over {count(n, 'data set')} no arm's interval leaves out zero: what differs from "
            f"{reference} here may differ the other way on another data set."
        )
    return (
        f"Over {count(n, 'data set')} the interval of the mean difference to {reference} leaves "
        f"out zero for {', '.join(clear)}"
        "; these intervals are not corrected for the number of arms."
    )


def _warnings(
    studies: Sequence[StudyRecords], names: Sequence[str], views: Sequence[JointView]
) -> tuple[str, ...]:
    found = []
    by_data: dict[str, list[str]] = {}
    for study, name in zip(studies, names, strict=True):
        if study.plan.frozen is not None:
            by_data.setdefault(study.plan.frozen.fingerprint, []).append(name)
        found += [f"{name}: runs/{d.folder} cannot be read: {d.reason}" for d in study.unreadable]
    found += [
        f"{' and '.join(same)} hold the same images: they are not separate data sets, and the "
        "intervals over data sets are too narrow"
        for same in by_data.values()
        if len(same) > 1
    ]
    margins = {study.plan.analysis.margin for study in studies}
    if len(margins) > 1:
        found.append("the studies have different margins; each decision is by its own")
    if not views:
        found.append("no setting stands in two studies, so nothing can be compared over data sets")
    return tuple(found)
