"""The three parts: a partition by groups, fixed where it judges, resampled where it selects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from normlab.data.scan import Manifest
from normlab.data.split import Split, make_split
from normlab.errors import DataError
from normlab.records.run import DataSpec


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
    return [split.train, split.validation, split.test]


def left_out(made: Manifest, split: Split) -> int:
    """Images that are in no part."""
    return len(made) - sum(map(len, parts_of(split)))


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.integers(6, 30), min_size=2, max_size=5),
    st.integers(0, 5),
    st.integers(0, 3),
    st.randoms(use_true_random=False),
)
def test_a_partition_by_groups(counts, duplicates, block, random) -> None:
    """Peers: "train and validation overlap by integer `~indices`": the split is a partition."""
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    groups = list(range(len(labels)))
    for _ in range(duplicates):  # within a class or across classes
        groups[random.randrange(len(labels))] = groups[random.randrange(len(labels))]
    made = manifest(labels, groups)
    split = make_split(made, SPEC, seed=1, block=block)
    together = np.concatenate(parts_of(split))
    assert len(np.unique(together)) == len(together)
    assert len(together) == len(labels)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        a, b = (set(made.groups[parts_of(split)[i]]) for i in (one, other))
        assert not a & b
    for part in parts_of(split):
        assert set(made.labels[part]) == set(range(len(counts)))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(4, 25), min_size=3, max_size=3),
    st.integers(0, 12),
    st.sampled_from([("",), ("train", "val"), ("train", "test"), ("train", "val", "test")]),
    st.integers(0, 3),
    st.randoms(use_true_random=False),
)
def test_any_data_is_split_soundly_or_refused(counts, duplicates, parts, block, random) -> None:
    """Small classes, many copies, the source's own parts: no group on two sides, ever."""
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    groups = list(range(len(labels)))
    for _ in range(duplicates):
        groups[random.randrange(len(labels))] = groups[random.randrange(len(labels))]
    own = [
        random.choice([*parts, parts[0]]) if index >= len(parts) else parts[index]
        for index in range(len(labels))
    ]
    made = manifest(labels, groups, own)
    try:
        split = make_split(made, SPEC, seed=2, block=block)
    except DataError:
        event("refused")
        return
    event("split")
    together = np.concatenate(parts_of(split))
    assert len(np.unique(together)) == len(together)
    groups = [set(made.groups[part]) for part in parts_of(split)]
    assert len(set().union(*groups)) == sum(map(len, groups))
    assert all(set(made.labels[part]) == {0, 1, 2} for part in parts_of(split))
    assert all(np.array_equal(part, np.sort(part)) for part in parts_of(split))
    if parts == ("",):
        assert left_out(made, split) == 0
    else:
        judge = "test" if "test" in parts else "val"
        assert np.array_equal(split.test, np.flatnonzero(made.parts == judge))
        assert set(made.parts[split.train]) == {"train"}
        selects = "val" if parts == ("train", "val", "test") else "train"
        assert set(made.parts[split.validation]) == {selects}


def test_the_smallest_class_is_in_every_part() -> None:
    made = manifest([0] * 3 + [1] * 3)
    for block in range(5):
        split = make_split(made, SPEC, seed=0, block=block)
        for part in parts_of(split):
            assert made.labels[part].tolist() == [0, 1]


def test_a_fraction_near_one_leaves_training_an_image() -> None:
    spec = SPEC.model_copy(update={"validation_fraction": 0.95})
    made = manifest([0] * 5 + [1] * 5)
    split = make_split(made, spec, seed=0, block=0)
    assert made.labels[split.train].tolist() == [0, 1]
    assert len(split.validation) == 6


def test_all_copies_of_an_image_go_together() -> None:
    """Half of each class are copies of one image; they lie on one side in every block."""
    made = manifest(
        [0] * 20 + [1] * 20, [0] * 10 + list(range(1, 11)) + [11] * 10 + [*range(12, 22)]
    )
    for block in range(6):
        split = make_split(made, SPEC, seed=1, block=block)
        for first in (0, 20):
            duplicates = set(range(first, first + 10))
            assert sum(duplicates <= set(part.tolist()) for part in parts_of(split)) == 1
        assert left_out(made, split) == 0


def test_fractions_are_kept_in_every_class() -> None:
    made = manifest([0] * 100 + [1] * 50)
    split = make_split(made, SPEC, seed=0, block=0)
    assert np.bincount(made.labels[split.test]).tolist() == [20, 10]
    assert np.bincount(made.labels[split.validation]).tolist() == [8, 4]


@pytest.mark.parametrize(("classes", "patients"), [(2, 50), (5, 50), (10, 50), (20, 200)])
def test_groups_that_span_classes_are_counted_in_each(classes: int, patients: int) -> None:
    """Every patient has four images of every class; a fifth of the patients is evaluated."""
    labels = [label for _ in range(patients) for label in range(classes) for _ in range(4)]
    groups = [patient for patient in range(patients) for _ in range(4 * classes)]
    made = manifest(labels)
    made = replace(made, given_groups=np.array([f"patient{g}" for g in groups]))
    split = make_split(made, SPEC, seed=0, block=0)
    shares = [len(part) / len(made) for part in parts_of(split)]
    assert shares == pytest.approx([0.72, 0.08, 0.2], abs=0.011)


def test_no_class_gives_away_its_last_group() -> None:
    """Class 1 has three of the twenty patients; they do not all go where class 0 sends them."""
    for seed in range(20):
        groups = [*range(20), 0, 1, 2]
        made = replace(
            manifest([0] * 20 + [1] * 3), given_groups=np.array([f"p{g}" for g in groups])
        )
        split = make_split(made, SPEC, seed=seed, block=0)
        assert all(set(made.labels[part]) == {0, 1} for part in parts_of(split))


def test_evaluation_is_fixed_and_selection_is_resampled() -> None:
    made = manifest([0] * 60 + [1] * 60)
    splits = [make_split(made, SPEC, seed=3, block=block) for block in range(4)]
    assert all(np.array_equal(s.test, splits[0].test) for s in splits)
    assert len({tuple(s.validation) for s in splits}) == 4
    again = make_split(made, SPEC, seed=3, block=2)
    assert all(map(np.array_equal, parts_of(again), parts_of(splits[2])))
    other = make_split(made, SPEC, seed=4, block=0)
    assert not np.array_equal(other.test, splits[0].test)


def test_the_users_own_val_is_the_evaluation_part() -> None:
    parts = (["train"] * 20 + ["val"] * 5) * 2
    made = manifest([0] * 25 + [1] * 25, parts=parts)
    split = make_split(made, SPEC, seed=0, block=0)
    assert split.test.tolist() == np.flatnonzero(made.parts == "val").tolist()
    assert set(made.parts[np.concatenate([split.train, split.validation])]) == {"train"}
    assert len(split.validation) == 4


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
    assert {10, 25} <= set(split.test)
    assert not {0, 15} & {*split.train, *split.validation}
    assert left_out(made, split) == 2


def test_copies_across_three_parts_leave_the_part_that_does_not_judge() -> None:
    """Evaluation keeps all; selection loses its copies of it; training its copies of either."""
    parts = (["train"] * 6 + ["val"] * 4 + ["test"] * 4) * 2
    groups = list(range(28))
    groups[6] = groups[10]  # val = test
    groups[0] = groups[11]  # train = test
    groups[15] = groups[21]  # train = val
    groups[16] = groups[10]  # train = test, of another class
    made = manifest([0] * 14 + [1] * 14, groups, parts)
    split = make_split(made, SPEC, seed=0, block=0)
    assert split.test.tolist() == [*range(10, 14), *range(24, 28)]
    assert split.validation.tolist() == [*range(7, 10), *range(20, 24)]
    assert split.train.tolist() == [*range(1, 6), 14, *range(17, 20)]
    assert left_out(made, split) == 4


def test_copies_within_a_part_are_kept() -> None:
    parts = (["train"] * 10 + ["val"] * 4) * 2
    groups = [*range(28)]
    groups[1] = groups[0]
    groups[11] = groups[10]
    made = manifest([0] * 14 + [1] * 14, groups, parts)
    split = make_split(made, SPEC, seed=0, block=0)
    assert left_out(made, split) == 0
    assert {10, 11} <= set(split.test.tolist())


def test_a_class_that_the_users_val_lacks() -> None:
    made = manifest([0] * 10 + [1] * 10, parts=["train"] * 8 + ["val"] * 2 + ["train"] * 10)
    with pytest.raises(DataError, match=r"class 'class 1' has 10 images, .* test part too"):
        make_split(made, SPEC, seed=0, block=0)


@pytest.mark.parametrize(
    "parts", [["train"] * 8, ["val"] * 4 + ["test"] * 4, ["train", "val"] * 3 + [""] * 2]
)
def test_parts_that_do_not_suffice(parts: list[str]) -> None:
    with pytest.raises(DataError, match="it needs train and val"):
        make_split(manifest([0, 1] * 4, parts=parts), SPEC, seed=0, block=0)


def test_a_class_of_copies_is_too_small() -> None:
    made = manifest([0] * 8 + [1] * 8, [0] * 8 + list(range(1, 9)))
    with pytest.raises(DataError, match=r"class 'class 0' has 8 images of 1 photograph, too few"):
        make_split(made, SPEC, seed=0, block=0)


@pytest.mark.parametrize("photographs", [1, 2])
def test_hardly_any_photographs_after_copies_are_joined(photographs: int) -> None:
    """Class 1 has ten images that show one or two photographs."""
    groups = [*range(100, 110), *(row % photographs for row in range(10))]
    made = manifest([0] * 10 + [1] * 10, groups)
    words = f"class 'class 1' has 10 images of {photographs} photograph"
    with pytest.raises(DataError, match=words):
        make_split(made, SPEC, 0, 0)
    enough = manifest([0] * 10 + [1] * 10, [*range(100, 110), *(row % 3 for row in range(10))])
    assert sum(map(len, parts_of(make_split(enough, SPEC, 0, 0)))) == 20


def test_a_class_whose_every_image_is_a_copy_of_another_class() -> None:
    """No photograph is its own: all go where those of class 0 go, and nothing is torn apart."""
    made = manifest([0] * 10 + [1] * 10, [row % 10 for row in range(20)])
    split = make_split(made, SPEC, 0, 0)
    sides = [set(made.groups[part]) for part in parts_of(split)]
    assert not sides[0] & sides[1] | sides[0] & sides[2] | sides[1] & sides[2]


def test_all_images_identical() -> None:
    made = manifest([0] * 10 + [1] * 10, [7] * 20)
    with pytest.raises(DataError, match="has 10 images of 1 photograph, too few"):
        make_split(made, SPEC, 0, 0)


@pytest.mark.timeout(60)
@pytest.mark.slow
def test_a_hundred_thousand_classes() -> None:
    """Time grows with the images, not with classes × images."""
    classes = 100_000
    made = manifest(np.repeat(np.arange(classes), 3).tolist())
    split = make_split(made, SPEC, 0, 0)
    assert [len(part) for part in parts_of(split)] == [classes] * 3
