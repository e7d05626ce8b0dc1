"""The three parts: a partition by groups, fixed where it judges, resampled where it selects."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from normlab.data.scan import Manifest
from normlab.data.split import Split, make_split
from normlab.errors import DataError
from normlab.records.schema import DataSpec


def manifest(labels: list[int], groups: list[int] | None = None, parts: list[str] | None = None):
    count = len(labels)
    return Manifest(
        location="made",
        classes=tuple(f"class {i}" for i in range(max(labels) + 1)),
        names=np.array([f"{i}.png" for i in range(count)]),
        labels=np.array(labels),
        parts=np.array(parts or [""] * count),
        hashes=np.array([f"h{g}" for g in (groups or range(count))]),
        widths=np.zeros(count, int),
        heights=np.zeros(count, int),
        unreadable=(),
    )


SPEC = DataSpec(fingerprint="f", classes=("a", "b"), image_size=8)


def parts_of(split: Split) -> list[np.ndarray]:
    return [split.train, split.selection, split.evaluation]


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.integers(6, 30), min_size=2, max_size=5),
    st.integers(0, 5),
    st.integers(0, 3),
    st.randoms(use_true_random=False),
)
def test_a_partition_by_groups(counts, copies, block, random) -> None:
    """Peers: "train and validation overlap by integer ~indices". Every image, once, with copies."""
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    groups = list(range(len(labels)))
    for _ in range(copies):  # within a class or across classes
        groups[random.randrange(len(labels))] = groups[random.randrange(len(labels))]
    made = manifest(labels, groups)
    split = make_split(made, SPEC, seed=1, block=block)
    together = np.concatenate(parts_of(split))
    assert len(np.unique(together)) == len(together)
    assert len(together) + split.removed_copies == len(labels)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        a, b = (set(made.groups[parts_of(split)[i]]) for i in (one, other))
        assert not a & b
    for part in parts_of(split):
        assert set(made.labels[part]) == set(range(len(counts)))


def test_fractions_are_kept_in_every_class() -> None:
    made = manifest([0] * 100 + [1] * 50)
    split = make_split(made, SPEC, seed=0, block=0)
    assert np.bincount(made.labels[split.evaluation]).tolist() == [20, 10]
    assert np.bincount(made.labels[split.selection]).tolist() == [8, 4]


def test_evaluation_is_fixed_and_selection_is_resampled() -> None:
    made = manifest([0] * 60 + [1] * 60)
    splits = [make_split(made, SPEC, seed=3, block=block) for block in range(4)]
    assert all(np.array_equal(s.evaluation, splits[0].evaluation) for s in splits)
    assert len({tuple(s.selection) for s in splits}) == 4
    again = make_split(made, SPEC, seed=3, block=2)
    assert all(map(np.array_equal, parts_of(again), parts_of(splits[2])))
    other = make_split(made, SPEC, seed=4, block=0)
    assert not np.array_equal(other.evaluation, splits[0].evaluation)


def test_the_users_own_val_is_the_evaluation_part() -> None:
    parts = (["train"] * 20 + ["val"] * 5) * 2
    made = manifest([0] * 25 + [1] * 25, parts=parts)
    split = make_split(made, SPEC, seed=0, block=0)
    assert split.evaluation.tolist() == np.flatnonzero(made.parts == "val").tolist()
    assert set(made.parts[np.concatenate([split.train, split.selection])]) == {"train"}
    assert len(split.selection) == 4


def test_with_a_test_part_val_selects() -> None:
    parts = (["train"] * 10 + ["val"] * 4 + ["test"] * 6) * 2
    made = manifest([0] * 20 + [1] * 20, parts=parts)
    split = make_split(made, SPEC, seed=0, block=0)
    for part, name in zip(parts_of(split), ("train", "val", "test"), strict=True):
        assert part.tolist() == np.flatnonzero(made.parts == name).tolist()


def test_copies_across_the_users_parts_leave_training() -> None:
    parts = (["train"] * 10 + ["val"] * 4) * 2
    groups = list(range(28))
    groups[0] = groups[10]  # a training image is a copy of one in val
    groups[15] = groups[25]
    made = manifest([0] * 14 + [1] * 14, groups, parts)
    split = make_split(made, SPEC, seed=0, block=0)
    assert {10, 25} <= set(split.evaluation)
    assert not {0, 15} & {*split.train, *split.selection}
    assert split.removed_copies == 2


@pytest.mark.parametrize("parts", [["train"] * 8, ["val"] * 4 + ["test"] * 4])
def test_parts_that_do_not_suffice(parts: list[str]) -> None:
    with pytest.raises(DataError, match="it needs train and val"):
        make_split(manifest([0, 1] * 4, parts=parts), SPEC, seed=0, block=0)


def test_a_class_of_copies_is_too_small() -> None:
    made = manifest([0] * 8 + [1] * 8, [0] * 8 + list(range(1, 9)))
    with pytest.raises(DataError, match=r"class 'class 0' has 8 images, too few to be in the"):
        make_split(made, SPEC, seed=0, block=0)
