from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from normlab.errors import PlanError
from normlab.report.page.build import build_report

HOSTILE = ("<script>alert(1)</script>", "=cmd()", "a&b_c|d%{}")
VOID = {"meta", "link", "br", "wbr", "hr", "img", "input"}
SCRIPTS = '<script type="application/json" id="page-data">{}</script><script>1</script>'


class Page(HTMLParser):
    """Reads a page the way a browser does, and keeps what the tests ask for."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.ids, self.labels, self.words = [], [], [], [], []
        self.open, self.faults, self.scripts = [], [], []
        self.feed(text)
        self.faults += self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag == "script":
            self.scripts.append(dict(attributes))
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name in ("href", "src", "srcset", "action", "data", "poster", "xlink:href"):
                self.addresses.append(value)
            if name == "id":
                self.ids.append(value)
            if name in ("aria-labelledby",):
                self.labels.append(value)
            if name.startswith("on"):
                self.faults.append(name)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}>")

    def handle_data(self, data):
        if self.open[-1:] != ["script"]:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def check_page(text):
    """Well-formed, self-contained, every id once and every label there; two scripts, both ours."""
    page = Page(text)
    assert page.faults == []
    assert page.scripts == [{"type": "application/json", "id": "page-data"}, {}]
    assert all(a.startswith(("#", "data:")) for a in page.addresses)
    assert "url(http" not in text
    assert "@import" not in text
    assert len(set(page.ids)) == len(page.ids)
    anchors = [a[1:] for a in page.addresses if a.startswith("#")]
    assert {*anchors, *page.labels} <= set(page.ids)
    return page


def build(fabricate, folder, plan, runs):
    fabricate.write_study(folder, plan, runs)
    path = build_report(folder)
    return check_page(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "fault",
    [
        "<p><b></p>",
        "<script>alert(1)</script>",
        '<img src="https://example.org/x.png">',
        '<i id="a"></i><i id="a"></i>',
        '<a href="#nowhere">x</a>',
        '<p onclick="x()"></p>',
        "<style>@import 'x'</style>",
    ],
)
def test_the_check_of_pages_finds_faults(fault):
    check_page(SCRIPTS)
    with pytest.raises(AssertionError):
        check_page(fault + SCRIPTS)


@pytest.mark.slow
def test_a_whole_study(fabricate, tmp_path):
    plan = fabricate.make_plan(epochs=30)
    runs = fabricate.make_runs(plan, statuses={("none", 1): "diverged"})
    fabricate.write_study(tmp_path, plan, runs)
    told = []
    path = build_report(tmp_path, progress=told.append)
    assert told[0] == "reading the records"
    text = path.read_text(encoding="utf-8")
    page = check_page(text)
    assert path == tmp_path / "report" / "index.html"
    assert path.stat().st_size < 1_200_000
    assert "Exploratory, from 3 blocks at learning rate 0.1: " in page.text
    assert "diverged in 1 of 3" in page.text
    assert text.count('class="plot-line"') == 7 * (7 + 1)  # seven arms and an axis, seven times
    assert text.count('role="img" aria-label') == 1 + 6 + 1 + 1  # values, … cost, reliability
    assert all(run.spec.id in page.text for run in runs)
    for fact in (plan.hash, "f" * 64, "Test Processor 9000", "torch 2.13.0", "egret", "--blocks 5"):
        assert fact in page.text
    for figure in (tmp_path / "report" / "figures").glob("*.svg"):
        words = figure.read_text(encoding="utf-8")
        assert "n = 3 blocks" in re.sub(r"</text><text[^>]*>", " ", words), figure.name
        assert 'viewBox="-16 -16 ' in words  # margins
    files = sorted(p.relative_to(tmp_path / "report").as_posix() for p in path.parent.rglob("*.*"))
    setting = "sgd-lr0.1-batch32"
    assert files == sorted(
        ["analysis.txt", "index.html", "methods.txt"]
        + [
            f"figures/{name}-{setting}.{suffix}"
            for name in (
                *("answer", "values", "differences"),
                *("confusion", "cost", "curves", "recall", "reliability"),
            )
            for suffix in ("svg", "png", "pdf")
        ]
        + [
            f"figures/curves-{setting}-{metric}-{part}.{suffix}"
            for metric in ("loss", "accuracy", "micro-f1", "macro-f1")
            for part in ("train", "validation")
            for suffix in ("svg", "png", "pdf")
        ]
        + [
            f"tables/{name}-{setting}.{suffix}"
            for name in (
                *("answer", "norm-train", "norm-test", "recall"),
                *("claims", "curve-facts", "ensembles", "evidence"),
            )
            for suffix in ("md", "csv", "tex")
        ]
    )


@pytest.mark.slow
def test_building_again_writes_the_same_page(fabricate, tmp_path):
    plan = fabricate.make_plan(norms=("bn", "gn"))
    fabricate.write_study(tmp_path, plan, fabricate.make_runs(plan))

    def written():
        page = build_report(tmp_path)
        files = (path for path in page.parent.rglob("*.*") if path.suffix != ".pdf")
        return {path.name: path.read_bytes() for path in files}  # a PDF numbers its parts anew

    assert written() == written()


@pytest.mark.slow
def test_hostile_names_are_only_text(fabricate, tmp_path):
    plan = fabricate.make_plan(norms=("bn", *HOSTILE), classes=(*HOSTILE, "x"), epochs=2)
    page = build(fabricate, tmp_path, plan, fabricate.make_runs(plan))
    for name in HOSTILE:
        assert name in page.text
    tables = tmp_path / "report" / "tables"
    text = (tables / "norm-train-sgd-lr0.1-batch32.csv").read_text(encoding="utf-8")
    assert "\n'=cmd()," in text
    text = (tables / "norm-train-sgd-lr0.1-batch32.tex").read_text(encoding="utf-8")
    assert r"a\&b\_c\textbar{}d\%\{\}" in text


@pytest.mark.slow
def test_several_settings(fabricate, tmp_path):
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=2, epochs=2, batch_size=(8, 32))
    page = build(fabricate, tmp_path, plan, fabricate.make_runs(plan))
    assert page.text.count("Rests on 2 blocks, margin ±1.0 points") == 2
    assert "Test by batch size and normalization" in page.text
    assert "2 settings" in page.text


def test_no_run_at_all(fabricate, tmp_path):
    page = build(fabricate, tmp_path, fabricate.make_plan(), [])
    assert "21 of 21 planned runs without a final result" in page.text
    assert "No run has finished here yet, so nothing can be said." in page.text
    assert "No epoch has been finished yet." in page.text
    assert "No run has been started yet." in page.text
    assert "svg" not in page.tags


@pytest.mark.slow
def test_one_arm(fabricate, tmp_path):
    plan = fabricate.make_plan(norms=("bn",), epochs=2)
    page = build(fabricate, tmp_path, plan, fabricate.make_runs(plan))
    assert "Only bn has results here, so there is nothing to compare it with." in page.text


@pytest.mark.slow
def test_one_block(fabricate, tmp_path):
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=1, epochs=2)
    page = build(fabricate, tmp_path, plan, fabricate.make_runs(plan))
    assert "1 common block cannot tell a difference between arms from luck" in page.text


@pytest.mark.slow
def test_all_diverged(fabricate, tmp_path):
    plan = fabricate.make_plan(norms=("bn", "gn"), epochs=2)
    cells = {(arm, block): "diverged" for arm in ("bn", "gn") for block in range(3)}
    page = build(fabricate, tmp_path, plan, fabricate.make_runs(plan, statuses=cells))
    assert "bn in 3 of 3 blocks and gn in 3 of 3 blocks" in page.text


@pytest.mark.slow
def test_an_exploding_loss_is_cut_and_drawn(fabricate, tmp_path):
    plan = fabricate.make_plan(norms=("bn", "none"), epochs=30)
    runs = fabricate.make_runs(plan, statuses={("none", 0): "diverged"})
    exploded = runs[1].rows[-1].train.model_copy(update={"loss": 1e30})
    rows = (*runs[1].rows[:-1], runs[1].rows[-1].model_copy(update={"train": exploded}))
    runs[1] = runs[1].__class__(
        runs[1].folder, runs[1].spec, runs[1].environment, rows, runs[1].outcome
    )
    page = build(fabricate, tmp_path, plan, runs)
    assert "1000000000" not in page.text


@pytest.mark.slow
def test_unfinished_and_damaged_runs_are_named(fabricate, tmp_path):
    plan = fabricate.make_plan(norms=("bn", "gn"), blocks=4, epochs=4)
    runs = fabricate.make_runs(
        plan, statuses={("gn", 0): "unfinished", ("gn", 1): "failed"}, without={("bn", 3)}
    )
    written = fabricate.write_study(tmp_path, plan, runs)
    (written[-1].folder / "outcome.json").write_text('{"status": "fin', encoding="utf-8")
    (written[0].folder / "predictions.npz").unlink()
    page = check_page(build_report(tmp_path).read_text(encoding="utf-8"))
    assert "4 of 8 planned runs without a final result" in page.text
    assert f"the folder runs/{written[-1].folder.name} cannot be read" in page.text
    assert "the predictions of 1 finished run" in page.text
    assert "not ended" in page.text
    assert re.search(r"gn in block 1 is unfinished", page.text)


def test_a_folder_without_a_plan_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(PlanError, match="no study plan"):
        build_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_no_torch():
    code = "import sys, normlab.report.page.build; assert 'torch' not in sys.modules, 'torch'"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
