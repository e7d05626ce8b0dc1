"""The content of the page, put together from the records, the analysis and the drawn figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tomli_w
from markupsafe import Markup

from normlab._version import __version__
from normlab.report.charts.axes import as_data, units
from normlab.report.charts.colours import Stroke
from normlab.report.charts.drawing import inline_svg, shown_again
from normlab.report.export.formats import NOTHING, cell_text, to_csv, to_latex, to_markdown
from normlab.report.page.data_checks import read_data_report
from normlab.report.page.page import (
    Answer,
    CurvesView,
    EnsembleSection,
    LayerDiagnosticsView,
    PageContent,
    PageFigure,
    PanelView,
    RobustnessSection,
    SettingView,
    findings_first,
)
from normlab.report.page.pictures import pictures
from normlab.report.page.provenance import (
    facts,
    missing_items,
    next_step,
    provenance,
    run_rows,
    shown_folder,
)
from normlab.report.page.setting_figures import SettingFigures
from normlab.report.page.specs import Specs, flat_specs
from normlab.report.sections.answers import answer, answer_table, block_table, perspective, sentence
from normlab.report.sections.by_setting import WhereFigure, matrix
from normlab.report.sections.cost import HEAD as COST_HEAD
from normlab.report.sections.figures import CurveFigure, DifferenceFigure
from normlab.report.sections.layer_diagnostics import LayerDiagnosticsFigures
from normlab.report.sections.robustness import RobustnessView
from normlab.report.sections.tables import Table
from normlab.stats.data.metrics import LABELS, format_difference, format_value, unit
from normlab.stats.data.reading import StudyRecords
from normlab.stats.summary.analysis import Analysis
from normlab.stats.summary.methods import methods_paragraph

CURVE_ROWS = 10
"""Epochs in the table behind the curves."""

FEATURES = (
    "The penultimate features over the validation part after every epoch: 1st to 99th percentile, "
    "and darker the 20th to the 80th; medians over blocks."
)
COURSES = {
    "gate": "The gates of batch-instance normalization, the mean over the channels of each layer: "
    "1 is the batch's statistics, 0 the instance's own.",
    "mean_gap": "How far the running means, which evaluation uses, are from those of the selection "
    "part, in running standard deviations; a mean over the channels of each layer.",
}
DEPTH = (
    "From the first layer to the last, at the last epoch: the gradient of each convolution's "
    "weights in the last batch, channels that are 0 everywhere, the running means of the figure "
    "above."
)
VALUE_CAPTION = (
    "Every dot is one run; a thin line joins the runs of one block, the upright bar is the mean. "
    "An arrow points to runs beyond the axis; a number beside it is a mean that lies there."
)


def page_content(
    study: StudyRecords,
    analysis: Analysis,
    strokes: Mapping[str, Stroke],
    tables: Sequence[Table],
    drafts: Sequence[SettingFigures],
    where: WhereFigure | None,
    svgs: Mapping[str, str],
    robustness_missing: str = "",
) -> PageContent:
    """Everything that the template prints, as text."""
    step, command = next_step(study, analysis)
    numbers = {arm: number for number, arm in enumerate(strokes)}
    report, why = read_data_report(study.folder)
    specs = flat_specs([run.spec for run in study.runs])
    return PageContent(
        title=study.plan.name,
        facts=facts(study, analysis),
        missing=missing_items(study, analysis),
        metric=LABELS[study.plan.analysis.metric],
        strokes=strokes,
        sentences=tuple(sentence(setting) for setting in analysis.settings),
        answers=tuple(answer_view(one, svgs, numbers) for one in drafts),
        reading=how_to_read(analysis),
        matrix=matrix(analysis, study.plan.analysis.reference),
        where=None if where is None else where_view(where, svgs["where"], analysis),
        curves=tuple(
            curves_view(one.curves, one, svgs, numbers) for one in drafts if not one.curves.is_empty
        ),
        units=units([one.axes for one in drafts]),
        tables=tuple(tables),
        settings=tuple(setting_view(one, svgs) for one in drafts),
        explain=pictures(study.folder, "explain"),
        inside=tuple(
            layer_diagnostics_view(one.inside, svgs) for one in drafts if one.inside is not None
        ),
        ensembles=tuple(
            section for one in drafts if (section := ensemble_section(one, svgs)) is not None
        ),
        stress=tuple(
            robustness_section(one.stress, svgs) for one in drafts if one.stress is not None
        ),
        robustness_missing=robustness_missing,
        data_report=report,
        data_missing=why,
        checks=findings_first(analysis.checks),
        methods=methods_paragraph(analysis, study.runs),
        runs=run_rows(study),
        shared_spec=specs.shared,
        provenance=provenance(study),
        plan_text=tomli_w.dumps(study.plan.model_dump(mode="json", exclude_none=True)),
        next_step=step,
        command=command,
        study=shown_folder(study.folder),
        data=page_data(drafts, strokes, tables, specs),
        version=__version__,
    )


def answer_tables(drafts: Sequence[SettingFigures]) -> tuple[Table, ...]:
    """The answer of every setting, seen from the plan's reference, as a table for a paper."""
    return tuple(
        answer_table(one.analysis, perspective(one.analysis, one.analysis.verdict.reference, None))
        for one in drafts
    )


def page_data(
    drafts: Sequence[SettingFigures],
    strokes: Mapping[str, Stroke],
    tables: Sequence[Table],
    specs: Specs,
) -> dict[str, object]:
    """What the page's script reads; all of it stands in the page as text or figure too."""
    return {
        "arms": list(strokes),
        "axes": {one.slug: as_data(one.axes) for one in drafts if not one.curves.is_empty},
        "confusion": {
            one.slug: {"classes": one.classes.classes, "arms": one.classes.confusion}
            for one in drafts
            if one.classes is not None and one.classes.confusion
        },
        "tables": {
            table.slug: [to_csv(table), to_markdown(table), to_latex(table)]
            for table in (*tables, *answer_tables(drafts))
        },
        "specs": specs.own,
    }


def answer_view(one: SettingFigures, svgs: Mapping[str, str], numbers: Mapping[str, int]) -> Answer:
    """The answer of a setting with its figures."""
    slug = one.slug
    values = None
    if one.values is not None:
        svg = svgs[f"values/{slug}"]
        head, rows = block_table(one.analysis)
        values = PageFigure(
            _inline(svg, f"values-{slug}", one.values.description, numbers),
            VALUE_CAPTION,
            head,
            rows,
        )
    differences = {
        reference: difference_view(
            figure,
            _inline(
                svgs[f"differences/{slug}/{reference}"],
                f"differences-{slug}-{numbers[reference]}",
                figure.description,
                numbers,
            ),
            reference,
            one,
        )
        for reference, figure in one.differences.items()
    }
    return answer(one.analysis, values, differences)


def difference_view(
    figure: DifferenceFigure, svg: Markup, reference: str, one: SettingFigures
) -> PageFigure:
    """The difference plot with its caption and the differences of every block."""
    metric = one.analysis.verdict.metric
    margin = format_difference(metric, one.analysis.verdict.margin).removeprefix("+")
    caption = (
        f"Difference to {reference}: the point is the mean over blocks, the bar its interval, each "
        f"tick one block. The grey band is practical equality (±{margin} {unit(metric)}); an arrow "
        "points to what lies beyond the axis."
    )
    scale = 100.0 if unit(metric) == "points" else 1.0
    rows = [
        (
            str(block),
            *(
                format_difference(metric, row.blocks[block] / scale)
                if block in row.blocks
                else NOTHING
                for row in figure.rows
            ),
        )
        for block in one.analysis.table.blocks
    ]
    return PageFigure(svg, caption, ("block", *(row.arm for row in figure.rows)), rows)


def where_view(figure: WhereFigure, svg: str, analysis: Analysis) -> PageFigure:
    """The plot over settings with the numbers behind it."""
    metric = analysis.plan.analysis.metric
    scale = 100.0 if unit(metric) == "points" else 1.0

    def text(value: float | None) -> str:
        return NOTHING if value is None else format_value(metric, value / scale)

    rows = [
        (
            *(point.rule, str(point.batch_size), point.arm),
            *(text(point.mean), text(point.low), text(point.high)),
        )
        for point in figure.points
    ]
    return PageFigure(
        _inline(svg, "where", figure.description, {}),
        "Mean over blocks with its 95 % t interval; an arm far below the others is cut off.",
        ("optimizer", "batch size", "norm", "mean", "low", "high"),
        rows,
    )


def curves_view(
    figure: CurveFigure, one: SettingFigures, svgs: Mapping[str, str], numbers: Mapping[str, int]
) -> CurvesView:
    """The panels of one setting, and their medians at some epochs."""
    panels = []
    for number, panel in enumerate(figure.panels):
        description = (
            f"{panel.axis_title}, {panel.part}, for {', '.join(figure.arms)}; the medians are in "
            "the table behind the curves"
        )
        twin = figure.twin(number)
        svg = svgs[f"curves/{one.slug}/{number if twin is None else twin}"]
        name = f"{figure.slug}-{number if twin is None else twin}"
        text = (
            inline_svg(svg, name, description, numbers, shared=True)
            if twin is None
            else shown_again(svg, name, description)
        )
        panels.append(PanelView(panel.axis_title, panel.part, Markup(text)))
    head, rows = curve_table(figure)
    return CurvesView(one.analysis.setting.label, one.slug, figure.arms, tuple(panels), head, rows)


def curve_table(figure: CurveFigure) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Medians over blocks of all panels at evenly spaced epochs, an arm after the other."""
    medians = [
        {
            (arm, epoch): float(value)
            for arm, epoch, value in panel.medians[["arm", "epoch", "value"]].itertuples(
                index=False
            )
        }
        for panel in figure.panels
    ]
    last = figure.panels[0].last_epoch
    step = max(1, round(last / CURVE_ROWS))
    epochs = sorted({1, last, *range(step, last + 1, step)})
    rows = []
    for arm in figure.arms:
        for epoch in epochs:
            values = [found.get((arm, epoch)) for found in medians]
            if any(value is not None for value in values):
                texts = (NOTHING if v is None else f"{v:.3f}" for v in values)
                rows.append((arm, str(epoch), *texts))
    names = (f"{panel.axis_title}, {panel.part}" for panel in figure.panels)
    return ("norm", "epoch", *names), rows


def setting_view(one: SettingFigures, svgs: Mapping[str, str]) -> SettingView:
    """Cost, robustness and classes of a setting."""
    metric = one.analysis.verdict.metric
    cost = None
    rows = [row.texts(metric) for row in one.cost_rows]
    if one.cost is not None:
        cost = PageFigure(
            _inline(svgs[f"cost/{one.slug}"], f"cost-{one.slug}", one.cost.description, {}),
            "Further left is quicker, further up is better; the dashed line joins the arms that no "
            "other arm beats in both.",
            COST_HEAD,
            rows,
        )
    return SettingView(
        setting=one.analysis.setting.label,
        slug=one.slug,
        cost=cost,
        cost_rows=rows,
        robustness=one.robustness,
        classes=one.classes,
    )


def layer_diagnostics_view(
    inside: LayerDiagnosticsFigures, svgs: Mapping[str, str]
) -> LayerDiagnosticsView:
    """Features, gates, gaps and gradients of a setting."""
    slug = inside.setting.slug

    def figure(
        name: str,
        description: str,
        caption: str,
        head: tuple[str, ...] = (),
        rows: Sequence[tuple[str, ...]] = (),
    ) -> PageFigure:
        svg = _inline(svgs[f"{name}/{slug}"], f"{name}-{slug}", description, {})
        return PageFigure(svg, caption, head, rows)

    features = inside.features
    axes = "" if features.shared else " Each norm has an axis of its own: they are far apart."
    figures = [
        figure("features", features.description, FEATURES + axes, features.head, features.rows)
    ]
    figures += [
        figure(course.measure, course.description, COURSES[course.measure])
        for course in inside.courses
    ]
    table = [tuple(cell_text(cell) for cell in row) for row in inside.table.rows]
    figures.append(figure("depth", inside.depth.description, DEPTH, inside.table.head, table))
    return LayerDiagnosticsView(inside.setting.label, slug, tuple(figures), inside.left_out)


def ensemble_section(one: SettingFigures, svgs: Mapping[str, str]) -> EnsembleSection | None:
    """Ensembles and calibration of a setting."""
    view = one.ensembles
    if view is None:
        return None
    svg = _inline(
        svgs[f"reliability/{one.slug}"], f"reliability-{one.slug}", view.figure.description, {}
    )
    figure = PageFigure(
        svg,
        "Accuracy against confidence: dashed the members, solid the ensemble, whose points are as "
        "large as their share of the images. Below the diagonal a network is too sure.",
    )
    return EnsembleSection(one.analysis.setting.label, one.slug, view.table, figure)


def robustness_section(view: RobustnessView, svgs: Mapping[str, str]) -> RobustnessSection:
    """Accuracy as the images change, with the table behind it."""
    slug = view.table.setting.slug
    figure = PageFigure(
        _inline(svgs[f"stress/{slug}"], f"stress-{slug}", view.figure.description, {}),
        "Means over blocks with 95 % t intervals; 0 is the image as it is. What the strengths are "
        "is said in docs/explain.md.",
        view.losses.head,
        [tuple(cell_text(cell) for cell in row) for row in view.losses.rows],
    )
    return RobustnessSection(view.table.setting.label, slug, view.sentence, figure, view.batches)


def how_to_read(analysis: Analysis) -> tuple[str, ...]:
    """What the numbers of the answer mean, a paragraph each."""
    rules = analysis.plan.analysis
    margin = format_difference(rules.metric, rules.margin).removeprefix("+")
    confidence = f"{100 * (1 - rules.alpha):g} %"
    return (
        "A block is one training of every arm from the same split, initial weights, order of "
        "images and augmentation; differences are taken inside blocks. The interval is a t "
        f"interval of them ({confidence}, for one comparison by itself), its error that of all "
        "arms together where they vary alike, else of the pair. Decisions take all pairs of a "
        f"setting into account (Holm, α = {rules.alpha:g}), so an interval may leave out zero and "
        "the pair still be undecided.",
        f"Practically equal: shown by two one-sided tests to differ by less than {margin} "
        f"{unit(rules.metric)}, the margin fixed in the plan. P(better): the share of blocks in "
        "which the arm was the better one, ties counting half. Time: of a training step, relative "
        "to the reference in the same block, median. More blocks: an "
        "estimate from the spread so far, at even odds.",
        "The blocks share one fixed test part: the verdict speaks of new trainings judged on "
        "these images. What can be said of new images, and of other training images, is in the "
        'table "for whom it holds".',
    )


def _inline(svg: str, name: str, description: str, numbers: Mapping[str, int]) -> Markup:
    return Markup(inline_svg(svg, name, description, numbers))
