"""What can be said against a study before an image is read or a file is written."""

from __future__ import annotations

import contextlib
import math
import os
import tempfile
from pathlib import Path

from normlab.data.scan import Manifest
from normlab.data.split import make_split
from normlab.errors import NormlabError, PlanError, StorageError, UsageError, write_remedy
from normlab.norms.registry import BUILT_IN
from normlab.norms.spec import parse_norm
from normlab.records.data_report import LOOK
from normlab.records.plan import StudyPlan
from normlab.records.run import RunSpec
from normlab.stats.data.metrics import is_share
from normlab.study.design.freeze import freeze
from normlab.study.design.runs import plan_runs
from normlab.study.lock import LOCK
from normlab.study.object_store.mirror import STATE as MIRROR
from normlab.train.network import check_trainable

BEFORE_A_STUDY = (LOCK, LOOK, MIRROR)
"""A lock is what a study leaves for whose study.toml there was no room; the look at its pictures is
there before anybody has agreed to start it; of a study in a store there is what the store had."""


def check_plan(plan: StudyPlan) -> None:
    """Try every arm of the plan at every batch size, on no data and no memory.

    Raises:
        PlanError: a value that no run can have, or a reference that is not among the arms.
        UsageError: an unknown name; an arm that cannot be trained at this batch and image size.
    """
    if plan.frozen is None:
        plan = freeze(plan, fingerprint="", classes=("any", "other"))
    one_block = plan_runs(plan.model_copy(update={"blocks": 1}))
    kinds = {(spec.norm, spec.batch_size, str(spec.network)): spec for spec in one_block}
    for spec in kinds.values():
        _check_run(spec)


def check_margin(plan: StudyPlan, manifest: Manifest) -> None:
    """See that the test images can show the margin of a frozen plan.

    Raises:
        PlanError: the margin is set in the plan and is worth less than one test image.
    """
    rules = plan.analysis
    if rules.method != 2 or rules.margin_share is not None or not is_share(rules.metric):
        return
    spec = plan_runs(plan.model_copy(update={"blocks": 1}))[0]
    images = int(make_split(manifest, spec.data, spec.seed, spec.block).test.size)
    if rules.margin * images < 1 - 1e-9:
        raise PlanError(
            f"a margin must be worth at least one test image, got {100 * rules.margin:g} points, "
            f"where one of {images} images is {100 / images:.2g} points; choose --margin "
            f"{math.ceil(1e4 / images) / 1e4:g} or more, or use more test images"
        )


def _check_run(spec: RunSpec) -> None:
    try:
        check_trainable(spec)
    except NormlabError:
        raise
    except Exception as error:
        code = parse_norm(spec.norm).info.code
        if code in BUILT_IN:
            raise
        reason = " ".join(str(error).split())
        raise UsageError(
            f"the norm {code!r} cannot be used in {spec.network.name} ({type(error).__name__}: "
            f"{reason}); it is a torch.nn.Module that takes (x, residual=None, activation='none') "
            "and keeps the shape of x"
        ) from error


def _is_of_others(path: Path) -> bool:
    """Whether a file is neither there before a study nor left of one whose process was killed."""
    left = path.name.startswith(".") and path.name.endswith(".partial")
    return path.name not in BEFORE_A_STUDY and not left


def check_folder(folder: Path, source: str) -> None:
    """See that a study can begin in the folder.

    Raises:
        PlanError: it is a file, is not empty, or lies among the images (where the figures of its
            report would be images themselves).
        StorageError: nothing can be written there.
    """
    if folder.exists() and not folder.is_dir():
        raise PlanError(f"{folder} is a file; choose a folder with --out")
    if folder.exists() and any(map(_is_of_others, folder.iterdir())):
        raise PlanError(
            f"{folder} is not empty and holds no study; choose another folder with --out"
        )
    if Path(source).is_dir() and folder.resolve().is_relative_to(Path(source).resolve()):
        raise PlanError(f"{folder} lies inside of the images; choose a folder elsewhere with --out")
    check_writable(folder)


def check_writable(folder: Path) -> None:
    """See that a file can be made in the folder, which need not be there and is not left behind.

    Raises:
        StorageError: it cannot; said before the images are looked at, which may take long.
    """
    made = [each for each in (folder, *folder.parents) if not os.path.lexists(each)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        remedy = write_remedy(error, "choose another folder with --out")
        raise StorageError(
            f"cannot write into {folder}: {error.strerror or error}; {remedy}"
        ) from error
    finally:
        for each in made:
            with contextlib.suppress(OSError):  # somebody else has put something into it
                each.rmdir()
