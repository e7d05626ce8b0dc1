"""One run from end to end: train, and predict by its network, from a folder, a table, pixels."""

from __future__ import annotations

import csv
import re
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.mark.usefixtures("no_report")
def test_train_and_predict(normlab, photos, scratch) -> None:
    options = ("--epochs", "2", "--image-size", "8", "--model", "resnet8", "--batch-size", "4")
    result = normlab("train", "photos", "--norm", "gn:groups=8", *options)
    assert result.code == 0, result.err
    assert "plan     1 norm × 1 block = 1 run · " in result.out
    assert re.search(r"^epoch +train loss +accuracy +validation loss +accuracy$", result.out, re.M)
    assert re.search(r"^2 +\d\.\d{3} +\d+\.\d +\d\.\d{3} +\d+\.\d$", result.out, re.MULTILINE)
    assert re.search(r"^macro F1 +\d+\.\d +\d+\.\d +\d+\.\d$", result.out, re.MULTILINE)
    assert re.search(r"^weights +photos-gn-groups=8-run/runs/b00-gn-\w+/weights", result.out, re.M)
    assert "compare" in result.out.splitlines()[-1]
    (folder,) = scratch.glob("*-run")
    table = normlab("predict", folder, "photos")
    assert table.code == 0, table.err
    rows = list(csv.reader(StringIO(table.out)))
    assert rows[0] == ["path", "class", "bright", "dark", "striped"]
    assert [row[0] for row in rows[1:]] == [str(p) for p in sorted(Path("photos").rglob("*.png"))]
    for row in rows[1:]:
        probabilities = [float(value) for value in row[2:]]
        assert sum(probabilities) == pytest.approx(1, abs=1e-5)
        assert row[1] == rows[0][2 + int(np.argmax(probabilities))]
    single = normlab("predict", folder, rows[1][0])
    alone = list(csv.reader(StringIO(single.out)))[1]
    assert alone[:2] == rows[1][:2]
    # Sums of a batch of another size may be rounded otherwise in the last digit that is printed.
    expected = [float(value) for value in rows[1][2:]]
    assert [float(value) for value in alone[2:]] == pytest.approx(expected, abs=2e-6)


@pytest.fixture
def run(study) -> Path:
    return next(study.glob("runs/b00-bn-*"))


def test_predict_from_the_form_of_the_course(normlab, photos, run, scratch) -> None:
    """3·S·S values a line, all red first, without a header; one class id a line, same order."""
    paths = sorted(photos.rglob("*.png"))[::-1]
    lines = []
    for path in paths:
        pixels = np.asarray(Image.open(path).convert("RGB")).transpose(2, 0, 1)
        lines.append(",".join(map(str, pixels.ravel())))
    (scratch / "values.csv").write_text("\n".join(lines) + "\n")
    result = normlab("predict", run, "values.csv", "--out", "new/classes.csv")
    assert result.out == "written to new/classes.csv\n"
    ids = [int(line) for line in (scratch / "new" / "classes.csv").read_text().splitlines()]
    table = list(csv.reader(StringIO(normlab("predict", run, "photos").out)))
    classes = table[0][2:]
    by_path = {row[0]: classes.index(row[1]) for row in table[1:]}
    assert ids == [by_path[str(path.relative_to(scratch))] for path in paths]


def test_predict_leaves_out_what_is_no_image(normlab, photos, run) -> None:
    good = normlab("predict", run, "photos").out
    (photos / "dark" / "00b.png").write_text("not a picture")
    result = normlab("predict", run, "photos")
    assert result.code == 0
    assert result.out == good
    assert result.err.splitlines()[0] == "normlab: photos/dark/00b.png is not an image; left out"
    assert "24 images with a label: accuracy" in result.err
    assert "rows: the true class; columns: the predicted one" in result.err


def test_predict_takes_the_recommended_network_and_a_table(normlab, photos, study, scratch) -> None:
    """A table with labels (as check --fix writes one) gives classes, and scores beside them."""
    names = [p.relative_to(scratch) for p in sorted(photos.rglob("*.png"))]
    rows = "".join(f"{name},{name.parent.name},train\n" for name in names)
    (scratch / "table.csv").write_text(f"path,label,part\n{rows}")
    result = normlab("predict", study, "table.csv", "--out", "classes.csv")
    assert result.code == 0, result.err
    assert result.err.startswith("network  ")
    assert "24 images with a label: accuracy" in result.out
    assert len((scratch / "classes.csv").read_text().splitlines()) == 25
    one = normlab("predict", study, names[0], "--arm", "gn", "--block", "1")
    assert "network  gn, block 1 (as you asked)" in one.err
    assert len(one.out.splitlines()) == 2


def test_a_terminal_gets_the_class_first(normlab, photos, run, monkeypatch) -> None:
    monkeypatch.setattr("normlab.cli.verbs.predict.SHOWN", 2)
    monkeypatch.setattr("normlab.cli.verbs.predict.is_for_people", lambda: True)
    lines = normlab("predict", run, "photos").out.splitlines()
    assert re.match(r"(bright|dark|striped) +\d+ %  photos/bright/00.png  else ", lines[0])
    assert lines[2] == "… and 22 more images; --out FILE.csv has them all"
