"""The inputs that went wrong for users, where they lie beside the repository."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from normlab.data.check.run import check_data
from normlab.data.dataset import load_data
from normlab.data.sources import open_source
from normlab.errors import DataError


@pytest.fixture(scope="session")
def cases() -> Path:
    folder = Path(__file__).parents[4] / "shared" / "cases"
    if not folder.is_dir():
        pytest.skip("the cases in ../shared/cases are not here")
    return folder


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("comma-class", {"cat": 8, "dog, big": 8}),
        ("csv-backslashes/data/t.csv", {"cat": 4, "dog": 4}),
        ("dim-16-bit", {"a": 6, "b": 6}),
        ("excel-sep/data/t.csv", {"cat": 4, "dog": 4}),
        ("seg-train-test", {"sea": 8, "street": 8}),
        ("synology-eadir", {"cat": 4, "dog": 4}),
    ],
)
def test_cases_that_are_read(cases: Path, name: str, counts: dict[str, int]) -> None:
    path = cases / name if name.endswith(".csv") else cases / name / "data"
    manifest = load_data(str(path), 16, for_training=True).manifest
    assert manifest.counts() == counts
    assert not manifest.unreadable
    if name == "seg-train-test":
        assert Counter(manifest.parts.tolist()) == {"train": 8, "test": 8}


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("class-only-in-val", "class 'c' is in val alone; train has none of it"),
        ("variants-as-classes", r"all hold the same folders .* give one of them: .*/data/color"),
    ],
)
def test_cases_that_are_refused(cases: Path, name: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        load_data(str(cases / name / "data"), 16, for_training=True)


@pytest.mark.shared
def test_endings_that_were_not_read(cases: Path) -> None:
    source = open_source(str(cases / "unknown-endings" / "data"))
    assert {"a", "b", "c"} <= {item.label for item in source.items()}
    missing = "class 'd' is missing: 4 files with the ending .heic were not read (d 4)"
    if "d" not in {item.label for item in source.items()}:
        assert source.notes[0].text == missing


@pytest.mark.shared
@pytest.mark.slow
def test_twelve_bits_in_sixteen(cases: Path) -> None:
    findings = check_data(str(cases / "dim-16-bit" / "data")).report.findings
    found = next(finding for finding in findings if finding.code == "DC022")
    assert "nearly black, range 208 to 3808 of 65535" in found.message
