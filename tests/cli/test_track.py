"""Trackers by the command: beside a study, after it, and where they cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from normlab.cli.screen import tracking
from normlab.trackers import registry


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_a_study_is_sent_while_a_server_is_down(
    normlab, photos, tiny, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorBoard gets all of it; of the server that nobody runs it is said what to do later."""
    pytest.importorskip("tensorboard")
    pytest.importorskip("mlflow")
    monkeypatch.setattr(tracking, "LAST_SECONDS", 300.0)  # a machine may be busy
    down = "mlflow:http://127.0.0.1:9"
    found = normlab("compare", photos, *tiny, "--track", "tensorboard", "--track", down)
    assert found.code == 0, found.err
    assert "tensorboard --logdir photos-study/trackers/tensorboard" in found.out
    assert "2 runs not there yet" in found.out
    assert f"normlab track photos-study --to {down}" in found.out
    assert len(list((scratch / "photos-study/trackers/tensorboard").rglob("events*"))) >= 3
    assert "tensorboard" in (scratch / "photos-study/study.toml").read_text()


def test_a_finished_study_is_sent(normlab, study: Path) -> None:
    pytest.importorskip("tensorboard")
    found = normlab("track", study, "--to", "tensorboard")
    assert found.code == 0, found.err
    assert "tensorboard · 2 runs · look: tensorboard --logdir" in found.out


@pytest.mark.slow
def test_a_server_that_is_down(normlab, study: Path) -> None:
    pytest.importorskip("mlflow")
    found = normlab("track", study, "--to", "mlflow:http://127.0.0.1:9")
    found.assert_one_sentence("127.0.0.1:9 did not take 2 runs", "run the command again")


def test_bad_input(normlab, photos, study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    normlab("track", study).assert_one_sentence("--to mlflow")
    normlab("track", study, "--to", "mlflo").assert_one_sentence("did you mean 'mlflow'")
    normlab("track", "nowhere", "--to", "mlflow").assert_one_sentence("no study plan at")
    normlab("compare", photos, "--track", "mlflow:nowhere", "--out", "x").assert_one_sentence(
        "mlflow:http://127.0.0.1:5000", "'nowhere'"
    )
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    normlab("compare", photos, "--track", "wandb", "--out", "x").assert_one_sentence(
        'pip install "normlab[wandb]"'
    )
    assert not Path("x").exists()
