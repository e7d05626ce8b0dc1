"""Every check of the data on pictures made to have the fault, and on pictures without it."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from normlab.data.check.base import DataToCheck, data_checks
from normlab.data.check.corners import flat_corners
from normlab.data.check.files import header_facts
from normlab.data.check.fix import write_fixed
from normlab.data.check.run import CheckedData, check_data
from normlab.data.check.shortcuts import name_pattern, wilson
from normlab.data.dataset import load_data
from normlab.errors import DataError
from normlab.records.data_report import DataReport
from normlab.report.page.check_page import render_check_page

SIZE = 48
Paint = Callable[[np.random.Generator, int], np.ndarray]


def scene(generator: np.random.Generator, label: int) -> np.ndarray:
    """A picture of its own: smooth noise with blobs, alike in all classes."""
    coarse = generator.integers(0, 256, (7, 7, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    pixels = np.array(image)
    for _ in range(6):
        y, x = generator.integers(4, SIZE - 8, 2)
        pixels[y : y + 5, x : x + 5] = generator.integers(0, 256, 3)
    return pixels


def collection(
    root: Path, paint: Paint = scene, counts: tuple[int, ...] = (60, 60, 60), seed: int = 0
) -> Path:
    """photos/<class>/<number>.png"""
    generator = np.random.default_rng(seed)
    for label, count in enumerate(counts):
        folder = root / "photos" / f"class{label}"
        folder.mkdir(parents=True)
        for number in range(count):
            Image.fromarray(paint(generator, label)).save(folder / f"{number:03d}.png")
    return root / "photos"


def codes(checked: CheckedData) -> list[str]:
    return [finding.code for finding in checked.report.findings]


def finding(checked: CheckedData, code: str):
    (found,) = [f for f in checked.report.findings if f.code == code]
    return found


@pytest.mark.slow
def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    """And every check says that it passed."""
    checked = check_data(str(collection(tmp_path)))
    assert codes(checked) == []
    assert [code for code, _ in checked.report.passed] == [check.code for check in data_checks()]
    assert checked.report.images == 180


@pytest.mark.slow
def test_files_that_are_not_what_they_seem(tmp_path: Path) -> None:
    photos = collection(tmp_path, counts=(60, 60))
    folder = photos / "class0"
    (folder / "text.jpg").write_text("no picture")
    (folder / "empty.png").write_bytes(b"")
    whole = (folder / "000.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "001.png").rename(folder / "001.jpg")
    generator = np.random.default_rng(5)
    frames = [Image.fromarray(scene(generator, 0)) for _ in range(3)]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    Image.fromarray(scene(generator, 0)).resize((9, 9)).save(folder / "tiny.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(scene(generator, 0)).save(folder / "turned.jpg", exif=exif)
    Image.fromarray(scene(generator, 0)).convert("CMYK").save(folder / "print.jpg")
    checked = check_data(str(photos))
    counts = {f.code: f.count for f in checked.report.findings}
    expected = {"DC001": 3, "DC002": 1, "DC003": 1, "DC004": 1, "DC006": 1, "DC007": 2}
    assert {code: counts.get(code) for code in expected} == expected
    assert finding(checked, "DC002").evidence[0].names == ("class0/001.jpg",)
    assert "class0/empty.png: is empty" in finding(checked, "DC001").message


def test_header_facts() -> None:
    assert header_facts(b"", "a.jpg") == ("", "", 0, 1, 0, "", False)


def split(photos: Path, leaks: int) -> Path:
    """Move some pictures to val/, and put mirrored copies of others there."""
    for folder in list(photos.iterdir()):
        for part in ("train", "val"):
            (photos / part / folder.name).mkdir(parents=True)
        for number, path in enumerate(sorted(folder.glob("*.png"))):
            if number < 10:
                path.rename(photos / "val" / folder.name / path.name)
            else:
                if number < 10 + leaks:
                    mirrored = Image.open(path).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
                    mirrored.save(photos / "val" / folder.name / f"leak{path.name}")
                path.rename(photos / "train" / folder.name / path.name)
        folder.rmdir()
    return photos


@pytest.mark.slow
def test_a_leak_between_the_parts(tmp_path: Path) -> None:
    photos = split(collection(tmp_path, counts=(60, 60)), leaks=5)
    checked = check_data(str(photos))
    leak = finding(checked, "DC013")
    assert leak.severity == "error"
    assert leak.count == 10
    assert leak.table[1:] == (("class0", "5", "15", "33 %"), ("class1", "5", "15", "33 %"))
    assert all(e.caption.startswith("mirrored") for e in leak.evidence)
    assert {len(e.names) for e in leak.evidence} == {2}


@pytest.mark.slow
def test_copies_with_two_labels(tmp_path: Path) -> None:
    photos = collection(tmp_path, counts=(60, 60))
    picture = Image.open(photos / "class0" / "007.png")
    picture.transpose(Image.Transpose.ROTATE_180).save(photos / "class1" / "wrong.png")
    checked = check_data(str(photos))
    conflict = finding(checked, "DC012")
    assert conflict.count == 2
    assert "class0 and class1 (1)" in conflict.message
    summary = write_fixed(checked, str(photos), tmp_path / "fixed.csv")
    assert "2 with a copy of another label left out" in summary
    rows = list(csv.DictReader((tmp_path / "fixed.csv").read_text().splitlines()))
    assert not [row for row in rows if row["path"].endswith(("wrong.png", "class0/007.png"))]


@pytest.mark.slow
@pytest.mark.parametrize("colour", ["black", "white"])
def test_corners_that_give_a_class_away(tmp_path: Path, colour: str) -> None:
    fill = {"black": 0, "white": 255}[colour]

    def paint(generator: np.random.Generator, label: int) -> np.ndarray:
        pixels = scene(generator, label)
        if label == 1:
            grid = np.add.outer(np.arange(SIZE), np.arange(SIZE))
            pixels[(grid < 12) | (grid > 2 * SIZE - 14)] = fill
        return pixels

    checked = check_data(str(collection(tmp_path, paint)))
    found = finding(checked, "DC021")
    assert found.title.startswith(colour)
    assert found.count == 60
    assert [e.caption for e in found.evidence] == ["class1: 100 %"]
    assert "DC020" in codes(checked)  # and the forest sees it too


def test_flat_corners_by_hand() -> None:
    images = np.full((3, 32, 32, 3), 128, np.uint8)
    images[0, :2, :2] = images[0, :2, -2:] = 0
    images[1, :2, :2] = 0  # one corner alone is no frame
    assert flat_corners(images)["black"].tolist() == [True, False, False]
    assert not flat_corners(images)["white"].any()


@pytest.mark.slow
def test_a_border_that_tells_the_class(tmp_path: Path) -> None:
    def paint(generator: np.random.Generator, label: int) -> np.ndarray:
        pixels = scene(generator, label)
        pixels[:3] = 60 + 60 * label + generator.integers(-9, 9, (3, SIZE, 3))
        return pixels

    checked = check_data(str(collection(tmp_path, paint)))
    titles = [f.title for f in checked.report.findings if f.code == "DC020"]
    assert "the border predicts the class" in titles


@pytest.mark.slow
def test_file_facts_that_tell_the_class(tmp_path: Path) -> None:
    photos = collection(tmp_path, counts=(60, 60))
    for path in (photos / "class1").glob("*.png"):
        Image.open(path).save(path.with_suffix(".jpg"), quality=40)
        path.unlink()
    titles = [f.title for f in check_data(str(photos)).report.findings if f.code == "DC020"]
    assert "the compression predicts the class" in titles
    assert "the file size predicts the class" in titles


@pytest.mark.slow
def test_balance_and_size(tmp_path: Path) -> None:
    photos = collection(tmp_path, counts=(90, 20))
    for path in (photos / "class1").glob("*.png"):
        Image.open(path).resize((3 * SIZE, 3 * SIZE)).convert("L").save(path)
    checked = check_data(str(photos))
    assert {"DC030", "DC031", "DC032", "DC033"} <= set(codes(checked))
    assert "class1 (20)" in finding(checked, "DC031").message


@pytest.mark.slow
def test_labels_that_the_neighbours_contradict(tmp_path: Path) -> None:
    """Two classes that look different, and three pictures under the wrong name."""

    def paint(generator: np.random.Generator, label: int) -> np.ndarray:
        ramp = np.linspace(0, 200, SIZE)[:, None, None] * np.ones((1, SIZE, 3))
        pixels = ramp if label == 0 else ramp.transpose(1, 0, 2)
        return (pixels + generator.integers(0, 55, (SIZE, SIZE, 3))).astype(np.uint8)

    photos = collection(tmp_path, paint, counts=(80, 80))
    for number in range(3):
        (photos / "class0" / f"{number:03d}.png").rename(photos / "class1" / f"x{number}.png")
    found = finding(check_data(str(photos)), "DC040")
    assert found.count == 3
    assert {e.names[0] for e in found.evidence} == {f"class1/x{k}.png" for k in range(3)}


@pytest.mark.slow
def test_the_fixed_table_keeps_photographs_together(tmp_path: Path) -> None:
    photos = split(collection(tmp_path, counts=(60, 60)), leaks=8)
    checked = check_data(str(photos))
    write_fixed(checked, str(photos), tmp_path / "fixed.csv")
    fixed = load_data(str(tmp_path / "fixed.csv"), 16).manifest
    assert set(fixed.parts) == {"train", "val"}
    assert len(fixed) == len(checked.dataset.manifest)
    by_group: dict[int, set[str]] = {}
    for group, part in zip(fixed.groups, fixed.parts, strict=True):
        by_group.setdefault(int(group), set()).add(str(part))
    assert all(len(parts) == 1 for parts in by_group.values())
    assert len(by_group) < len(fixed)
    for label in range(2):
        share = (fixed.parts[fixed.labels == label] == "val").mean()
        assert abs(share - 18 / 68) < 0.04
    assert "DC013" not in codes(check_data(str(tmp_path / "fixed.csv")))


@pytest.mark.slow
@pytest.mark.parametrize("per_patient", ["one class", "both classes"])
def test_the_fixed_table_keeps_the_groups_of_a_table(tmp_path: Path, per_patient: str) -> None:
    """Patients stay on one side, beside copies."""
    photos = collection(tmp_path, counts=(60, 60))
    names = sorted(path.relative_to(tmp_path).as_posix() for path in photos.rglob("*.png"))
    patient = {
        name: int(Path(name).stem) % 12
        + (12 * ("class1" in name) if per_patient == "one class" else 0)
        for name in names
    }
    rows = [f"{name},{Path(name).parent.name},p{patient[name]}" for name in names]
    table = tmp_path / "patients.csv"
    table.write_text("\n".join(["path,label,group", *rows]))
    write_fixed(check_data(str(table)), str(table), tmp_path / "fixed.csv")
    fixed = load_data(str(tmp_path / "fixed.csv"), 16).manifest
    assert len(fixed) == 120
    sides: dict[int, set[str]] = {}
    for name, part in zip(fixed.names, fixed.parts, strict=True):
        sides.setdefault(patient[str(name)], set()).add(str(part))
    assert all(len(parts) == 1 for parts in sides.values())
    assert (fixed.parts == "val").mean() == pytest.approx(0.2, abs=0.05)


@pytest.mark.slow
def test_patients_on_both_sides_are_a_leak(tmp_path: Path) -> None:
    photos = collection(tmp_path, counts=(60, 60))
    names = sorted(path.relative_to(tmp_path).as_posix() for path in photos.rglob("*.png"))
    rows = [
        f"{name},{Path(name).parent.name},{'val' if k % 5 == 0 else 'train'},p{k // 10}"
        for k, name in enumerate(names)
    ]
    table = tmp_path / "patients.csv"
    table.write_text("\n".join(["path,label,part,group", *rows]))
    found = finding(check_data(str(table)), "DC013")
    assert found.count == 24
    assert "an image of the same group" in found.message


@pytest.mark.slow
def test_a_table_leads_into_a_zip(tmp_path: Path) -> None:
    photos = collection(tmp_path, counts=(60, 60))
    archive = tmp_path / "photos.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(photos.rglob("*.png")):
            file.write(path, path.relative_to(tmp_path).as_posix())
    checked = check_data(str(archive))
    write_fixed(checked, str(archive), tmp_path / "fixed.csv")
    first = (tmp_path / "fixed.csv").read_text().splitlines()[1]
    assert first.startswith("photos.zip/photos/class0/000.png,class0,")
    table = load_data(str(tmp_path / "fixed.csv"), 16)
    assert len(table.manifest) == 120
    assert np.array_equal(table.images, load_data(str(photos), 16).images)


@pytest.mark.slow
def test_what_cannot_be_fixed(tmp_path: Path) -> None:
    checked = check_data(str(collection(tmp_path, counts=(60, 60))))
    with pytest.raises(DataError, match="writes the paths of image files"):
        write_fixed(checked, "demo:digits", tmp_path / "fixed.csv")


@pytest.mark.slow
def test_the_page_is_escaped_and_whole(tmp_path: Path) -> None:
    photos = split(collection(tmp_path, counts=(60, 60)), leaks=3)
    evil = "<script>alert(1)</script>"
    for part in ("train", "val"):
        (photos / part / "class0").rename(photos / part / evil.replace("/", "⁄"))
    checked = check_data(str(photos))
    manifest, images = checked.dataset.manifest, checked.dataset.images
    index = {str(name): k for k, name in enumerate(manifest.names)}
    page = render_check_page(checked.report, lambda name: images[index[name]])
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert page.count("data:image/jpeg;base64,") >= 6
    assert "http://" not in page
    assert "https://" not in page
    again = DataReport.model_validate_json(json.dumps(checked.report.model_dump(mode="json")))
    assert again == checked.report


def test_name_patterns_and_intervals() -> None:
    assert name_pattern("IMG_0042-a.JPG") == "a_9-a.a"
    low, high = wilson(0, 20)
    assert low == 0
    assert 0.1 < high < 0.2


def test_every_code_is_explained_in_the_documentation() -> None:
    text = (Path(__file__).parents[3] / "docs" / "data-check.md").read_text(encoding="utf-8")
    for check in data_checks():
        section = text.partition(f"### {check.code}\n")[2].partition("###")[0]
        assert section.startswith("**"), check.code
        assert f"** ({check.severity}" in section, check.code


def test_the_short_form_needs_the_manifest_and_the_pixels_alone(tmp_path: Path) -> None:
    dataset = load_data(str(collection(tmp_path)), 32)
    data = DataToCheck(dataset.manifest, dataset.images)
    short = [check for check in data_checks() if check.short]
    assert [check.code for check in short] == [
        *("DC009", "DC013", "DC021", "DC022", "DC030", "DC031", "DC032", "DC033"),
    ]
    assert all(check(data) == () for check in short)
