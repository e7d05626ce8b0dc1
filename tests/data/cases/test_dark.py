"""Values of 10 or 12 bits in files of 16: said with their range, and not scaled by a guess."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from normlab.data.check.base import DataToCheck
from normlab.data.check.files import deep_range, read_facts
from normlab.data.check.integrity import nearly_black
from normlab.data.check.run import quick_findings
from normlab.data.dataset import load_data
from normlab.data.decode import decode
from normlab.data.sources import open_source


def photographs(folder: Path, top: int) -> Path:
    generator = np.random.default_rng(0)
    for label in "ab":
        (folder / label).mkdir(parents=True)
        for number in range(4):
            pixels = generator.integers(0, top + 1, (24, 24)).astype(np.uint16)
            pixels[0, :2] = 0, top
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    return folder


@pytest.mark.parametrize(("top", "bits"), [(1023, 10), (4095, 12)])
def test_a_camera_of_few_bits(tmp_path: Path, top: int, bits: int) -> None:
    dataset = load_data(str(photographs(tmp_path, top)), 24)
    facts = read_facts(open_source(str(tmp_path)), dataset.manifest.names.tolist())
    (found,) = nearly_black(DataToCheck(dataset.manifest, dataset.images, facts))
    assert f"8 images (100 %) are nearly black, range 0 to {top} of 65535: a/0" in found.message
    assert found.remedy.startswith(
        f"Their values have {bits} bits in files of 16: multiply them by"
    )
    (short,) = (f for f in quick_findings(dataset) if f.code == "DC022")  # `compare` says it too
    assert "are nearly black, no value above" in short.message


def test_the_whole_range_is_not_dark(tmp_path: Path) -> None:
    dataset = load_data(str(photographs(tmp_path, 65535)), 24)
    assert nearly_black(DataToCheck(dataset.manifest, dataset.images)) == ()


def test_a_few_pictures_of_the_night_are_none(tmp_path: Path) -> None:
    dataset = load_data(str(photographs(tmp_path, 65535)), 24)
    images = np.concatenate([np.array(dataset.images)] * 8)
    images[5] //= 10
    assert nearly_black(DataToCheck(dataset.manifest, images)) == ()


def test_pixels_stay_as_they_were(tmp_path: Path) -> None:
    """Studies rest on them: 16 bits are scaled by 255/65535, whatever is used of them."""
    path = photographs(tmp_path, 4095) / "a" / "0.png"
    values = np.asarray(Image.open(path)).astype(float)
    pixels, _, _ = decode(path.read_bytes(), 24, "squash")
    np.testing.assert_array_equal(pixels[..., 0], (values * (255 / 65535)).round())


def test_the_range_of_other_files(tmp_path: Path) -> None:
    assert deep_range(b"", "RGB") == (-1, -1)
    assert deep_range(b"broken", "I;16") == (-1, -1)
