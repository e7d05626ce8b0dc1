"""The contact sheet: written and named before anything is trained."""

from __future__ import annotations

import pytest


def test_compare_writes_a_first_look(study) -> None:
    page = (study / "look.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    for label in ("bright", "dark", "striped"):
        assert f"<h3>{label}</h3>" in page


@pytest.mark.slow
def test_its_path_is_said_before_the_first_run(normlab, photos, scratch) -> None:
    options = (
        "--epochs",
        "1",
        "--image-size",
        "8",
        "--model",
        "cifar-resnet8",
        "--batch-size",
        "4",
    )
    out = normlab("train", "photos", *options, "--out", "one").out
    assert 0 < out.index("one/look.html") < out.index("block 1  bn")
    assert (scratch / "one" / "look.html").exists()
