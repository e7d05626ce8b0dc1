"""The command on a real small study: files, facts, and one sentence for each bad input."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from normlab.cli.main import app
from normlab.errors import NormlabError, StorageError, UnknownNameError, UsageError
from normlab.explain.arms import choose_arms, run_of
from normlab.explain.drawing import colour, overlay
from normlab.explain.gallery import GalleryOptions, make_gallery
from normlab.explain.photographs import Photograph, input_box
from normlab.records.robustness import CORRUPTIONS
from normlab.records.store import RunFolder
from normlab.report.explanation import Explanation

RIGHT = "<b>right & dark"


def explain(*arguments: object) -> str:
    found = CliRunner().invoke(app, ["explain", *map(str, arguments)])
    if isinstance(found.exception, NormlabError):
        raise found.exception
    assert found.exit_code == 0, found.output
    return found.output


@pytest.mark.slow
def test_gallery(study, tmp_path: Path) -> None:
    said = explain(study.folder, "--arms", "all", "--images", 2, "--classes", RIGHT,
                   "--faithfulness", "--out", tmp_path)  # fmt: skip
    assert "random" in said
    page = (tmp_path / "index.html").read_text()
    assert "&lt;b&gt;right &amp; dark" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    facts = json.loads((tmp_path / "explain.json").read_text())
    assert {arm["arm"] for arm in facts["arms"]} == {"bn", "gn"}
    assert facts["arms"][0]["accuracy"] >= facts["arms"][1]["accuracy"]
    assert facts["arms"][0]["layers"] == ["stages.2.0.norm1", "stages.2.0.norm2"]
    assert all(image["true"] == RIGHT for image in facts["images"])
    assert set(facts["faithfulness"]) == {"bn", "gn"}
    both, sheet = sorted(tmp_path.glob("*.png"), key=lambda path: path.name != "all-classes.png")
    for path in (both, sheet):
        with Image.open(path) as image:
            assert image.width > 300
    shown = Explanation.model_validate_json((tmp_path / "pictures.json").read_bytes())
    assert set(shown.arms) == {"bn", "gn"}
    assert all((tmp_path / one.overlay).is_file() for one in shown.maps)
    assert all(one.note or one.correct is not None for one in shown.maps)
    assert len(shown.corruptions) == len(CORRUPTIONS)


def test_stored_probabilities_are_those_of_the_maps_network(study) -> None:
    runs = choose_arms(study.folder, ("all",))
    gallery = make_gallery(runs, study.load_data(), GalleryOptions(images=3, scale="image"))
    for arm in gallery.arms:
        for number, name in enumerate(gallery.ids):
            row = list(arm.run.predictions.ids).index(name)
            assert arm.predicted[number] == arm.run.predictions.probabilities[row].argmax()
            assert gallery.scaled(arm, number).max() in (0, pytest.approx(1))


@pytest.mark.slow
def test_one_run_and_one_picture(study, picture: Path, tmp_path: Path) -> None:
    run = next((study.folder / "runs").iterdir())
    assert "correct" in explain(run, "--out", tmp_path / "gallery")
    said = explain(run, picture, "--out", tmp_path / "map.png")
    assert "%" in said
    with Image.open(tmp_path / "map.png") as image:
        assert image.size == (8 * 21, 8 * 35)  # the photograph's own proportions


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1"])
def test_pictures_of_any_mode(study, tmp_path: Path, mode: str) -> None:
    path = tmp_path / "picture.png"
    Image.new("RGB", (40, 9), "red").convert(mode).save(path)
    run = next((study.folder / "runs").iterdir())
    explain(run, path, "--out", tmp_path / "map.png")


def test_bad_input(study, tmp_path: Path, picture: Path) -> None:
    run = next((study.folder / "runs").iterdir())
    with pytest.raises(UnknownNameError, match="did you mean 'striped'"):
        explain(study.folder, "--classes", "stripes")
    with pytest.raises(UnknownNameError, match="finished arm"):
        explain(study.folder, "--arms", "bin")
    with pytest.raises(UsageError, match="there is no"):
        explain(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="one run"):
        explain(run, "--arms", "bn")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(UsageError, match="is not an image"):
        explain(run, tmp_path / "text.png")
    copy = tmp_path / "study"
    shutil.copytree(study.folder, copy)
    runs = sorted((copy / "runs").iterdir())
    shutil.copy(runs[0] / "weights.safetensors", runs[1] / "weights.safetensors")
    outcome = RunFolder(runs[0]).read_outcome()
    RunFolder(runs[0]).write_outcome(outcome.model_copy(update={"status": "diverged"}))
    with pytest.raises(UsageError, match="ended as diverged"):
        run_of(copy, runs[0])
    (runs[1] / "outcome.json").unlink()
    with pytest.raises(UsageError, match="is not finished"):
        explain(runs[1], picture)
    with pytest.raises(UsageError, match="has no finished run"):
        explain(copy)


def test_damaged_weights(study, tmp_path: Path) -> None:
    copy = tmp_path / "study"
    shutil.copytree(study.folder, copy)
    for run in (copy / "runs").iterdir():
        (run / "weights.safetensors").write_bytes(b"nothing")
    with pytest.raises(
        StorageError, match=r"weights.safetensors was changed after the run had ended"
    ):
        explain(copy)


def test_colours_grow_lighter_with_the_value() -> None:
    strip = colour(np.linspace(0, 1, 50)[None]).astype(float)
    assert np.all(np.diff(strip @ [0.2126, 0.7152, 0.0722]) > 0)


def test_the_overlay_is_where_the_map_is() -> None:
    values = np.zeros((8, 8))
    values[1, 6] = 1
    drawn = overlay(np.full((8, 8, 3), 128, np.uint8), values)
    assert np.unravel_index(drawn.sum(2, dtype=int).argmax(), (8, 8)) == (1, 6)
    assert (drawn[values == 0] == 128).all()  # where there is no evidence the picture stays


@pytest.mark.parametrize(
    ("resize", "place"), [("squash", (3.5, 14.5)), ("fit", (2.5, 14.5)), ("crop", (3.5, 12))]
)
def test_a_map_lies_where_the_network_looked(resize: str, place: tuple[float, float]) -> None:
    picture = Photograph(np.zeros((10, 20, 3), np.uint8), input_box(20, 10, resize))
    values = np.zeros((10, 10))
    values[3:5, 7] = 1
    drawn = picture.laid_on(values)
    assert drawn.shape == (10, 20)
    centre = [float(np.average(index, weights=drawn)) for index in np.indices(drawn.shape)]
    assert np.allclose(centre, place, atol=1.2)
    assert picture.seen.all() == (resize != "crop")
