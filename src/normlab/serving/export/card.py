"""The model card: what the network is, on what it was trained, how good it is, where it ends."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from normlab.records.run import RunSpec
from normlab.records.store import RunRecord
from normlab.stats.data.reading import StudyRecords
from normlab.stats.data.setting import Setting
from normlab.stats.summary.analysis import Analysis, analyse_study
from normlab.stats.summary.recommendation import recommend
from normlab.stats.summary.split import split_sentence
from normlab.text import count, visible

SCRIPT = """import json, numpy, torch
from PIL import Image, ImageOps

config = json.load(open("config.json", encoding="utf-8"))
network = torch.export.load("model.pt2").module()
side = config["image_size"]
picture = Image.open("picture.jpg")
if picture.format == "JPEG":  # as in training: decoded near its size, then turned upright
    picture.draft("RGB", (2 * side, 2 * side))
picture = ImageOps.exif_transpose(picture)
if picture.has_transparency_data:
    picture = picture.convert("RGBA")
    picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
picture = RESIZED
pixels = torch.from_numpy(numpy.array(picture))[None]
probabilities = network(pixels)[0]
print(config["id2label"][str(int(probabilities.argmax()))], float(probabilities.max()))
"""
"""It needs torch, numpy and Pillow, and no normlab; it prepares 8-bit pictures as `decode` does."""
RESIZED = {
    "squash": 'picture.convert("RGB").resize((side, side), Image.BICUBIC, reducing_gap=3.0)',
    "fit": 'ImageOps.pad(picture.convert("RGB"), (side, side), Image.BICUBIC, color="black")',
    "crop": 'ImageOps.fit(picture.convert("RGB"), (side, side), Image.BICUBIC)',
}


def model_card(run: RunRecord, study: StudyRecords | None, sizes: str) -> str:
    """The card of one run; what the study says is left out where there is only the run."""
    analysis = None if study is None else analyse_study(study)
    script = SCRIPT.replace("RESIZED", RESIZED[run.spec.data.resize])
    parts = [
        _front(run),
        f"# {run.spec.network} with {run.spec.norm}\n\n{_what(run.spec)}",
        f"## How good it is\n\n{_scores(run)}",
        _verdict(run, study, analysis) if study is not None and analysis is not None else "",
        f"## Data\n\n{_data(run.spec, study)}",
        f"## Intended use and limits\n\n{_limits(run.spec, analysis, sizes)}",
        f"## Use\n\nWith normlab:\n\n```python\nimport normlab\n\n"
        'network = normlab.load("this-folder")\nprint(network.classify("picture.jpg"))\n```\n\n'
        f"With torch alone:\n\n```python\n{script}```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front(run: RunRecord) -> str:
    lines = ["---", "library_name: normlab", "pipeline_tag: image-classification", "tags:"]
    lines += [f"- {tag}" for tag in ("image-classification", "normlab")]
    lines += ["model-index:", f"- name: {_quoted(str(run.spec.network))}", "  results:"]
    outcome = run.outcome
    if outcome is not None and outcome.test is not None:
        lines += [
            "  - task:",
            "      type: image-classification",
            "    dataset:",
            f"      name: {_quoted('fingerprint ' + run.spec.data.fingerprint[:12])}",
            "      type: imagefolder",
            "    metrics:",
            "    - type: accuracy",
            f"      value: {outcome.test.accuracy:.4f}",
            "    - type: f1",
            f"      value: {outcome.test.macro_f1:.4f}",
        ]
    return "\n".join([*lines, "---"])


def _what(spec: RunSpec) -> str:
    data = spec.data
    names = ", ".join(map(as_code, data.classes))
    return (
        f"Classifies pictures into {count(len(data.classes), 'class')}: {names}. "
        f"Pictures are scaled to {data.image_size}×{data.image_size} px ({data.resize}, bicubic); "
        "the network brings its own normalization of the input. Trained with "
        f"{spec.optimizer.name} at learning rate {spec.optimizer.learning_rate:g} "
        f"({spec.schedule.name}), batch size {spec.batch_size}, for at most "
        f"{count(spec.epochs, 'epoch')}; normalization `{spec.norm}` in all of its layers."
    )


def _scores(run: RunRecord) -> str:
    outcome = run.outcome
    if outcome is None:
        return "The run has no outcome."
    rows = [
        "| part | images | loss | accuracy | micro F1 | macro F1 |",
        "|---|---|---|---|---|---|",
    ]
    for part in ("train", "validation", "test"):
        found = getattr(outcome, part)
        if found is not None:
            scores = (found.loss, found.accuracy, found.micro_f1, found.macro_f1)
            figures = " | ".join(f"{score:.4f}" for score in scores)
            rows.append(f"| {part} | {found.images} | {figures} |")
    rows += ["", f"One run, block {run.spec.block + 1}, epoch {outcome.reported_epoch}; the test "]
    rows[-1] += "part was looked at once, after the last epoch."
    return "\n".join(rows)


def _verdict(run: RunRecord, study: StudyRecords, analysis: Analysis) -> str:
    label = Setting.of(run.spec, study.plan).label
    for setting in analysis.settings:
        if setting.setting.label == label:
            lines = recommend(setting, str(study.folder.name)).lines
            said = "\n".join(
                f"- **{mark}** {arms}: {why}".rstrip(": ") for mark, arms, why in lines
            )
            blocks = count(study.plan.blocks, "block")
            head = f"## Verdict\n\nOf a comparison over {blocks} ({label}):"
            return f"{head}\n\n{said}"
    return ""


def _data(spec: RunSpec, study: StudyRecords | None) -> str:
    lines = [f"Fingerprint `{spec.data.fingerprint}`."]
    if study is not None:
        lines.append(split_sentence(study.plan.data, study.data))
        report = study.data
        if report is not None:
            lines.append(f"{count(report.images, 'image')} in all.")
            lines += [_plain(f"{name}: {value}.") for name, value in report.facts]
            found: Sequence[Any] = report.findings
            lines += [_plain(f"Finding {one.code}, {one.title}: {one.message}") for one in found]
            lines += [] if found else ["The checks of the data found nothing."]
    return "\n".join(f"- {line}" for line in lines)


def _limits(spec: RunSpec, analysis: Analysis | None, sizes: str) -> str:
    lines = [
        "For pictures like those that it was trained on; it knows no other class, and says one of "
        "its own of every picture.",
        "Probabilities were not calibrated.",
        f"The exported program takes pictures {sizes}; its accuracy was measured at "
        f"{spec.data.image_size} px.",
    ]
    if spec.data.image_size < 64:
        lines.append("Small pictures: details below the scaled size are not seen.")
    if analysis is not None:
        lines += [f"Check {one.code}: {one.title}." for one in analysis.findings]
    return "\n".join(f"- {line}" for line in lines)


def as_code(name: str) -> str:
    """A name as Markdown's code, which shows it as it is, whatever it holds.

    >>> as_code("cats, big"), as_code("<100%>"), as_code("a`b")
    ('`cats, big`', '`<100%>`', '``a`b``')
    """
    shown = visible(name)
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    edge = " " if shown[:1] in (" ", "`") or shown[-1:] in (" ", "`") else ""
    return f"{fence}{edge}{shown}{edge}{fence}"


def _plain(text: str) -> str:
    """A sentence in which names of others may stand, with nothing that Markdown or HTML act on."""
    return re.sub(r"([\\`*_\[\]<>|&])", r"\\\1", visible(text))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
