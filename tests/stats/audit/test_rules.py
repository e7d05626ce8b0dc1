"""Each rule by hand: what it finds, and what it must leave alone."""

from __future__ import annotations

import pytest

from normlab.errors import UsageError
from normlab.stats.audit.known import parse_known
from normlab.stats.audit.rules import RULES, audit
from normlab.stats.audit.rules.base import Known


def table(heads: str, *rows: str, title: str = "Test results") -> str:
    names = heads.split(",")
    lines = [names, ["---"] * len(names), *(row.split(",") for row in rows)]
    return f"{title}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


@pytest.fixture
def codes(tables_of):
    """codes(text, known) → (certain codes, asked codes)."""

    def run(text: str, known: Known | None = None, name: str = "t.md"):
        report = audit(tables_of(text, name), known)
        return [o.code for o in report.certain], [o.code for o in report.questions]

    return run


CLEAN = table(
    "norm,accuracy ± sd,micro F1,macro F1", "bn,.90 ± .01,.90,.91", "gn,.80 ± .01,.80,.79"
)


def test_nothing_in_a_clean_table(codes) -> None:
    assert codes(CLEAN, Known(images=7500)) == ([], [])


@pytest.mark.parametrize(
    ("printed", "images", "possible"),
    [
        ("0.333", 3, True),
        ("0.334", 3, False),
        ("0.67", 3, True),
        ("0.66", 3, True),  # cut off
        ("0.665", 3, False),
        ("1.0", 7, True),
        ("33.3", 3, True),
        ("33.4", 3, False),
        ("0.3333333432674408", 3, True),  # computed with 32 bits
        ("0.9187", 7500, True),
        ("0.9186", 7500, True),  # cut off: 6890/7500
    ],
)
def test_au01_one_cell(codes, printed: str, images: int, possible: bool) -> None:
    certain, _ = codes(table("norm,accuracy", f"bn,{printed}"), Known(images=images))
    assert certain == ([] if possible else ["AU01"])


def test_au01_one_way_of_shortening_explains_all(codes, tables_of) -> None:
    rows = ("a,.9186", "b,.9031", "c,.9460", "d,.7312")
    report = audit(tables_of(table("norm,accuracy", *rows)), Known(images=7500))
    assert [one.values for one in report.certain] == [(".9186",)]
    assert "6889/7500 = 0.918533 and 6890/7500 = 0.918667" in report.certain[0].arithmetic
    assert codes(table("norm,accuracy", "a,.9186", "c,.9460"), Known(images=7500))[0] == []


@pytest.mark.parametrize(
    ("title", "runs", "code"),
    [
        ("Test results", None, ["AU01"]),
        ("Test results, mean of 3 runs", None, []),  # 1/9 = .111
        ("Test results, mean of 2 runs", None, ["AU01"]),
        ("Average test accuracy", None, []),
        ("Test accuracy ± sd", None, []),
        ("Test results", 3, []),
        ("Test results", 1, ["AU01"]),
    ],
)
def test_au01_means_of_runs(codes, title: str, runs: int | None, code: list[str]) -> None:
    text = table("norm,accuracy", "bn,.111", title=title)
    assert codes(text, Known(images=3, runs=runs))[0] == code


def test_au01_is_a_question_where_runs_are_named_elsewhere(codes) -> None:
    text = table("norm,accuracy", "bn,.334") + "\n\n# Other\n\nWords.\n\nAll over three seeds.\n"
    certain, asked = codes(text, Known(images=3))
    assert certain == []
    assert "AU01" in asked
    assert codes(text, Known(images=3, runs=1))[0] == ["AU01"]


def test_au01_a_wrong_number_of_images_is_a_question(codes) -> None:
    rows = [f"n{i},.33{i}" for i in (4, 5, 6, 7)]
    certain, asked = codes(table("norm,accuracy", *rows), Known(images=3))
    assert (certain, asked.count("AU01")) == ([], 1)


def test_au01_counts_only_what_is_a_count(codes) -> None:
    text = table("norm,balanced accuracy,mAP,acc,loss", "bn,.334,.334,.333,.334")
    assert codes(text, Known(images=3))[0] == []
    assert codes(table("norm,error", "bn,66.6"), Known(images=3))[0] == []
    assert codes(table("norm,error (%)", "bn,66.4"), Known(images=3))[0] == ["AU01"]
    assert codes(table("norm,error", "bn,.664"), Known(images=3))[0] == []  # share or per cent?
    assert codes(table("norm,acc", "bn,~.334"), Known(images=3))[0] == []


def test_images_are_of_one_part_and_one_data_set(codes, tables_of) -> None:
    text = table("norm,train acc,val acc", "bn,.334,.333")
    assert codes(text, Known(images=3))[0] == []
    assert codes(text, Known(images=3, by_name={"train": 3}))[0] == ["AU01"]
    text = table("norm,val acc,test acc", "bn,.334,.333")
    report = audit(tables_of(text), Known(images=3))
    assert not report.certain
    assert "used for the test figures only" in report.notes[0]
    text = table("norm,accuracy", "bn,.334", title="CIFAR-10")
    report = audit(tables_of(text), Known(images=3))
    assert not report.certain
    assert "usual test part has 10,000 images" in report.notes[0]
    assert codes(text, parse_known(["CIFAR-10=3"]))[0] == ["AU01"]


def test_au02(codes) -> None:
    assert codes(table("n,acc,micro F1", "bn,.90,.92"))[0] == ["AU02"]
    assert codes(table("n,acc,micro F1", "bn,.9000,.9001"))[0] == []  # one cut, one rounded
    assert codes(table("n,acc,micro F1", "bn,.9000,.9002"))[0] == ["AU02"]
    assert codes(table("n,acc,micro F1", "bn,94.60,.946"))[0] == []
    assert codes(table("n,val acc,train micro F1", "bn,.90,.92"))[0] == []
    assert codes(table("n,best acc,best micro F1", "bn,.90,.92")) == ([], ["AU02"])
    text = table("n,acc,micro F1", "bn,.90,.92", title="Multi-label test results")
    assert codes(text) == ([], ["AU02"])


def test_au03_bounds_are_reached(codes) -> None:
    """For a = 0.5: 1/3 (half of the classes take all) and 2/3 (one class takes all errors)."""
    for macro, inside in ((".333", True), (".330", False), (".667", True), (".670", False)):
        text = table("n,accuracy ±,macro F1", f"bn,.500,{macro}")
        assert codes(text, Known(balanced=True))[0] == ([] if inside else ["AU03"])
        assert codes(text) == ([], [] if inside else ["AU03"])


def test_au04(codes, tables_of) -> None:
    text = table("n,loss,acc", "bn,.1874,.9460", "gn,.2,.9", "bin,.1874,.9460")
    report = audit(tables_of(text))
    assert [one.row for one in report.questions if one.code == "AU04"] == ["bn and bin"]
    assert "AU04" not in codes(table("n,acc,micro F1", "bn,.9460,.9460", "gn,.9460,.9460"))[1]
    assert "AU04" not in codes(table("n,loss,acc", "bn,.2,.9", "gn,.2,.9"))[1]
    assert "AU04" not in codes(table("n,loss,acc", "bn,.1874,.9460", "bn,.1874,.9460"))[1]


@pytest.mark.parametrize(
    ("one", "other", "asked"),
    [
        ("Results", "Results", True),
        ("Results on CIFAR-10", "Results on CIFAR-100", False),
        ("Results, learning rate .1", "Results, learning rate .01", False),
        ("Results with mixup", "Results", False),
        ("Table 1: Test accuracy", "Table 7: Summary of test results", True),
        ("Validation", "Test", False),
    ],
)
def test_au05_the_key_is_all_that_says_what_a_row_is(codes, one, other, asked) -> None:
    text = table("net,acc", "r18,.91", title=one) + "\n" + table("net,acc", "r18,.95", title=other)
    certain, questions = codes(text)
    assert certain == []
    assert ("AU05" in questions) is asked


def test_au05_rows_under_two_names_are_two(codes) -> None:
    text = table("n,acc,loss", "**BN**,,", "8,.91,.1", "**GN**,,", "8,.95,.2")
    assert "AU05" not in codes(text)[1]
    text = table("n,v,acc", "r18,ours,.91", "r18,paper,.95")
    assert "AU05" not in codes(text)[1]


def test_au06(codes) -> None:
    text = table("n,train acc,val acc", "bn,.9400,.9880", "gn,.9000,.9040")
    certain, asked = codes(text, Known(by_name={"validation": 7500}))
    assert (certain, asked.count("AU06")) == ([], 1)
    assert "AU06" not in codes(text)[1]
    text = table("n,train error,val error", "bn,6.00,1.20")
    assert "AU06" in codes(text, Known(by_name={"validation": 7500}))[1]


def test_au07_once_a_table(codes, tables_of) -> None:
    text = table("n,acc", "a,.900", "b,.901", "c,.902", "d,.700")
    assert codes(text, Known(images=1000))[1].count("AU07") == 1
    (found,) = [o for o in audit(tables_of(text), Known(images=1000)).questions if o.code == "AU07"]
    assert "3 of 6 pairs are closer" in found.arithmetic
    assert "AU07" not in codes(table("n,acc", "a,.9", "b,.5"), Known(images=1000))[1]


def test_au08(codes) -> None:
    assert "AU08" in codes(table("n,acc", "a,.9", "b,.8"))[1]
    assert "AU08" not in codes(table("n,acc", "a,.9 ± .1", "b,.8 ± .1"))[1]
    assert "AU08" not in codes(table("n,acc", "a,.9", "b,.8", title="Mean of 5 runs"))[1]
    assert "AU08" not in codes(table("n,acc,sd", "a,.9,.1", "b,.8,.1"))[1]


def test_au09(codes) -> None:
    rows = ("8,sgd,.91", "32,adam,.92", "8,sgd,.93")
    assert "AU09" in codes(table("batch,optimizer,acc", *rows))[1]
    assert "AU09" not in codes(table("batch,optimizer,acc", *rows, "8,adam,.94"))[1]


def test_au10_to_au12(codes) -> None:
    assert codes(table("n,top-1,top-5", "a,90.1,80.2", "b,90.1,99.2"))[0] == ["AU10"]
    assert codes(table("n,top-1 err,top-5 err", "a,9.1,12.2", "b,9.1,2.2"))[0] == ["AU10"]
    assert codes(table("n,top-1 A,top-5 B", "a,90.1,80.2", "b,90.1,99.2"))[0] == []
    assert codes(table("n,acc,error", "a,90.1,9.9", "b,90.1,9.5"))[0] == ["AU11"]
    assert codes(table("n,acc", "a,90.1", "b,910", "c,91.2"))[0] == ["AU12"]


def test_rules_have_codes_of_their_own() -> None:
    assert [rule.code for rule in RULES] == [f"AU{number:02}" for number in range(1, 13)]


@pytest.mark.parametrize(
    ("images", "same", "message"),
    [
        (["many"], [], "takes a number of images"),
        (["0"], [], "takes a number of images"),
        (["birds=5"], [], "no part or data set 'birds'"),
        ([], ["bn"], "two names with ="),
    ],
)
def test_options_that_cannot_be(images, same, message) -> None:
    with pytest.raises(UsageError, match=message):
        parse_known(images, same=same)
