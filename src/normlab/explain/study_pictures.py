"""The pictures of a study: its answers, its maps and its changes, by choice or at its end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from normlab.data.dataset import Dataset
from normlab.errors import NormlabError, StorageError
from normlab.explain.arms import ArmRun, choose_arms, not_shown, nothing_learned
from normlab.explain.gallery import Gallery, GalleryOptions, make_gallery, pixels_of
from normlab.explain.page_pictures import write_answers, write_corruptions
from normlab.explain.write import Faithfulness, Parts, write_gallery
from normlab.records.store import read_runs
from normlab.report.explanation import (
    FOLDER,
    CorruptionStrip,
    Explanation,
    read_explanation,
    write_explanation,
)
from normlab.study.study import Study
from normlab.text import shell_command

SHARE = 0.05
"""The share of a study's training time that its pictures may take at its end …"""
LEAST, MOST = 20.0, 120.0
"""… and the fewest and most seconds."""
AUTOMATIC = GalleryOptions(images=3)
"""What is shown at the end of a study: the page has three images of either kind a class."""


@dataclass(frozen=True, eq=False)
class StudyPictures:
    """What was written."""

    page: Path
    gallery: Gallery | None
    """None where maps are withheld, for `reason`."""
    reason: str = ""


def write_study_pictures(
    study: Study,
    dataset: Dataset,
    runs: Sequence[ArmRun],
    options: GalleryOptions,
    *,
    folder: Path | None = None,
    device: str = "cpu",
    faithfulness: Faithfulness | None = None,
    gallery: Gallery | None = None,
    deadline: float | None = None,
    automatic: bool = False,
    withheld: str = "",
    left_out: tuple[str, ...] = (),
) -> StudyPictures:
    """Answers of the first run, changes of one of its images, and the maps of all runs.

    Args:
        study: it names the page and holds the folder.
        dataset: its images.
        runs: of the arms, the recommended one first.
        options: of the gallery.
        folder: where to write; by default the study's own explain/.
        device: where the networks run.
        faithfulness: what was measured of the maps.
        gallery: the maps, where they are made already.
        deadline: no arm is begun after it (`time.monotonic`), except the first.
        automatic: whether nobody chose anything.
        withheld: why no maps are made.
        left_out: what is not there, a sentence each.

    Raises:
        UsageError: the data lack an image.
        StorageError: the folder cannot be written.
    """
    folder = folder or study.folder / FOLDER
    answers = write_answers(runs[0], dataset, folder, options.seed)
    shown = [*answers.right, *answers.wrong][:1]
    strips: tuple[CorruptionStrip, ...] = ()
    if shown:
        pixels = pixels_of(dataset, [shown[0].id])[0]  # type: ignore[arg-type]
        strips = write_corruptions(pixels, folder, options.seed)
    parts = Parts(answers, strips, left_out, automatic)
    if withheld:
        found = Explanation(
            arms=(), answers=answers, classes=(), key="", withheld=withheld,
            corruptions=strips, automatic=automatic,
        )  # fmt: skip
        write_explanation(found, folder)
        return StudyPictures(folder, None, withheld)
    gallery = gallery or make_gallery(runs, dataset, options, device, deadline=deadline)
    late = [run.arm for run in runs[len(gallery.arms) :]]
    if late:
        parts = replace(
            parts,
            left_out=(
                *left_out,
                f"no maps of {', '.join(late)}: the time for pictures was over; "
                f"make them with: {shell_command('explain', study.folder)}",
            ),
        )
    page = write_gallery(gallery, folder, study.plan.name, faithfulness, parts)
    return StudyPictures(page, gallery)


def explain_at_end(study: Study, dataset: Dataset, device: str = "cpu") -> str:
    """Make the pictures of a study that has ended, in little time; what is left out, in words.

    A gallery that somebody made by other choices stays as it is. What cannot be made is said, for
    no study fails for a picture.
    """
    try:
        before = read_explanation(study.folder)
    except StorageError:
        before = None
    if before is not None and not before.automatic:
        return ""
    try:
        runs = choose_arms(study.folder)
        if before is not None and _is_same(before, runs):
            return ""
        found = write_study_pictures(
            study,
            dataset,
            runs,
            AUTOMATIC,
            device=device,
            deadline=time.monotonic() + _seconds(study),
            automatic=True,
            withheld=nothing_learned(study.folder),
            left_out=not_shown(study.folder, runs),
        )
    except (NormlabError, RuntimeError, OSError) as error:
        return f"no pictures: {error}"
    return f"no maps: {found.reason}" if found.reason else ""


def _is_same(before: Explanation, runs: Sequence[ArmRun]) -> bool:
    """Whether the pictures are of these very runs."""
    answers = before.answers
    same_arms = before.withheld or list(before.arms) == [run.arm for run in runs]
    return answers is not None and answers.run == runs[0].record.folder.name and bool(same_arms)


def _seconds(study: Study) -> float:
    """Seconds for the pictures, by how long the runs took."""
    trained = sum(
        outcome.seconds
        for run in read_runs(study.folder, rows=False)
        if (outcome := run.outcome) is not None
    )
    return min(MOST, max(LEAST, SHARE * trained))
