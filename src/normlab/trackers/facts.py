"""What is sent of a study: parameters, metrics and tags, out of its records.

Metrics are named part/metric, as the tables name them: `train/loss`, `validation/accuracy`,
`test/macro_f1`. By epoch: the running figures of training, the validation part, the learning rate
and the time. At the end: `test/…`, and under `reported/` the training and validation parts in
evaluation mode at the reported epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from normlab.records.plan import StudyPlan
from normlab.records.run import METRICS, EpochRow, Measures, Outcome, RunSpec
from normlab.records.store import RunRecord
from normlab.stats.data.setting import Setting
from normlab.stats.summary.analysis import Analysis
from normlab.stats.summary.recommendation import Recommendation, recommend
from normlab.text import count
from normlab.trackers.base import Ending, Metrics, TrackedRun, Value

STUDY = "study"
"""The key of the parent run."""


def run_facts(spec: RunSpec, plan: StudyPlan) -> TrackedRun:
    """What is known of a run before its first epoch."""
    block = "tuning" if spec.is_tuning else f"block {spec.block + 1}"
    setting = Setting.of(spec, plan).label
    tags = {"norm": spec.norm, "arm": spec.arm, "block": str(spec.block + 1), "setting": setting}
    return TrackedRun(
        key=spec.id,
        name=f"{spec.arm}, {block}",
        group="tuning" if spec.is_tuning else setting or plan.name,
        kind=block,
        parameters=dict(_flat(_parameters(spec))),
        tags={**tags, "study": plan.name, "purpose": spec.purpose, "normlab.run": spec.id},
    )


def study_facts(plan: StudyPlan) -> TrackedRun:
    """The study as the parent of its runs."""
    parameters: dict[str, Value] = {
        "metric": plan.analysis.metric,
        "compare": plan.analysis.compare,
        "reference": plan.analysis.reference,
        "blocks": plan.blocks,
        "source": plan.data.source,
        "image_size": plan.data.image_size,
    }
    tags = {"study": plan.name, "normlab.plan": plan.hash}
    return TrackedRun(STUDY, plan.name, plan.name, "study", parameters, tags)


def epoch_metrics(row: EpochRow) -> Metrics:
    """The metrics of an epoch."""
    return {
        **_named("train", row.train),
        **_named("validation", row.validation),
        "learning_rate": row.learning_rate,
        "seconds": row.seconds,
        "images_per_second": row.images_per_second,
    }


def run_ending(record: RunRecord) -> Ending:
    """How a run ended, with its weights."""
    outcome = record.outcome
    assert outcome is not None
    weights = record.folder / "weights.safetensors"
    status = "finished" if outcome.status in ("finished", "stopped_early") else "failed"
    return Ending(
        status="stopped" if outcome.status == "interrupted" else status,  # type: ignore[arg-type]
        metrics=_final(outcome),
        tags={"status": outcome.status},
        text=outcome.error or "",
        files=(weights,) if status == "finished" and weights.exists() else (),
    )


def study_ending(analysis: Analysis, folder: Path) -> Ending:
    """The verdict so far, the means of the arms, and the report."""
    found = [recommend(setting, str(folder)) for setting in analysis.settings]
    report = folder / "report"
    figures = sorted((report / "figures").glob("*.png"))
    pages = [path for path in (report / "index.html", folder / "study.toml") if path.exists()]
    metrics: dict[str, float] = {"runs": float(analysis.done)}
    for setting in analysis.settings:
        prefix = f"{setting.setting.label}/" if len(analysis.settings) > 1 else ""
        for row in setting.rows:
            for metric in METRICS:
                mean = row.test[metric].mean
                if mean is not None:
                    metrics[f"test/{metric}/{prefix}{row.arm}"] = mean
    return Ending(
        status="finished" if analysis.done >= analysis.planned else "stopped",
        metrics=metrics,
        tags={
            "verdict": _headline(found),
            "checks": count(len(analysis.findings), "finding"),
            **{
                f"verdict/{'/'.join(filter(None, k))}": v for k, v in verdict_tags(analysis).items()
            },
        },
        text="\n\n".join(map(_text, found)),
        files=(*pages, *figures),
    )


def verdict_tags(analysis: Analysis) -> dict[tuple[str, str], str]:
    """Setting and arm → use, level, not or open."""
    tags: dict[tuple[str, str], str] = {}
    for setting in analysis.settings:
        one = recommend(setting, "")
        words = {**dict.fromkeys(one.open, "open"), **dict.fromkeys(one.not_these, "not")}
        words |= {**dict.fromkeys(one.level, "level"), **({one.use: "use"} if one.use else {})}
        tags |= {(setting.setting.label, arm): word for arm, word in words.items()}
    return tags


def _headline(found: list[Recommendation]) -> str:
    used = [
        f"{one.use} at {one.setting}" if len(found) > 1 else one.use for one in found if one.use
    ]
    return f"use {'; '.join(used)}" if used else (found[0].warning if found else "nothing compared")


def _text(one: Recommendation) -> str:
    lines = [f"{mark:<6} {arms}  {why}".rstrip() for mark, arms, why in one.lines]
    return "\n".join([one.setting, *lines])


def _final(outcome: Outcome) -> Metrics:
    found: dict[str, float] = {}
    for name in ("train", "validation", "test"):
        measures = getattr(outcome, name)
        if measures is not None:
            found |= _named(name if name == "test" else f"reported/{name}", measures)
    if outcome.reported_epoch is not None:
        found["reported/epoch"] = float(outcome.reported_epoch)
    return {**found, "seconds_in_all": outcome.seconds}


def _named(part: str, measures: Measures) -> dict[str, float]:
    return {f"{part}/{metric}": getattr(measures, metric) for metric in METRICS}


def _parameters(spec: RunSpec) -> dict[str, Any]:
    content = spec.model_dump(mode="json", exclude={"data": {"classes"}})
    content["data"]["classes"] = len(spec.data.classes)
    content["network"] = str(spec.network)
    return content


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Value]]:
    """Nested tables as dotted names; what is nothing is left out."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, bool | list):
            yield f"{prefix}{key}", str(value).lower()
        elif value is not None and value != "":
            yield f"{prefix}{key}", value
