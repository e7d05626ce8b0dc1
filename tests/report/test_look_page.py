"""The first look: every class and part, escaped, in one file."""

from __future__ import annotations

import re

import numpy as np

from normlab.records.data_report import DataReport, Evidence, Finding
from normlab.report.page.look_page import CLASSES, EACH, render_look_page


def report(classes: tuple[str, ...], images: int, *findings: Finding) -> DataReport:
    return DataReport(
        source="<i>photos</i>",
        fingerprint="f",
        classes=classes,
        images=images,
        parts={},
        facts=(),
        findings=findings,
        passed=(),
        seconds=0.0,
    )


def finding(code: str, severity: str, *names: str) -> Finding:
    return Finding(
        code=code,
        title="found",
        severity=severity,
        count=1,
        message=f"Of {code}.",
        remedy="Mend it.",
        evidence=(Evidence(names=names),),
    )


def page(classes: tuple[str, ...], each: int, *findings: Finding, parts: tuple[str, ...] = ("",)):
    labels = np.repeat(np.arange(len(classes)), each * len(parts))
    own = np.tile(np.repeat(np.array(parts), each), len(classes))
    names = [f"{classes[label]}/{number}.png" for number, label in enumerate(labels)]
    pixels = np.zeros((8, 8, 3), np.uint8)
    found = report(classes, len(names), *findings)
    return names, render_look_page(found, names, labels, own, lambda index: pixels + index % 250)


def test_a_few_images_of_every_class_part_by_part() -> None:
    _, html = page(("cat", "dog"), 20, parts=("train", "val"))
    assert re.findall(r"<p>(\w+): 20</p>", html) == ["train", "validation"] * 2
    assert html.count("<img ") == 2 * 2 * EACH


def test_everything_is_escaped_and_within_the_file() -> None:
    names, html = page(('"><script>alert(1)</script>', "b"), 3)
    assert "<script" not in html
    assert "<i>photos" not in html
    assert all(
        address.startswith("data:image/jpeg;base64,")
        for address in re.findall(r'src="([^"]*)"', html)
    )
    assert "http" not in re.sub(r'http-equiv|"default-src[^"]*"', "", html)
    assert len(names) == html.count("<img ")


def test_a_class_that_a_part_lacks() -> None:
    labels, parts = np.array([0, 0, 1]), np.array(["train", "val", "val"])
    found = report(("a", "b"), 3)
    html = render_look_page(
        found, ["1", "2", "3"], labels, parts, lambda _: np.zeros((4, 4, 3), np.uint8)
    )
    assert '<p class="missing">train: none</p>' in html


def test_the_worst_findings_come_first() -> None:
    names, _ = page(("a", "b"), 2)
    _, html = page(("a", "b"), 2, finding("DC031", "note"), finding("DC013", "error", names[1]))
    assert html.index("Of DC013.") < html.index("Of DC031.")
    assert html.count("<img ") == 5


def test_a_page_of_many_classes_says_how_many_it_shows() -> None:
    _, html = page(tuple(f"c{n:03d}" for n in range(100)), 1)
    assert f"{CLASSES} of 100 classes are shown." in html
    assert html.count("<img ") == CLASSES
