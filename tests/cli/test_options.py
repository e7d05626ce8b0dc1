"""Values written with commas."""

from __future__ import annotations

import pytest

from normlab.cli.options import split_list, split_names, split_numbers
from normlab.errors import UnknownNameError, UsageError


def test_commas_inside_options_do_not_split() -> None:
    assert split_list("bn, gn:groups=4,eps=1e-3 ,none,") == ("bn", "gn:groups=4,eps=1e-3", "none")
    assert split_list("") == ()


def test_numbers() -> None:
    assert split_numbers("0.1,1e-3", float, "--rates") == (0.1, 1e-3)
    with pytest.raises(UsageError, match="--rates takes numbers with commas, got 'x'"):
        split_numbers("1,x", int, "--rates")


def test_names_of_classes_with_commas() -> None:
    """`--classes "dog, big"` could not name the class, and the error suggested that very name."""
    known = ["cat", "dog, big", 'a "b"', "true"]
    assert split_names(["dog, big"], known) == ("dog, big",)
    assert split_names(['cat,"dog, big"', "true"], known) == ("cat", "dog, big", "true")
    assert split_names(['a "b"', " cat , true ,"], known) == ('a "b"', "cat", "true")
    assert split_names([], known) == ()
    assert split_names(["dog,big"], known) == ("dog", "big")
    assert split_names(["dog, big,cat,Hut"], known) == ("dog, big", "cat", "Hut")


def test_an_error_quotes_a_name_with_a_comma() -> None:
    error = UnknownNameError("class", "dog", ["cat", "dog, big"])
    assert str(error).endswith("available: cat, 'dog, big'")
