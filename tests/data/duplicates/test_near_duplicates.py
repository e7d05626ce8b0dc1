"""Groups of near copies: found once, kept, and what the split makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from normlab.data.check.run import check_data
from normlab.data.dataset import load_data
from normlab.data.duplicates import near_duplicates as near
from normlab.data.duplicates.near_duplicates import with_near_duplicates
from normlab.data.scan import joined
from normlab.data.split import make_split
from normlab.records.run import DataSpec


@pytest.fixture
def mirrored(tmp_path: Path) -> Path:
    """Two classes of 20 pictures; the mirror image of every fourth lies beside it."""
    generator = np.random.default_rng(0)
    for label in "ab":
        folder = tmp_path / "photos" / label
        folder.mkdir(parents=True)
        for number in range(20):
            coarse = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            image = Image.fromarray(coarse).resize((48, 48), Image.Resampling.BICUBIC)
            image.save(folder / f"{number:02d}.png")
            if number % 4 == 0:
                image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / f"{number}m.png")
    return tmp_path / "photos"


@pytest.mark.slow
def test_near_copies_share_a_group_and_a_side(mirrored: Path) -> None:
    plain = load_data(str(mirrored), 16)
    assert plain.manifest.duplicates == 0
    found = with_near_duplicates(plain)
    manifest = found.manifest
    assert (manifest.duplicates, manifest.exact_duplicates) == (10, 0)
    assert manifest.fingerprint == plain.manifest.fingerprint
    assert manifest.groups_hash != plain.manifest.groups_hash
    data = DataSpec(fingerprint="", classes=manifest.classes, image_size=16)
    for block in range(5):
        split = make_split(manifest, data, 0, block)
        parts = [set(manifest.groups[part]) for part in (split.train, split.validation)]
        parts.append(set(manifest.groups[split.test]))
        assert not parts[0] & parts[1]
        assert not parts[0] & parts[2]
        assert not parts[1] & parts[2]
        assert sum(map(len, (split.train, split.validation, split.test))) == len(manifest)


@pytest.mark.slow
def test_they_are_found_once(mirrored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = load_data(str(mirrored), 16)
    first = with_near_duplicates(dataset).manifest.groups
    monkeypatch.setattr(near, "find_duplicates", None)
    assert np.array_equal(with_near_duplicates(dataset).manifest.groups, first)
    again = with_near_duplicates(load_data(str(mirrored), 24))  # at another size, the same groups
    assert np.array_equal(again.manifest.groups, first)


def test_a_damaged_entry_is_made_again(mirrored: Path, cache: Path) -> None:
    dataset = load_data(str(mirrored), 16)
    first = with_near_duplicates(dataset).manifest.groups
    (entry,) = (cache / "groups").glob("*.npz")
    entry.write_bytes(b"half")
    assert np.array_equal(with_near_duplicates(dataset).manifest.groups, first)


def test_where_they_are_not_looked_for(
    mirrored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = load_data(str(mirrored), 16)
    with monkeypatch.context() as patch:
        patch.setattr(near, "LARGEST_SEARCHED", 10)
        assert with_near_duplicates(dataset).manifest.duplicates == 0
    with monkeypatch.context() as patch:
        patch.setattr(near, "LEAST_SIDE", 64)
        assert with_near_duplicates(dataset).manifest.duplicates == 0
    lines = ["path,label,group"] + [
        f"photos/{path.parent.name}/{path.name},{path.parent.name},{path.name[:1]}"
        for path in sorted(mirrored.rglob("*.png"))
    ]
    (tmp_path / "table.csv").write_text("\n".join(lines))
    table = with_near_duplicates(load_data(str(tmp_path / "table.csv"), 16)).manifest
    assert len(np.unique(table.groups)) == len({line.split(",")[2] for line in lines[1:]})


def test_joined_by_any_key() -> None:
    keys = [np.array([0, 1, 2, 3]), np.array([5, 5, 6, 7]), np.array([1, 2, 2, 3])]
    assert joined(keys).tolist() == [0, 0, 0, 1]
    assert joined(keys[1:2]).tolist() == [0, 0, 1, 2]


@pytest.mark.slow
def test_what_a_check_found_is_not_looked_for_again(
    mirrored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = check_data(str(mirrored)).duplicates.groups
    monkeypatch.setattr(near, "find_duplicates", None)
    manifest = with_near_duplicates(load_data(str(mirrored), 16)).manifest
    assert np.array_equal(manifest.near_duplicate_groups, found)
