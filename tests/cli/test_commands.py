"""Every verb from end to end on tiny pictures, and what the command line must not import."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from normlab._version import __version__
from normlab.norms.fused.cpu import loader
from normlab.study.study import Study

VERBS = (
    "compare",
    "plan",
    "check",
    "audit",
    "run",
    "status",
    "report",
    "train",
    "predict",
    "explain",
    "stress",
    "norms",
    "checks",
    "executors",
    "bench",
    "cache",
)


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter in the working folder, with this process's cache."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_WAIT_POLICY": "passive"},
    )


# --- help


def test_help_names_every_verb(normlab) -> None:
    result = normlab("--help")
    assert result.code == 0
    for verb in VERBS:
        assert re.search(rf"^  {verb} ", result.out, re.MULTILINE)


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_every_verb(normlab, verb) -> None:
    result = normlab(verb, "--help")
    assert result.code == 0
    assert f"Usage: normlab {verb}" in result.out


def test_version(normlab) -> None:
    assert normlab("--version").out == f"normlab {__version__}\n"


def test_help_imports_nothing_heavy() -> None:
    """The reason why --help answers at once; a time would depend on the machine."""
    code = f"""
import sys
from normlab.cli.main import main
for arguments in [["--help"], *[[verb, "--help"] for verb in {VERBS!r}]]:
    sys.argv = ["normlab", *arguments]
    try:
        main()
    except SystemExit as end:
        assert end.code == 0, (arguments, end.code)
heavy = {{"torch", "numpy", "pandas", "scipy", "PIL", "sklearn", "altair", "rich"}}
print(sorted(heavy & set(sys.modules)), file=sys.stderr)
"""
    assert python(code).stderr == "[]\n"


def test_a_misspelled_verb_is_refused(normlab) -> None:
    result = normlab("comapre")
    assert result.code == 2
    assert result.err.startswith("normlab: there is no verb 'comapre'; did you mean compare?")


# --- a study from end to end


def test_compare(normlab, photos, tiny, scratch) -> None:
    result = normlab("compare", "photos", *tiny)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0] == (
        "photos   24 pictures, 3 classes · train 15 · validation 3 (to choose) · test 6 (to judge) "
        "· photos-study/look.html"
    )
    assert lines[1].startswith("check    no duplicates")
    (plan,) = re.findall(r"^plan     (.+)$", result.out, re.MULTILINE)
    assert re.fullmatch(
        r"2 norms × 1 block = 2 runs · cifar-resnet8 at 8 px, 1 epoch · about \d+ s", plan
    )
    assert re.search(r"^  1/2  block 1  bn +accuracy +\d", result.out, re.MULTILINE)
    first = "one block cannot|no arm is clearly above chance"
    assert re.search(rf"^FIRST    ({first})", result.out, re.MULTILINE)
    assert re.search(r"^bn +\d+\.\d +– +reference +1\.00× +1 finished$", result.out, re.MULTILINE)
    assert re.search(r"^gn +\d+\.\d +– +[+-]\d+\.\d", result.out, re.MULTILINE)
    ((page, tried),) = re.findall(r"^page +(\S+)( · try it: normlab predict)?", result.out, re.M)
    assert (scratch / page).read_text().startswith("<!DOCTYPE html>")
    go_on = r"go on    normlab run photos-study --blocks 5 · about \d+ s"
    learned = "no arm is clearly above chance" not in result.out  # else more blocks would not help
    assert bool(tried) == learned
    assert bool(re.fullmatch(go_on, lines[-1])) == learned, lines[-1]


@pytest.mark.usefixtures("no_report")
@pytest.mark.slow
def test_the_same_command_again_has_nothing_to_do(normlab, tiny, study) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in study.glob("runs/*/*"))
    result = normlab("compare", "photos", *tiny)
    assert result.code == 0
    assert "go on    photos-study · begun before" in result.out
    assert "nothing left to do" in result.out
    assert sorted((path, path.stat().st_mtime_ns) for path in study.glob("runs/*/*")) == before


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_the_budget_chooses_what_the_user_did_not(normlab, photos, scratch) -> None:
    """With --blocks and --epochs left out: the plainest way to call the command."""
    options = ("--norms", "bn", "--model", "resnet8", "--batch-sizes", "4", "--image-size", "8")
    result = normlab("compare", "photos", *options, "--blocks", "1", "--budget", "1h")
    assert result.code == 0, result.err
    assert "× 1 block = 1 run · cifar-resnet8 at 8 px, 30 epochs" in result.out
    again = normlab("compare", "photos", *options, "--blocks", "1")
    assert again.code == 0, again.err
    assert "begun before" in again.out


@pytest.mark.usefixtures("no_report")
def test_several_settings_have_a_table_each(normlab, photos, tiny) -> None:
    options = ("--optimizers", "sgd,adam", "--norms", "bn")
    result = normlab("compare", "photos", *tiny, *options)
    assert result.code == 0, result.err
    assert "plan     1 norm × 2 settings × 1 block = 2 runs" in result.out
    assert "sgd, learning rate 0.02, batch 4" in result.out
    assert "adam, learning rate 0.02, batch 4" in result.out


@pytest.mark.slow
def test_compare_on_the_demo(normlab, tiny, scratch) -> None:
    result = normlab("compare", "--demo", *tiny, "--batch-sizes", "64", "--norms", "none")
    assert result.code == 0, result.err
    assert "1,797 pictures, 10 classes" in result.out
    assert (scratch / "demo-study" / "report" / "index.html").exists()


@pytest.mark.usefixtures("no_report")
def test_a_run_that_failed_is_told_by_the_exit_code(
    normlab, photos, tiny, study, monkeypatch
) -> None:
    def burst(*_: object) -> None:
        raise ZeroDivisionError("made to fail")

    with monkeypatch.context() as context:
        context.setattr("normlab.train.execute.build_network", burst)
        result = normlab("run", "photos-study", "--blocks", "2")
    assert result.code == 1
    assert "failed: ZeroDivisionError: made to fail" in result.out
    assert "broken   2 runs · why: normlab status photos-study" in result.out
    status = normlab("status", "photos-study").out
    assert re.search(
        r"^failed +b01-bn-\w+  block 2  ZeroDivisionError: made to fail$", status, re.MULTILINE
    )
    assert normlab("run", "photos-study").code == 0


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_run_from_a_plan_and_more_blocks(normlab, photos, scratch) -> None:
    (scratch / "tiny.toml").write_text(
        'name = "tiny"\nblocks = 1\n[data]\nsource = "elsewhere"\nimage_size = 8\n'
        '[factors]\nnorm = ["bn:eps=1e-5", "gn:groups=8"]\nbatch_size = [4]\n'
        "learning_rate = [0.02]\n"
        '[training]\nepochs = 1\nnetwork.name = "resnet8"\n[analysis]\nreference = "gn:groups=8"\n'
    )
    first = normlab("run", "tiny.toml", "--data", "photos")
    assert first.code == 0, first.err
    assert re.search(r"^gn +\d+\.\d +– +reference", first.out, re.MULTILINE)
    more = normlab("run", "tiny-study", "--blocks", "2")
    assert more.code == 0, more.err
    assert "2 runs to do" in more.out
    again = normlab("run", "tiny-study/study.toml")
    assert again.code == 0, again.err
    assert "× 2 blocks = 4 runs" in again.out
    assert "nothing left to do" in again.out
    assert not (scratch / "study-study").exists()


def test_status_of_a_finished_study(normlab, study) -> None:
    for path in ("photos-study", "photos-study/study.toml"):
        result = normlab("status", path)
        assert result.code == 0
        assert result.out == (
            "2 finished\nall runs are done. Report: photos-study/report/index.html\n"
        )


def test_status_of_a_study_that_is_not_done(normlab, study) -> None:
    Study.open(study).set_blocks(2)
    (run,) = study.glob("runs/b00-gn-*")
    (run / "outcome.json").unlink()
    lines = normlab("status", "photos-study").out.splitlines()
    assert lines[0] == f"begun        {run.name}  block 1, epoch 1/1"
    assert lines[1] == "1 finished, 1 begun, 2 not begun"
    assert re.match(r"3 runs left, about \d+ s. Go on: normlab run photos-study$", lines[2])


@pytest.mark.slow
def test_the_report_is_rebuilt(normlab, study) -> None:
    before = {path.relative_to(study) for path in (study / "report").rglob("*")}
    shutil.rmtree(study / "report")
    assert "See them: normlab report photos-study" in normlab("status", "photos-study").out
    result = normlab("report", "photos-study")
    assert result.code == 0, result.err
    assert "page     photos-study/report/index.html" in result.out
    assert {path.relative_to(study) for path in (study / "report").rglob("*")} == before


@pytest.mark.slow
def test_the_report_names_a_damaged_run_and_shows_the_others(normlab, study) -> None:
    (run,) = study.glob("runs/b00-gn-*")
    (run / "spec.json").write_text("{")
    result = normlab("report", "photos-study")
    assert result.code == 0, result.err
    assert f"Damaged  {run.name}: " in result.out
    assert re.search(r"^gn .* 1 missing", result.out, re.MULTILINE)


@pytest.mark.slow
def test_the_report_needs_no_torch(study) -> None:
    """Records are enough: a laptop without torch can draw what a cluster has trained."""
    code = """
import sys
from importlib.abc import MetaPathFinder
class NoTorch(MetaPathFinder):  # None in sys.modules would trip scipy, which looks there
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ImportError("torch is not installed")
sys.meta_path.insert(0, NoTorch())
from pathlib import Path
from normlab.report.page.build import build_report
print(build_report(Path("photos-study")))
from normlab.cli.main import main
sys.argv = ["normlab", "report", "photos-study"]
main()
"""
    result = python(code)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("photos-study/report/index.html\n")
    assert "FIRST    " in result.stdout


@pytest.mark.slow
def test_python_m_normlab(study) -> None:
    code = (
        "import runpy, sys; sys.argv = ['normlab', 'norms', '--json'];"
        "runpy.run_module('normlab', run_name='__main__')"
    )
    assert json.loads(python(code).stdout)[0]["code"] == "bn"


# --- bench


def test_bench_says_what_serves_and_times_every_arm(normlab) -> None:
    where = normlab("bench", "--where")
    assert where.code == 0
    assert f"cpu       {loader.backend('cpu')}, " in where.out
    assert "images/s" not in where.out
    times = normlab("bench", "--norms", "bn,none", "--image-size", "8", "--rounds", "2")
    assert times.out.count("images/s") == 2
    assert "1.00 × none" in times.out
    normlab("bench", "--norms", "bm").assert_one_sentence("bm", "bn")


# --- audit


def test_audit(normlab, scratch) -> None:
    (scratch / "clean.csv").write_text("norm,accuracy,sd\nbn,0.90,.01\ngn,0.80,.01\n")
    (scratch / "odd.csv").write_text("norm,accuracy,micro f1\nbn,0.90,0.92\n")
    assert normlab("audit", "clean.csv", "--images", "7500").code == 0
    result = normlab("audit", "odd.csv", "clean.csv", "--images", "7500")
    assert result.code == 1
    assert "bn: micro F1 0.92 − accuracy 0.90 = +0.0200" in result.out
    assert json.loads(normlab("audit", "odd.csv", "--images", "7500", "--json").out)
    normlab("audit", "gone.csv", "--images", "9").assert_one_sentence("gone.csv cannot be read")
    wrong = normlab("audit", "clean.csv", "--images", "9", "--same", "bn")
    wrong.assert_one_sentence("two names with =")


@pytest.mark.slow
def test_stress(normlab, study) -> None:
    result = normlab("stress", study, "--changes", "contrast,batch")
    assert result.code == 0, result.err
    assert "contrast, points" in result.out
    assert "batches of one class, %" in result.out
    assert "Where it breaks" in result.out
    assert len((study / "stress.jsonl").read_text().splitlines()) == 2 * 6 + 4
    page = (study / "report" / "index.html").read_text()
    assert "Not tried yet" not in page
    normlab("stress", study, "--changes", "fog").assert_one_sentence("unknown change 'fog'")


@pytest.mark.slow
def test_deterministic_is_recorded(normlab, photos, tiny, scratch, no_report) -> None:
    import torch

    try:
        result = normlab("compare", photos, *tiny, "--deterministic", "--out", "study")
        assert result.code == 0, result.err
        (one, *_) = (scratch / "study" / "runs").glob("*/environment.json")
        assert json.loads(one.read_text())["deterministic"] is True
    finally:
        torch.use_deterministic_algorithms(False)


def test_one_check_by_its_code(normlab) -> None:
    result = normlab("checks", "dc020")
    assert result.code == 0
    assert result.out.startswith("DC020")
    assert "NL001" not in result.out
    wrong = normlab("checks", "DC999")
    assert wrong.code == 2
    assert "unknown check 'DC999'" in wrong.err
