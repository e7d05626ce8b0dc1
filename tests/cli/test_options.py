"""Values written with commas."""

from __future__ import annotations

import pytest

from normlab.cli.options import split_list, split_numbers
from normlab.errors import UsageError


def test_commas_inside_options_do_not_split() -> None:
    assert split_list("bn, gn:groups=4,eps=1e-3 ,none,") == ("bn", "gn:groups=4,eps=1e-3", "none")
    assert split_list("") == ()


def test_numbers() -> None:
    assert split_numbers("0.1,1e-3", float, "--rates") == (0.1, 1e-3)
    with pytest.raises(UsageError, match="--rates takes numbers with commas, got 'x'"):
        split_numbers("1,x", int, "--rates")
