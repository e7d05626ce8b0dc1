"""Numbers as papers print them."""

from __future__ import annotations

import pytest

from normlab.stats.audit.numbers import is_missing, parse_cell, uses_decimal_commas


@pytest.mark.parametrize(
    ("text", "value", "decimals"),
    [
        ("94.60", 94.6, 2),
        (".9460", 0.946, 4),
        ("94.60%", 94.6, 2),
        ("94.60 %†", 94.6, 2),
        ("94.60*", 94.6, 2),
        ("94.60¹", 94.6, 2),
        ("94.60[1]", 94.6, 2),
        ("94.60 (epoch 12)", 94.6, 2),
        ("94.60 (↑1.2)", 94.6, 2),
        ("94.60 ↑", 94.6, 2),
        ("1,013.01", 1013.01, 2),
        ("1'013.5", 1013.5, 1),
        ("1 013.5", 1013.5, 1),
        ("1.013,5", 1013.5, 1),
        ("7,500", 7500, 0),
        ("-0.5", -0.5, 1),
        ("−0.5", -0.5, 1),
        ("–0.5", -0.5, 1),
        ("—0.5", -0.5, 1),
        ("1.2e-3", 0.0012, 4),
        ("1.2×10⁻³", 0.0012, 4),
        ("1.2 × 10^{-3}", 0.0012, 4),
    ],
)
def test_one_number(text: str, value: float, decimals: int) -> None:
    (number,) = parse_cell(text)
    assert number is not None
    assert (number.value, number.decimals) == (pytest.approx(value), decimals)


def test_decimal_commas() -> None:
    assert uses_decimal_commas(["0,9460", "–", "1,5"])
    assert uses_decimal_commas(["12,586", "87,413"])  # no accuracy is 12586
    assert not uses_decimal_commas(["94.60", "1,013.01"])
    (number,) = parse_cell("0,9460", decimal_comma=True)
    assert number is not None
    assert (number.value, number.decimals) == (0.946, 4)


@pytest.mark.parametrize(
    ("text", "spread", "aside", "exact"),
    [
        ("94.29 ± .09", True, False, True),
        ("94.29 +/- .09", True, False, True),
        ("94.29±0.09%", True, False, True),
        ("94.29 (± 0.09)", True, False, True),
        ("94.29 [94.1, 94.5]", True, False, True),
        ("94.29(9)", True, False, True),
        ("94.5 (85.9)", False, True, True),
        ("94.5 (+0.3)", False, False, True),
        ("~70", False, False, False),
        ("<0.1", False, False, False),
    ],
)
def test_what_stands_beside(text: str, spread: bool, aside: bool, exact: bool) -> None:
    (number,) = parse_cell(text)
    assert number is not None
    assert (number.spread, number.aside, number.exact) == (spread, aside, exact)


def test_slashes() -> None:
    assert [n and n.value for n in parse_cell("24.96/7.85")] == [24.96, 7.85]
    assert [n and n.value for n in parse_cell("25.0/-")] == [25.0, None]


@pytest.mark.parametrize("text", ["ResNet-18", "8×32", "32x4d", "a/b", "10:30", "v1.2.3"])
def test_no_number(text: str) -> None:
    assert parse_cell(text) == ()


@pytest.mark.parametrize("text", ["", "-", "–", "—", "−", "n/a", "N/A", "TODO", "--"])
def test_missing(text: str) -> None:
    assert is_missing(text)
    assert not is_missing("0")
