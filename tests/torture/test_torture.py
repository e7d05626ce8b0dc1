"""The bench of torture in its short form, and that it can fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("fcntl", reason="it needs Linux")

from normlab.errors import StorageError

from .bad_input import Case, fault_of
from .children import Ended
from .damages import Kind, one_reading
from .injections import faults_of, formulas
from .kills import lost_epochs, phase_of
from .tally import Tally, table

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it needs Linux")


def torture(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    source = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-m", "tests.torture", *options],
        cwd=ROOT, capture_output=True, text=True, errors="backslashreplace", check=False,
        env={**os.environ, "PYTHONPATH": source, **environment},
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(
    os.environ.get("NORMLAB_TEST_TORTURE") != "1",
    reason="the bench's short form takes minutes: NORMLAB_TEST_TORTURE=1, or make torture",
)
def test_nothing_is_lost_and_nothing_wrong_without_a_word() -> None:
    done = torture("--short")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split("|") for line in done.stdout.splitlines() if line.startswith("| ")][1:]
    kinds = {row[1].partition(":")[0].strip() for row in rows if int(row[2])}
    assert kinds == {"kills", "damages", "inputs", "injections", "limits", "writers"}
    assert sum(int(row[4]) for row in rows) == 0, done.stdout


def test_a_damage_that_is_used_is_found(tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    path.write_text("2")
    assert one_reading(Kind("a", path, lambda: int(path.read_text())), "1")[0] == "used"
    assert one_reading(Kind("a", path, lambda: 1), "1") == ("harmless", None)

    def fails(error: Exception):
        def read() -> None:
            raise error

        return one_reading(Kind("a", path, read), "1")[0]

    assert fails(StorageError(f"{path} is damaged")) == "named"
    assert fails(StorageError("something is damaged")) == "unnamed"
    assert fails(IndexError()) == "crashed"


@pytest.mark.parametrize(
    ("code", "err", "work", "fault"),
    [
        (2, "normlab: no such folder; give another\n", 1.0, None),
        (0, "", 1.0, "exit 0"),
        (1, "Traceback (most recent call last):\nIndexError: x\n", 1.0, "traceback: IndexError"),
        (2, "Usage: normlab\nError: x\n", 1.0, "no single sentence"),
        (2, "normlab: \x1b[31m\n", 1.0, "a control character"),
        (2, "normlab: " + "x" * 2_000 + "\n", 1.0, "a sentence of"),
        (2, "normlab: late\n", 11.0, "took 11 s"),
    ],
)
def test_an_answer_that_is_no_sentence_is_found(code, err, work, fault) -> None:
    found = fault_of(Case("check", ("check", "x")), Ended(code, "", err, 1.0, work, ()))
    assert (found is None) if fault is None else fault in found


def test_a_name_that_acts_is_found(tmp_path: Path) -> None:
    (tmp_path / "C").mkdir()
    quiet = Ended(0, "fine\n", "", 1.0, 1.0, ())
    assert faults_of(quiet, tmp_path) == []
    assert faults_of(Ended(0, "a\x07", "", 1.0, 1.0, ()), tmp_path)[0][1] == "\x07"
    (tmp_path / "C" / "a.html").write_text("<p>\u202e</p><img src=x onerror=alert(1)>")
    (tmp_path / "C" / "a.csv").write_text("name,value\n=1+1,-0.5\n")
    assert [culprit for _, culprit in faults_of(quiet, tmp_path)].count("=1+1") == 1
    assert len(faults_of(quiet, tmp_path)) == 3
    assert formulas("a,-1.5,+2e-3,-,'=x\n") == ["-"]


def test_an_epoch_that_was_made_again_is_found(tmp_path: Path) -> None:
    path = tmp_path / "epochs.jsonl"
    path.write_text("1\n2\n")
    assert lost_epochs({path: [b"1", b"2"]}, tmp_path) == []
    assert lost_epochs({path: [b"1", b"3"]}, tmp_path) == ["epochs.jsonl lost an epoch"]
    assert phase_of("S/runs/b00-bn/epochs.jsonl") == "training"
    assert phase_of("cache/images/x") == "preparation"


def test_the_table_counts_what_failed() -> None:
    tally = Tally("a", 3)
    tally.count(None, "x")
    tally.count("broken", "x")
    cells = [cell.strip() for cell in table([tally]).splitlines()[2].split("|")]
    assert cells[1:6] == ["a", "2", "1", "1", "3"]
