"""The examples with Lightning, transformers, segmentation_models_pytorch and MONAI, as they are."""

from __future__ import annotations

import json
import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from real_libraries import make_torchvision_importable

EXAMPLES = Path(__file__).parents[1] / "examples"
Run = Callable[..., list[str]]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of the libraries, about themselves
]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """run("monai", "monai_volumes.py"): what the example prints, or a skip by name."""

    def start(library: str, name: str, *arguments: object) -> list[str]:
        make_torchvision_importable()
        pytest.importorskip(library, reason=f"{library} is not installed")
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        capsys.readouterr()
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out.splitlines()

    return start


def test_lightning(run: Run) -> None:
    """Frozen in the first epoch, also where Lightning does not know the norm; then they move."""
    moved = "statistics moved in epoch 1: False, in epoch 2: True"
    assert run("pytorch_lightning", "lightning_module.py") == [
        f"bn: {moved}; 0 gates, in [0, 1]: True",
        f"bin: {moved}; 7 gates, in [0, 1]: True",
    ]


def test_hugging_face(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    converted, loaded = run("transformers", "hugging_face_saved.py", folder)
    count = int(re.match(r"(\d+) norms converted, 0 missed", converted)[1])
    assert loaded == f"loaded again from {folder}: GroupNorm2d; the same logits: True"
    (noted,) = json.loads((folder / "config.json").read_text())["normlab_norms"]
    assert (noted["norm"], len(noted["layers"])) == ("gn:groups=8~", count)


def test_segmentation(run: Run) -> None:
    converted, losses = run("segmentation_models_pytorch", "segmentation_library.py")
    assert re.fullmatch(r"\d\d norms converted, 0 missed", converted)
    first, last = map(float, re.findall(r"\d\.\d+", losses))
    assert last < first - 0.05


def test_volumes(run: Run) -> None:
    lines = run("monai", "monai_volumes.py")
    assert len(lines) == 2
    for line, after in zip(lines, ("GroupNorm2d", "LayerNorm2d"), strict=True):
        assert line.startswith(f"InstanceNorm3d → {after}: ")
        first, last = map(float, re.findall(r"\d\.\d+", line))
        assert last < first
