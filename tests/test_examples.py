"""The scripts in examples/ run as they are, and print what they are there to show."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from normlab.norms import registry

EXAMPLES = Path(__file__).parents[1] / "examples"
TESTED = {
    "layers_in_torch.py",
    "own_norm.py",
    "convert_network.py",
    "study.py",
    "read_records.py",
    "predict.py",
    "ask_a_study.py",
    "own_training_segmentation.py",
}

WITH_LIBRARIES = {
    "lightning_module.py",
    "hugging_face_saved.py",
    "segmentation_library.py",
    "monai_volumes.py",
}
"""Those of tests/test_examples_with_libraries.py."""


@pytest.fixture
def run(monkeypatch, capsys):
    """run("study.py", folder) as if it had been typed; gives the lines it printed."""

    def start(name: str, *arguments: Path) -> list[str]:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        capsys.readouterr()
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out.splitlines()

    return start


def test_every_example_is_tested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == TESTED | WITH_LIBRARIES


def test_every_example_is_on_the_page() -> None:
    page = (EXAMPLES.parent / "docs" / "examples.md").read_text(encoding="utf-8")
    assert all(f"../examples/{name}" in page for name in TESTED | WITH_LIBRARIES)


def test_layers_in_torch(run) -> None:
    losses = [float(line.split()[-1]) for line in run("layers_in_torch.py")]
    assert len(losses) == 10
    assert losses[-1] < losses[0]


def test_own_norm(run, monkeypatch) -> None:
    monkeypatch.setattr(registry, "NORMS", registry.NORMS)  # put back afterwards
    assert run("own_norm.py") == ["torch.Size([2, 3])"]


@pytest.mark.slow
def test_the_contract_of_the_own_norm() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "own_norm.py"]
    done = subprocess.run(command, cwd=EXAMPLES, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert " passed in " in done.stdout


def test_convert_network(run) -> None:
    lines = run("convert_network.py")
    assert lines[0] == "2 normalizations converted to gn:groups=4"
    assert float(lines[-1].split()[-1]) < 1e-5


@pytest.mark.slow
def test_study_then_records_then_predictions(run, tmp_path) -> None:
    study = tmp_path / "digits-study"
    lines = run("study.py", study)
    assert sum(line.endswith(": finished") for line in lines) == 4
    assert lines[-1].startswith("Not judged yet (first look at 3 complete blocks), from 2 so far")
    again = run("study.py", study)
    assert again == lines[-1:]  # nothing was left to do

    records = run("read_records.py", study)
    assert sum(" finished " in line for line in records) == 4
    assert records[-1] == "8 epochs in 4 runs"

    predictions = run("predict.py", study)
    assert len(predictions) == 5
    assert all(0 <= float(line.split()[-1]) <= 1 for line in predictions)

    asked = run("ask_a_study.py", study)
    assert asked[0].startswith("<Study ")
    assert "4 of 4 runs ended, 2 blocks" in asked[0]
    assert any(line.split()[:1] == ["bn"] for line in asked)
    assert asked[-1].startswith("the first digit is a ")


@pytest.mark.slow
def test_own_training(run, tmp_path) -> None:
    printed = run("own_training_segmentation.py", tmp_path / "shapes", "1")
    assert sum(", dice 0." in line for line in printed) == 3
    assert (tmp_path / "shapes" / "study.toml").exists()


def run_notebook(name: str, **variables: str | Path) -> str:
    """The cells of a notebook in one process, without its commands to the notebook itself."""
    content = json.loads((EXAMPLES / name).read_text(encoding="utf-8"))
    cells = ["".join(c["source"]) for c in content["cells"] if c["cell_type"] == "code"]
    code = "\n".join(cell for cell in cells if not cell.startswith("%"))
    environment = {**os.environ, **{key: str(value) for key, value in variables.items()}}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kaggle.ipynb", "colab.ipynb"])
def test_notebooks_go_on_where_they_stopped(name: str, tmp_path: Path) -> None:
    """The first sitting is too short; the second one has the study's folder somewhere else."""
    options = (
        "--norms bn --blocks 1 --epochs 2000 --image-size 8 --model cifar-resnet8 --device cpu"
    )
    first, second = tmp_path / "first", tmp_path / "second"
    assert "not finished" in run_notebook(
        name, OPTIONS=options, BUDGET="9s", OUTPUT=first, INPUT=tmp_path / "none"
    )
    begun = (first / "study" / "study.toml").read_text()
    if name == "colab.ipynb":
        shutil.copytree(first, second)
    assert "not finished" in run_notebook(
        name, OPTIONS=options, BUDGET="9s", OUTPUT=second, INPUT=first
    )
    assert (second / "study" / "study.toml").read_text() == begun
    assert (second / "study" / "report" / "index.html").exists()
