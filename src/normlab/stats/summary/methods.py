"""The methods paragraph of a paper, from the plan and what was run: nothing in it is a constant
that the study did not use.
"""

from __future__ import annotations

from collections.abc import Sequence

from normlab.records.cells import arm_of, cells, varied
from normlab.records.network import is_own
from normlab.records.plan import StudyPlan
from normlab.records.store import RunRecord
from normlab.stats.data.metrics import LABELS, format_difference, unit
from normlab.stats.inference.looks.margins import least_margin
from normlab.stats.inference.sequential import look_levels, planned_looks
from normlab.stats.summary.analysis import Analysis, SettingAnalysis
from normlab.stats.summary.split import split_sentence, validation_is_cut
from normlab.text import count, join

KEPT_TOGETHER = {
    "exact": "equal files",
    "duplicates": "duplicates of a photograph",
    "look-alikes": "duplicates of a photograph and pictures that look alike",
    "near": "near copies",
}
"""What each kind of copies keeps on one side, in words."""


def methods_paragraph(analysis: Analysis, runs: Sequence[RunRecord]) -> str:
    """Design, training, tuning, judgement and software, in sentences that a reviewer can check."""
    plan = analysis.plan
    sentences = [
        _design(analysis),
        _training(plan),
        _tuning(analysis),
        _judgement(plan),
        _error(analysis.settings),
        _looks(plan),
        _outcomes(analysis),
        _software(plan, runs),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _design(analysis: Analysis) -> str:
    plan = analysis.plan
    if is_own(plan.analysis.metric):
        return _own_design(plan)
    rows = cells(plan)
    arms = list(dict.fromkeys(arm_of(cell, plan) for cell in rows))
    compared = plan.analysis.compare
    kind = "normalizations" if compared == "norm" else f"levels of {compared.replace('_', ' ')}"
    levels: dict[str, int] = {
        "normalizations": len({cell.norm for cell in rows}),
        "optimizers": len({cell.optimizer for cell in rows}),
        "learning rates": len({cell.learning_rate for cell in rows}),
        "batch sizes": len({cell.batch_size for cell in rows}),
    }
    named = {"norm": "normalizations"}.get(compared, f"{compared.replace('_', ' ')}s")
    crossed = [f"{n} {name}" for name, n in levels.items() if n > 1 and name != named]
    crossed += [f"levels of {key.replace('_', ' ')}" for key in varied(plan) if key != compared]
    by = f", crossed with {join(crossed)}," if crossed else ""
    classes = len(plan.frozen.classes) if plan.frozen is not None else 0
    split = "the validation part, " if validation_is_cut(analysis.data) else ""
    kept = KEPT_TOGETHER[plan.data.copies]
    return (
        f"We compared {len(arms)} {kind} ({join(arms)}){by} in {count(plan.blocks, 'block')}. "
        f"A block fixes {split}the initial weights, the order of the images and their augmentation "
        f"for all arms. {split_sentence(plan.data, analysis.data)} The test part is read once a "
        f"run. Images of {classes} classes were scaled to {plan.data.image_size} px, and "
        f"{kept} were kept on one side of every split."
    )


def _own_design(plan: StudyPlan) -> str:
    arms = list(dict.fromkeys(arm_of(cell, plan) for cell in cells(plan)))
    options = plan.training.network.options
    return (
        f"We compared {len(arms)} normalizations ({join(arms)}) in "
        f"{count(plan.blocks, 'block')}. A run is one call of {options['training']} on a network "
        f"of {options['network']} (SHA-256 of their source {options['code']}…), whose "
        "normalizations were replaced by the arm's. A block fixes the random numbers that the "
        "network is made with and those that the training is given, for all arms. The figures are "
        "those that the training gives of data that it has held out."
    )


def _training(plan: StudyPlan) -> str:
    if is_own(plan.analysis.metric):
        return ""
    training = plan.training
    rates = sorted({c.learning_rate for c in cells(plan) if c.learning_rate is not None})
    optimizers = list(dict.fromkeys(cell.optimizer for cell in cells(plan)))
    sizes = sorted({cell.batch_size for cell in cells(plan)})
    rate = f" at learning rate {join([f'{r:g}' for r in rates])}" if rates else ""
    stopping = (
        f", stopped after {training.patience} epochs without a better validation accuracy"
        if training.patience is not None
        else ""
    )
    steps = f" (gradients of {training.accumulate} batches a step)" * (training.accumulate > 1)
    weights = ""
    if training.ema is not None:
        weights = (
            f" The weights that were evaluated are an exponential moving average over the steps "
            f"with decay {training.ema:g}, and running statistics are averaged alike."
        )
    if training.precise_statistics:
        weights += " Running statistics were measured anew for the weights that are reported."
    return (
        f"{training.network} was trained for {count(training.epochs, 'epoch')}{stopping} with "
        f"{join(optimizers)}{rate}, batch size {join([str(size) for size in sizes])}{steps}, a "
        f"{training.schedule} schedule, weight decay {training.weight_decay:g} and "
        f"{training.augmentation} augmentation, in {training.precision}.{weights}"
    )


def _tuning(analysis: Analysis) -> str:
    tuning, tuning_results = analysis.plan.tuning, analysis.tuning_results
    if is_own(analysis.plan.analysis.metric):
        return "All arms shared the settings of the training."
    if tuning is None:
        return "All arms shared these settings; none was tuned."
    ranges = join(
        [
            f"{name.replace('_', ' ')} {low:g} to {high:g}"
            for name, (low, high) in (
                tuning_results.ranges if tuning_results else tuning.ranges
            ).items()
        ]
    )
    spent = ""
    if tuning_results is not None and tuning_results.arms:
        runs, epochs = tuning_results.arms[0].runs, tuning_results.arms[0].epochs
        spent = f" ({count(runs, 'run')} and {count(epochs, 'epoch')} an arm and setting)"
    if tuning.scope == "block":
        return (
            f"Tuning is part of what is compared: in every block every arm tried the same "
            f"{tuning.points} points over {ranges}{spent} on the block's own split and was given "
            "the optimum of a quadratic fitted over the logarithms, by the validation part."
        )
    return (
        f"Every arm tried the same Sobol points over {ranges}{spent} on "
        f"{count(tuning.blocks, 'block')} of their own and kept the best on the validation part."
    )


def _judgement(plan: StudyPlan) -> str:
    analysis = plan.analysis
    margin = format_difference(analysis.metric, analysis.margin).removeprefix("+")
    if analysis.margin_share is not None:
        share = f"{100 * analysis.margin_share:g} %"
        margin = f"{share} of the error of {analysis.reference} in its first block"
        margin += least_margin(analysis.metric)
    else:
        margin = f"{margin} {unit(analysis.metric)}"
    chance = "0" if is_own(analysis.metric) else "chance level"
    if analysis.method == 2:
        return (
            f"The primary metric is the {LABELS[analysis.metric]} on the test part; a run that "
            f"diverged scores {chance}. Differences were taken block by block; better and worse "
            "are t tests with a variance moderated over the arms, by a closed test of all pairs; "
            f"practically equal is two one-sided tests at ±{margin}, corrected by Holm's method; "
            f"α = {analysis.alpha:g} for all looks and settings together."
        )
    return (
        f"The primary metric is the {LABELS[analysis.metric]} on the test part; a run that "
        "diverged scores chance level. Differences were taken block by block; better and worse are "
        f"t tests, practically equal is two one-sided tests at ±{margin}, "
        f"each family corrected over all pairs of a setting by Holm's "
        f"method at α = {analysis.alpha:g}."
    )


def _error(settings: Sequence[SettingAnalysis]) -> str:
    verdicts = [setting.verdict for setting in settings if len(setting.verdict.arms) > 2]
    pooled = sum(verdict.pooled for verdict in verdicts)
    if not verdicts or any(verdict.failures for verdict in verdicts):  # the second method says it
        return ""
    if pooled == len(verdicts):
        return "The error is that of the two-way layout of arms and blocks, pooled over arms."
    if len(verdicts) == 1:
        reason = verdicts[0].error_reason
        return f"Each pair was tested by its own differences{f' ({reason})' if reason else ''}."
    return (
        f"The error was pooled over arms in {pooled} of {len(verdicts)} settings; in the others "
        "each pair was tested by its own differences."
    )


def _looks(plan: StudyPlan) -> str:
    looks = planned_looks(plan)
    if len(looks) == 1:
        return ""
    if plan.analysis.method == 2:
        return (
            f"The study is judged after every block from {looks[0]} to {looks[-1]}, as far as it "
            "goes, at levels of Wang and Tsiatis' shape (Δ = ¼, calibrated by simulation) that "
            f"allow for all {len(looks)} looks; arms worse than the leader are dropped at a look."
        )
    levels = look_levels(looks, plan.analysis.alpha)
    return (
        f"The study was judged after {join([str(n) for n in looks])} blocks at the levels "
        f"{join([f'{level:.4f}' for level in levels])} (O'Brien–Fleming shape, calibrated by "
        "simulation); arms worse than the leader were dropped at a look."
    )


def _outcomes(analysis: Analysis) -> str:
    diverged = sum(row.outcomes.get("diverged", 0) for s in analysis.settings for row in s.rows)
    return (
        f"{analysis.done} of {analysis.planned} planned runs have ended, {diverged} of them by "
        "divergence."
    )


def _software(plan: StudyPlan, runs: Sequence[RunRecord]) -> str:
    environments = [run.environment for run in runs if run.environment]
    if not environments or plan.frozen is None:
        return ""
    first = environments[0]
    libraries = first.get("libraries", {})
    torch = f", torch {libraries['torch']}" if "torch" in libraries else ""
    return (
        f"Computed with normlab {plan.frozen.normlab}{torch} on {first.get('processor', 'unknown')}"
        f" ({first.get('device', 'cpu')}, {first.get('threads', '?')} threads); plan "
        f"{plan.frozen.hash[:12]}."
    )
