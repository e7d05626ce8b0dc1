"""The bench of torture in its short form, and that it can fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def torture(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    source = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-m", "tests.torture", *options],
        cwd=ROOT, capture_output=True, text=True, errors="backslashreplace", check=False,
        env={**os.environ, "PYTHONPATH": source, **environment},
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["kills", "damages", "inputs", "injections", "writers"])
def test_nothing_is_lost_and_nothing_wrong_without_a_word(kind: str) -> None:
    done = torture("--kind", kind, "--short")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split("|") for line in done.stdout.splitlines() if line.startswith(f"| {kind}")]
    assert sum(int(row[2]) for row in rows) > 0, done.stdout
    assert sum(int(row[4]) for row in rows) == 0, done.stdout
