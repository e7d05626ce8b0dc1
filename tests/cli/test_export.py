"""normlab export by the command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path


def test_a_study_is_exported(normlab, study: Path) -> None:
    found = normlab("export", study, "--to", "torch", "--out", "network")
    assert found.code == 0, found.err
    assert "norms folded · any number of pictures" in found.out
    assert "from the run, on 6 test pictures" in found.out
    assert "written  network/model.pt2" in found.out


def test_the_folder_is_named_after_the_studys(normlab, study: Path, scratch: Path) -> None:
    """Two studies of the same data do not meet in one folder."""
    moved = study.rename(scratch / "other study")
    found = normlab("export", moved, "--to", "torch")
    assert found.code == 0, found.err
    (made,) = scratch.glob("*-export")
    assert made.name.startswith("other study-")
    other = next(
        run
        for run in (moved / "runs").iterdir()
        if json.loads((run / "spec.json").read_text())["norm"] not in made.name
    )
    again = normlab("export", other, "--to", "torch", "--out", made)
    again.assert_one_sentence("holds model.pt2, which is not of the run", "--out")


def test_bad_input(normlab, study: Path, photos: Path) -> None:
    normlab("export", "nowhere").assert_one_sentence("nowhere is not a run")
    normlab("export", study, "--to", "tensorflow").assert_one_sentence("form of an export")
    run = next((study / "runs").iterdir())
    shutil.rmtree(photos)
    normlab("export", run, "--data", "gone", "--to", "torch").assert_one_sentence("gone")
    (run / "weights.safetensors").unlink()
    normlab("export", run, "--to", "torch").assert_one_sentence("has no weights", "normlab run")
