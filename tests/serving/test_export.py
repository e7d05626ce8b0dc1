"""Exports say what the run said; their files are read back as others read them."""

from __future__ import annotations

import doctest
import json
import math
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image, ImageOps
from torch import nn

import normlab
from normlab.data.dataset import load_data
from normlab.data.decode import RESIZES, decode
from normlab.errors import MissingExtraError, UnknownNameError, UsageError
from normlab.records.store import RunFolder
from normlab.serving.export import card, check, forms, write
from normlab.serving.export.card import RESIZED, SCRIPT, model_card
from normlab.serving.export.check import CheckPictures, allowed, check_close, rounding_error
from normlab.serving.export.forms import facts
from normlab.serving.export.program import trace
from normlab.serving.export.write import export
from normlab.serving.predictor import Predictor
from normlab.stats.data.reading import read_study
from normlab.study.study import Study
from tiny_studies import tiny_plan, write_pictures

NORMS = ("bn", "bin", "gn:groups=4")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("export")
    plan = tiny_plan(
        write_pictures(folder / "pictures"),
        factors={"norm": list(NORMS), "learning_rate": [0.02], "batch_size": [4]},
    )
    dataset = load_data(plan.data.source, 8, cache=folder / "cache")
    made = Study.create(folder / "study", plan, dataset)
    for _ in made.run(dataset):
        pass
    return made


def run_of(study: Study, norm: str) -> Path:
    return next(r.folder for r in study.records() if r.spec.norm.startswith(norm.partition(":")[0]))


def check_pictures(run: Path) -> CheckPictures:
    pictures = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 3), np.uint8)
    expected = np.stack(list(Predictor.load(run).probabilities(iter(pictures))))
    return CheckPictures(pictures, expected, "nine pictures")


@pytest.mark.slow
@pytest.mark.parametrize("norm", NORMS)
def test_onnx(study: Study, norm: str, tmp_path: Path) -> None:
    """By onnxruntime, at another size too, with what one must know in the metadata."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    run = run_of(study, norm)
    check = check_pictures(run)
    made = export(run, ["onnx"], tmp_path / "out", check)
    assert dict(made.differences)["onnx"] <= 1e-5
    assert made.traced.folded == (made.traced.norms if norm == "bn" else 0)
    assert made.traced.multiple == 4
    session = onnxruntime.InferenceSession(str(tmp_path / "out" / "model.onnx"))
    meta = session.get_modelmeta().custom_metadata_map
    assert json.loads(meta["classes"]) == ["bright", "dark", "striped"]
    assert meta["norm"] == Predictor.load(run).spec.norm
    other = np.random.default_rng(1).integers(0, 256, (1, 12, 20, 3), np.uint8)
    (found,) = session.run(None, {"pictures": other})
    with torch.no_grad():
        expected = made.traced.module(torch.from_numpy(other)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_folder(study: Study, tmp_path: Path) -> None:
    """By normlab.load, and by the card's own script in a process without normlab."""
    run, out = run_of(study, "bin"), tmp_path / "out"
    made = export(run, ["hf", "folder"], out, check_pictures(run), read_study(study.folder))
    assert dict(made.differences)["folder"] <= 1e-5
    write_turned(out / "picture.jpg")
    shares = normlab.load(out).classify(out / "picture.jpg")
    assert shares == normlab.load(run).classify(out / "picture.jpg")
    best = max(shares, key=lambda name: shares[name])
    config = json.loads((out / "config.json").read_text())
    assert config["id2label"]["0"] == "bright"
    readme = (out / "README.md").read_text()
    for part in ("pipeline_tag: image-classification", "## Verdict", "fingerprint", "limits"):
        assert part in readme
    script = readme.split("With torch alone:\n\n```python\n")[1].split("```")[0]
    refusing = "import sys; sys.modules['normlab'] = None\n"
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", refusing + script],
        cwd=out, capture_output=True, text=True, check=True,
    )  # fmt: skip
    said, share = found.stdout.rsplit(maxsplit=1)
    assert said == best
    assert float(share) == pytest.approx(shares[best], abs=1e-5)


def write_turned(path: Path) -> None:
    """A photograph that lies on its side, as cameras store them."""
    shades = np.linspace(0, 255, 90 * 120 * 3).reshape(90, 120, 3).astype(np.uint8)
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    Image.fromarray(shades).save(path, exif=turned)


@pytest.mark.parametrize("resize", RESIZES)
def test_the_cards_script_prepares_pictures_as_training_did(resize: str, tmp_path: Path) -> None:
    script = SCRIPT.replace("RESIZED", RESIZED[resize])
    prepare = script[script.index("picture = ") : script.index("pixels = ")]
    write_turned(tmp_path / "turned.jpg")
    clear = np.random.default_rng(0).integers(0, 256, (20, 30, 4), np.uint8)
    Image.fromarray(clear).save(tmp_path / "clear.png")
    for path in (tmp_path / "turned.jpg", tmp_path / "clear.png"):
        names = {"Image": Image, "ImageOps": ImageOps, "side": 16}
        exec(prepare.replace("picture.jpg", str(path)), names)
        expected, _, _ = decode(path.read_bytes(), 16, resize)
        np.testing.assert_array_equal(np.asarray(names["picture"]), expected)


def test_the_card_shows_names_as_they_are(study: Study) -> None:
    record = RunFolder(run_of(study, "bn")).read(rows=False)
    names = ("cats, big", "<100%>", "a`b")
    data = record.spec.data.model_copy(update={"classes": names})
    strange = replace(record, spec=record.spec.model_copy(update={"data": data}))
    said = model_card(strange, None, "of any size")
    assert "into 3 classes: `cats, big`, `<100%>`, ``a`b``." in said
    assert doctest.testmod(card).failed == 0


def test_a_folder_is_for_one_run(study: Study, tmp_path: Path) -> None:
    run, other, out = run_of(study, "bn"), run_of(study, "bin"), tmp_path / "out"
    export(run, ["torch"], out, check_pictures(run))
    before = (out / "model.pt2").read_bytes()
    with pytest.raises(UsageError, match=r"out holds model.pt2, which is not of the run \w{12}"):
        export(other, ["folder"], out, check_pictures(other))
    assert [path.name for path in out.iterdir()] == ["model.pt2"]
    assert (out / "model.pt2").read_bytes() == before
    export(run, ["folder"], out, check_pictures(run))
    assert (out / "README.md").exists()
    for name in ("model.pt2", "config.json"):  # what is left says nothing of its run
        (out / name).unlink()
    with pytest.raises(UsageError, match=r"holds README.md"):
        export(run, ["folder"], out, check_pictures(run))


@pytest.mark.slow
def test_the_program_for_onnx_says_its_run(study: Study, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    run, other = run_of(study, "bn"), run_of(study, "bin")
    for _ in range(2):
        export(run, ["onnx"], tmp_path, check_pictures(run))
    with pytest.raises(UsageError, match=r"holds model.onnx"):
        export(other, ["onnx"], tmp_path, check_pictures(other))


def test_padding_as_tensorflows_is_exported_for_its_size_alone(study: Study) -> None:
    """⌈side / stride⌉ of a free side is traced, and torch.export.save raises an AssertionError."""
    predictor = Predictor.load(run_of(study, "bn"))
    predictor = replace(predictor, network=nn.Sequential(PaddedAsTensorFlow(), predictor.network))
    pictures = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 3), np.uint8)
    expected = np.stack(list(predictor.probabilities(iter(pictures))))
    traced = trace(predictor, torch.from_numpy(pictures), 1e-5)
    assert (traced.multiple, traced.sizes) == (0, "of its size alone")
    with tempfile.TemporaryDirectory() as folder:
        answers = forms.write_program(traced, facts(predictor, traced), Path(folder) / "model.pt2")
    assert np.abs(answers(pictures) - expected).max() <= 1e-5


class PaddedAsTensorFlow(nn.Module):
    """A mean of 3 × 3 with stride 2, and padding so that ⌈side / 2⌉ come out."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows, columns = (max((math.ceil(side / 2) - 1) * 2 + 3 - side, 0) for side in x.shape[-2:])
        padded = nn.functional.pad(
            x, [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2]
        )
        return nn.functional.interpolate(nn.functional.avg_pool2d(padded, 3, 2), x.shape[-2:])


def test_nothing_is_written_that_is_not_exact(study: Study, tmp_path: Path) -> None:
    run = run_of(study, "bn")
    check = check_pictures(run)
    wrong = CheckPictures(check.pictures, check.probabilities + 0.002, "nine pictures")
    with pytest.raises(UsageError, match=r"torch cannot be exact.*nothing was written.*0\.003"):
        export(run, ["torch"], tmp_path / "out", wrong)
    assert not list(tmp_path.iterdir())
    with pytest.raises(UsageError, match="the run computed in bfloat16"):
        check_close("onnx", 0.01, 1e-5, "bfloat16")


def test_rounding_is_that_of_the_network_and_not_of_its_records(study: Study) -> None:
    """A network whose last digits are lost on purpose has more; other probabilities do not."""
    predictor = Predictor.load(run_of(study, "bn"))
    pictures = check_pictures(run_of(study, "bn")).pictures
    plain = rounding_error(predictor, pictures)
    assert 0 < plain < 1e-6
    assert allowed(plain) == 1e-5
    predictor.network.register_forward_hook(lambda _, args, logits: logits + 3000.0 - 3000.0)
    lossy = rounding_error(predictor, pictures)  # 3000 + x has 2⁻¹² for its last digit
    assert 5e-6 < lossy < 1e-4
    assert allowed(lossy) == max(1e-5, 2 * lossy)
    assert doctest.testmod(check).failed == 0


@pytest.mark.slow
def test_an_export_may_be_as_far_from_the_run_as_its_rounding_explains(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(study, "bn")
    said = check_pictures(run)
    moved = said.probabilities + np.float32(1.5e-5)
    moved = CheckPictures(said.pictures, moved, "nine pictures")
    monkeypatch.setattr(write, "rounding_error", lambda *_: 9e-6)
    made = export(run, ["torch"], tmp_path / "out", moved)
    assert (made.rounding, (tmp_path / "out" / "model.pt2").exists()) == (9e-6, True)
    with pytest.raises(UsageError, match=r"by up to 1\.5e-05, and 1e-05 is allowed"):
        export(run, ["torch"], tmp_path / "other", moved, tolerance=1e-5)


def test_bad_input(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(study, "bn")
    check = check_pictures(run)
    with pytest.raises(UnknownNameError, match="did you mean 'onnx'"):
        export(run, ["onx"], tmp_path / "out", check)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        export(run, ["torch"], tmp_path / "file", check)
    with pytest.raises(UsageError, match="no weights at"):
        export(tmp_path, ["torch"], tmp_path / "out", check)
    with pytest.raises(UsageError, match="holds no network"):
        normlab.load(tmp_path)
    monkeypatch.setattr(forms, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"normlab\[onnx\]"):
        export(run, ["onnx"], tmp_path / "out", check)
