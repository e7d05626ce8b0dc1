"""`normlab check` from end to end, and the table of checks."""

from __future__ import annotations

import json

import pytest
from PIL import Image


@pytest.mark.slow
def test_check_from_end_to_end(normlab, photos, scratch) -> None:
    result = normlab("check", "photos", "--fix", "fixed.csv", "--show-augmentation", "strong")
    assert result.code == 0, result.err
    folder = scratch / "photos-check"
    report = json.loads((folder / "check.json").read_text())
    assert report["images"] == len(list((scratch / "photos").rglob("*.png")))
    assert "DC031" in result.out  # these classes are small
    assert (folder / "index.html").read_text().startswith("<!DOCTYPE html>")
    assert "Look     photos-check/look.html" in result.out
    assert (folder / "look.html").read_text().startswith("<!DOCTYPE html>")
    with Image.open(folder / "augmentation-strong.png") as picture:
        assert picture.height > 6 * 64
    assert "normlab compare fixed.csv" in result.out
    assert normlab("check", "fixed.csv", "--out", "again").code == 0


def test_check_of_what_cannot_be(normlab, photos) -> None:
    normlab("check", "nowhere").assert_one_sentence("there is no nowhere")
    normlab("check", "photos", "--fix", "out").assert_one_sentence("does not end in .csv")
    normlab("check", "photos", "--show-augmentation", "lihgt").assert_one_sentence("light")
