"""Further tables: claims, curves in numbers, interim analyses, factors, tuning."""

from __future__ import annotations

from collections.abc import Iterator

from normlab.records.tuning_results import TuningResults
from normlab.report.export.formats import NOTHING, difference_cell, interval_cell
from normlab.report.export.table import Cell, Printed, Table
from normlab.stats.data.metrics import LABELS, MINUS, unit
from normlab.stats.summary.analysis import Analysis, SettingAnalysis
from normlab.stats.summary.curve_facts import Fact


def further_tables(analysis: Analysis) -> tuple[Table, ...]:
    """What there is to say, in this order; a table without a row is left out."""
    tables: list[Table] = []
    for setting in analysis.settings:
        tables += [claims_table(setting), curve_facts_table(setting)]
        if len(setting.verdict.decisions.looks) > 1:
            tables.append(interim_table(setting))
    tables += [interaction_table(analysis)]
    if analysis.tuning_results is not None:
        tables.append(tuning_table(analysis.tuning_results))
    return tuple(table for table in tables if table.rows)


def claims_table(setting: SettingAnalysis) -> Table:
    """The difference of every arm to the reference under three claims."""
    verdict = setting.verdict
    level = f"{100 * (1 - verdict.alpha):g} %"
    error = "pooled over the arms" if verdict.pooled else "of each pair by itself"
    return Table(
        slug=f"claims-{setting.setting.slug}",
        title="Difference to the reference: for whom it holds",
        caption=(
            f"{LABELS[verdict.metric].capitalize()}, {unit(verdict.metric)}, against "
            f"{verdict.reference}, n = {verdict.blocks} blocks, {level} intervals for one "
            f"comparison by itself; the error is {error}. New trainings: these test images, "
            "other blocks. New images: blocks and images crossed. With all comparisons: the "
            "interval that belongs to the decision. The exact sign-flip test needs six blocks."
        ),
        head=("norm", f"difference ({unit(verdict.metric)})", "new trainings", "new images too",
              "with all comparisons", "p (Holm)", "p (sign flip)"),
        rows=tuple(_claims(setting)),
    )  # fmt: skip


def _claims(setting: SettingAnalysis) -> Iterator[tuple[Cell, ...]]:
    metric = setting.verdict.metric
    for row in setting.rows:
        if row.comparison is None or row.comparison.difference.mean is None:
            continue
        images = row.new_images
        yield (
            row.arm,
            difference_cell(metric, row.comparison.difference.mean),
            interval_cell(metric, row.comparison.difference.interval),
            interval_cell(metric, images.interval if images else None),
            interval_cell(metric, row.comparison.simultaneous),
            _p(row.comparison.adjusted_p),
            _p(row.comparison.sign_flip_p),
        )


def curve_facts_table(setting: SettingAnalysis) -> Table:
    """How rough, how fast, how far from training."""
    target = setting.curves.target
    arrived = "no run has finished" if target is None else f"{100 * target:.1f} %"
    return Table(
        slug=f"curve-facts-{setting.setting.slug}",
        title="The learning curves in numbers",
        caption=(
            "Mean over blocks with 95 % t interval. Roughness: noise of the validation accuracy "
            "from epoch to epoch, points (Gasser et al. 1986). Speed: first epoch with a "
            f"validation accuracy of {arrived}, 95 % of the best arm's at the end, over the blocks "
            "that reach it. Gap: train minus test accuracy at the end, points."
        ),
        head=(
            *("norm", "roughness (points)", "epochs to target", "blocks that reach it"),
            *("blocks", "gap (points)"),
        ),
        rows=tuple(
            (
                facts.arm,
                _fact(facts.roughness, 100),
                _fact(facts.epochs_to_target, 1),
                facts.reached,
                facts.gap.n,
                _fact(facts.gap, 100),
            )
            for facts in setting.curves.arms
            if facts.gap.n
        ),
    )


def interim_table(setting: SettingAnalysis) -> Table:
    """When the setting is judged, how strictly, and who left."""
    decisions = setting.verdict.decisions
    return Table(
        slug=f"looks-{setting.setting.slug}",
        title="Looks",
        caption=(
            "Blocks at each planned look, the error rate at which it decides (calibrated by "
            "simulation), and the arms that were dropped there."
        ),
        head=("blocks", "level", "taken", "dropped"),
        rows=tuple(
            (
                blocks,
                Printed(level, f"{level:.4f}"),
                "yes" if number < decisions.passed else "no",
                ", ".join(arm for arm, at in decisions.dropped.items() if at == blocks) or NOTHING,
            )
            for number, (blocks, level) in enumerate(
                zip(decisions.looks, decisions.levels, strict=True)
            )
        ),
    )


def interaction_table(analysis: Analysis) -> Table:
    """Whether the effect of the arms depends on another factor."""
    return Table(
        slug="interactions",
        title="Does the effect of the arm depend on another factor?",
        caption=(
            "F of arm × factor against its own variation over blocks; df: degrees of freedom after "
            "Greenhouse and Geisser's correction; other factors averaged over."
        ),
        head=("factor", "levels", "arms", "blocks", "F", "df", "df of the error", "p"),
        rows=tuple(
            (
                found.factor,
                ", ".join(found.levels),
                ", ".join(found.arms),
                found.blocks,
                Printed(found.f, f"{found.f:.2f}"),
                *(Printed(df, f"{df:.2f}") for df in found.df),
                _p(found.p_value),
            )
            for found in analysis.interactions
        ),
    )


def tuning_table(tuning_results: TuningResults) -> Table:
    """What every arm was given, what it used, and what it chose."""
    names = list(tuning_results.ranges)
    ranges = ", ".join(
        f"{name.replace('_', ' ')} {low:g} to {high:g}"
        for name, (low, high) in tuning_results.ranges.items()
    )
    blocks_text = "blocks of their own" if tuning_results.blocks else "each block"
    return Table(
        slug="tuning",
        title="Tuning",
        caption=(
            f"In {blocks_text} every arm tried the same points over {ranges}; the pick is by "
            f"{LABELS[tuning_results.metric]} on the validation part."
        ),
        head=("norm", "setting", "block", *(f"chosen {name.replace('_', ' ')}" for name in names),
              "points", "runs", "epochs", "seconds", "at the edge"),
        rows=tuple(
            (
                arm.arm,
                arm.setting,
                "all" if arm.block is None else str(arm.block + 1),
                *(Printed(arm.chosen.get(name), f"{arm.chosen.get(name, 0):g}") for name in names),
                len({str(trial.levels) for trial in arm.trials}),
                arm.runs,
                arm.epochs,
                Printed(arm.seconds, f"{arm.seconds:.0f}"),
                ", ".join(arm.at_edge) or "no",
            )
            for arm in tuning_results.arms
        ),
    )  # fmt: skip


def _fact(fact: Fact, scale: float) -> Printed:
    if fact.mean is None:
        return Printed(None, NOTHING)
    text, ends = f"{scale * fact.mean:.1f}", None
    if fact.interval is not None:
        ends = (scale * fact.interval.low, scale * fact.interval.high)
        text += f" [{ends[0]:.1f}, {ends[1]:.1f}]"
    return Printed(scale * fact.mean, text.replace("-", MINUS), interval=ends)


def _p(value: float | None) -> Cell:
    if value is None:
        return NOTHING
    return Printed(value, f"{value:.3f}" if value >= 0.001 else "< 0.001")
