"""Groups of near copies: found once, kept, and what the split makes of them."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from normlab.data.check.run import check_data
from normlab.data.dataset import load_data
from normlab.data.duplicates import near_duplicates as near
from normlab.data.duplicates.near_duplicates import (
    DUPLICATES_VERSION,
    copy_level,
    group_duplicates,
    known_duplicates,
    with_duplicates,
)
from normlab.data.duplicates.pair_file import Decisions, read_pairs, write_pairs
from normlab.data.duplicates.search_pairs import find_near_duplicates
from normlab.data.scan import joined
from normlab.data.split import make_split
from normlab.errors import DataError, UsageError
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
    found = with_duplicates(plain)
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
    first = with_duplicates(dataset).manifest.groups
    monkeypatch.setattr(near, "find_duplicates", None)
    assert np.array_equal(with_duplicates(dataset).manifest.groups, first)
    again = with_duplicates(load_data(str(mirrored), 24))  # at another size, the same groups
    assert np.array_equal(again.manifest.groups, first)


@pytest.mark.slow
def test_a_damaged_entry_is_made_again(mirrored: Path, cache: Path) -> None:
    dataset = load_data(str(mirrored), 16)
    first = with_duplicates(dataset).manifest.groups
    (entry,) = (cache / "groups").glob(f"*-{DUPLICATES_VERSION}.npz")
    entry.write_bytes(b"half")
    assert np.array_equal(with_duplicates(dataset).manifest.groups, first)


def test_where_they_are_not_looked_for(
    mirrored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = load_data(str(mirrored), 16)
    with monkeypatch.context() as patch:
        patch.setattr(near, "LARGEST_SEARCHED", 10)
        assert with_duplicates(dataset).manifest.duplicates == 0
    with monkeypatch.context() as patch:
        patch.setattr(near, "LEAST_SIDE", 64)
        assert with_duplicates(dataset).manifest.duplicates == 0
    lines = ["path,label,group"] + [
        f"photos/{path.parent.name}/{path.name},{path.parent.name},{path.name[:1]}"
        for path in sorted(mirrored.rglob("*.png"))
    ]
    (tmp_path / "table.csv").write_text("\n".join(lines))
    table = with_duplicates(load_data(str(tmp_path / "table.csv"), 16)).manifest
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
    manifest = with_duplicates(load_data(str(mirrored), 16)).manifest
    assert np.array_equal(manifest.groups, found)


@pytest.mark.slow
def test_studies_of_the_first_version_keep_their_groups(mirrored: Path, cache: Path) -> None:
    """`near` is the search without verification, kept apart in the cache."""
    dataset = load_data(str(mirrored), 16)
    first = with_duplicates(dataset, "near").manifest
    assert first.duplicates == 10
    assert len(list((cache / "groups").glob("*-1.npz"))) == 1
    again = find_near_duplicates(
        load_data(str(mirrored), near.COMPARED_AT).images, dataset.manifest.hashes.tolist()
    )
    assert np.array_equal(first.near_duplicate_groups, again.groups)
    assert again.certain.all()


def test_names_of_the_levels() -> None:
    assert copy_level("near") == "duplicates"  # the old name
    with pytest.raises(
        UsageError, match=r"unknown kind of copies 'looks'; did you mean 'look-alikes'"
    ):
        copy_level("looks")


def test_decisions_are_read_back(mirrored: Path, tmp_path: Path) -> None:
    """Rejected pairs part; accepted ones join, whatever they look like; equal bytes stay."""
    dataset = load_data(str(mirrored), 16)
    manifest = dataset.manifest
    found = known_duplicates(dataset)
    assert found.certain.sum() == 10
    table = tmp_path / "pairs.csv"
    write_pairs(manifest, found, Decisions(), table)
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [row["name"] for row in rows] == ["duplicate"] * 10
    rows[0]["decision"] = "reject"
    one, two = str(manifest.hashes[1]), str(manifest.hashes[-1])
    rows.append({**rows[0], "decision": "Accept", "first_sha256": two, "second_sha256": one})
    save(rows, table)
    grouped = group_duplicates(dataset, pairs=table)
    groups = grouped.dataset.manifest.groups
    parted = found.pairs[0]
    assert groups[parted[0]] != groups[parted[1]]
    assert grouped.pairs.duplicates == 9  # nothing joins a pair that was not found
    write_pairs(manifest, grouped.pairs, grouped.decisions, table)
    assert [row["decision"] for row in csv.DictReader(table.read_text().splitlines())] == [
        "reject",
        *[""] * 9,
    ]


def test_look_alikes_are_grouped_on_request(
    mirrored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = load_data(str(mirrored), 16)
    found = known_duplicates(dataset)
    doubtful = replace(found, certain=np.arange(len(found)) < 4)
    monkeypatch.setattr(near, "known_duplicates", lambda *_, **__: doubtful)
    assert group_duplicates(dataset).pairs.duplicates == 4
    assert group_duplicates(dataset, "look-alikes").pairs.duplicates == 10
    assert group_duplicates(dataset, "exact").pairs.duplicates == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decision": "maybe"}, "line 2: decision 'maybe' is neither 'accept' nor 'reject'"),
        ({"first_sha256": "0" * 64}, "is of another data set: 10 of its 10 pairs"),
    ],
)
def test_a_table_of_pairs_that_is_refused(
    mirrored: Path, tmp_path: Path, change: dict[str, str], message: str
) -> None:
    dataset = load_data(str(mirrored), 16)
    table = tmp_path / "pairs.csv"
    write_pairs(dataset.manifest, known_duplicates(dataset), Decisions(), table)
    rows = list(csv.DictReader(table.read_text().splitlines()))
    save([{**row, **change} for row in rows], table)
    with pytest.raises(DataError, match=message):
        with_duplicates(dataset, pairs=table)
    with pytest.raises(DataError, match="with exact copies no pairs are looked for"):
        with_duplicates(dataset, "exact", pairs=table)


def test_a_table_that_is_none(mirrored: Path, tmp_path: Path) -> None:
    dataset = load_data(str(mirrored), 16)
    with pytest.raises(DataError, match="normlab check writes one beside"):
        read_pairs(tmp_path / "none.csv", dataset.manifest)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="has no column 'decision'"):
        read_pairs(tmp_path / "other.csv", dataset.manifest)


def test_a_set_that_changes_while_it_is_read(mirrored: Path) -> None:
    dataset = load_data(str(mirrored), 16)
    (mirrored / "a" / "01.png").unlink()
    with pytest.raises(DataError, match="was changed while it was read"):
        with_duplicates(dataset)


def save(rows: list[dict[str, str]], path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
