"""AU12: shares that cannot be, and numbers that may honestly lie outside of 0 and 1."""

from __future__ import annotations

import pytest

from normlab.stats.audit.rules import audit


def outside(
    tables_of, heads: str, *rows: str, title: str = "Test results"
) -> list[tuple[str, str]]:
    """(kind, value) of what AU12 finds."""
    report = audit(tables_of("\n".join([title, heads, *rows]) + "\n", "t.csv"))
    return [(one.kind, one.values[0]) for one in report.findings if one.code == "AU12"]


@pytest.mark.parametrize(
    ("heads", "rows", "found"),
    [
        ("n,test accuracy", ["BN,83.3%", "GN,104.1%"], ("certain", "104.1%")),
        ("n,test accuracy", ["BN,.833", "GN,104.1 %"], ("certain", "104.1%")),
        ("n,acc", ["BN,.833", "LN,.82", "GN,1.041"], ("certain", "1.041")),
        ("n,acc", ["BN,.833", "GN,1.041"], ("question", "1.041")),  # one epoch on 1000 classes?
        ("n,acc", ["BN,83.3", "GN,910"], ("certain", "910")),
        ("n,acc,macro F1", ["BN,.84,.82", "GN,.83,1.2", "LN,.8,.79"], ("certain", "1.2")),
        ("metric,BN,GN,LN", ["acc,.83,1.04,.84", "loss,.5,.6,.7"], ("certain", "1.04")),
        ("n,acc", ["BN,.83", "GN,-0.04", "LN,.80", "IN,.84"], ("question", "-0.04")),
        ("n,acc,macro F1", ["BN,.83,.82", "GN,-0.04,.81", "LN,.80,.79"], ("certain", "-0.04")),
        ("metric,BN,GN,LN", ["acc,.83,-.04,.84", "macro F1,.82,.81,.83"], ("certain", "-.04")),
        ("n,error", ["BN,6.1 %", "GN,-5.8 %", "LN,6.3 %"], ("question", "-5.8%")),
        ("n,acc", ["BN,104.1 %"], ("question", "104.1%")),
        ("n,acc", ["BN,100 %", "GN,104.1 %", "LN,103.0 %"], ("question", "104.1%")),
        ("n,acc retained", ["BN,98 %", "GN,97 %", "LN,101.0 %"], ("question", "101.0%")),
    ],
)  # fmt: skip
def test_outside(tables_of, heads, rows, found) -> None:
    assert outside(tables_of, heads, *rows) == [found]


@pytest.mark.parametrize(
    ("heads", "rows"),
    [
        ("n,acc", ["BN,.98", "GN,1.04", "LN,1.02"]),  # at chance on 100 classes
        ("n,acc (%)", ["BN,.98", "GN,1.04", "LN,.97"]),
        ("n,acc", ["BN,.83", "GN,.84", "LN,86.9"]),  # a sign is missing
        ("n,acc", ["BN,94.2", "GN,1.3", "LN,.1"]),
        ("n,acc", ["BN,.52 %", "GN,1.04", "LN,.9"]),
        ("n,acc", ["BN,94.2", "w/o norm,-1.3", "w/o mixup,-.4"]),
        ("n,acc", ["BN,94.2", "GN,94.1", "GN vs. BN,-.1"]),
        ("n,acc", ["BN,94.2", "GN,94.1", "LN,94.1", ",-.1"]),
        ("n,acc,macro F1", ["BN,94.2,94", "GN,94.1,93", "LN,94,92", "ours,-.1,+.2"]),
        ("n,acc,accuracy gain", ["BN,94.2,-.3", "GN,94.1,.1"]),
        ("n,error", ["BN,61 %", "GN,104 %"]),
        ("n,error", [".98,.98", "1.3,1.3", "1.1,1.2"]),
        ("n,loss", ["BN,-.3", "GN,1.3", "LN,1.2"]),
    ],
)
def test_what_may_be_honest(tables_of, heads, rows) -> None:
    assert outside(tables_of, heads, *rows) == []


def test_heads_that_name_no_metric_are_asked(tables_of) -> None:
    rows = ["BN,32,81.2", "GN,64,82.3", "LN,128,83.4"]
    found = outside(tables_of, "net,neurons,CIFAR-10", *rows, title="Test accuracy of networks")
    assert found == [("question", "128")]


def test_a_row_below_zero_is_held_against_nothing_else(tables_of) -> None:
    """Whether it is a difference or a slip, none of its digits is a count or an F1."""
    rows = ("BN,.83,.83", "GN,-0.04,.81", "LN,.80,.80")
    text = "\n".join(["Test results", "n,acc,micro F1", *rows]) + "\n"
    assert [one.code for one in audit(tables_of(text, "t.csv")).certain] == ["AU12"]


def test_a_loss_below_zero_says_nothing_of_its_row(tables_of) -> None:
    """The logarithm of a density may be positive."""
    text = "\n".join(["Test results", "n,loss,acc,micro F1", "BN,-1.2,.83,.85"]) + "\n"
    assert [one.code for one in audit(tables_of(text, "t.csv")).certain] == ["AU02"]
