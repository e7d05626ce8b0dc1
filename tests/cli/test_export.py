"""normlab export by the command."""

from __future__ import annotations

import shutil
from pathlib import Path


def test_a_study_is_exported(normlab, study: Path) -> None:
    found = normlab("export", study, "--to", "torch", "--out", "network")
    assert found.code == 0, found.err
    assert "norms folded · any number of pictures" in found.out
    assert "from the run, on 6 test pictures" in found.out
    assert "written  network/model.pt2" in found.out


def test_bad_input(normlab, study: Path, photos: Path) -> None:
    normlab("export", "nowhere").assert_one_sentence("nowhere is not a run")
    normlab("export", study, "--to", "tensorflow").assert_one_sentence("form of an export")
    run = next((study / "runs").iterdir())
    shutil.rmtree(photos)
    normlab("export", run, "--data", "gone", "--to", "torch").assert_one_sentence("gone")
    (run / "weights.safetensors").unlink()
    normlab("export", run, "--to", "torch").assert_one_sentence("has no weights", "normlab run")
