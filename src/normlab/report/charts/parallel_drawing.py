"""Many charts at once: a second process draws half of them where that pays.

The second process is this module itself, fed through its standard input, and not a
multiprocessing pool: a pool would ask every script that builds a report for a __main__ guard.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any, Literal

import altair as alt

from normlab.report.charts.drawing import to_pdf, to_png, to_svg

Sketch = tuple[Callable[..., alt.TopLevelMixin], tuple[Any, ...]]
"""A function of this package that makes a chart, and the plain data for it."""
Kind = Literal["chart", "png", "pdf"]
Job = tuple[Kind, Any]
"""A Sketch to draw as SVG, or an SVG to turn into PNG or PDF."""

WORTH = {"chart": 0.15, "pdf": 0.1, "png": 0.4}
"""Roughly the seconds of a job; starting the second process costs about one."""
ENOUGH_WORK = 4.0


def paint(jobs: Mapping[str, Job]) -> dict[str, bytes]:
    """Do every job; the results are those of doing one after the other."""
    keys = list(jobs)
    work = sum(WORTH[kind] for kind, _ in jobs.values())
    if work < ENOUGH_WORK or (os.cpu_count() or 1) < 2:
        return {key: do(jobs[key]) for key in keys}
    theirs, ours = keys[::2], keys[1::2]
    helper = subprocess.Popen(
        [sys.executable, "-m", "normlab.report.charts.parallel_drawing"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    # a helper that fails is no fault of the study: its share is then done here
    done: dict[str, bytes] = {}
    try:
        assert helper.stdin is not None
        helper.stdin.write(pickle.dumps([jobs[key] for key in theirs]))
        helper.stdin.close()
        helper.stdin = None
        done = {key: do(jobs[key]) for key in ours}
        answer = helper.communicate()[0]
        if helper.returncode == 0:
            done.update(zip(theirs, pickle.loads(answer), strict=True))
    except (OSError, ValueError, pickle.PickleError, EOFError):
        pass
    finally:
        if helper.poll() is None:
            helper.kill()
            helper.wait()
        if helper.stdout is not None:
            helper.stdout.close()
    return {key: done[key] if key in done else do(jobs[key]) for key in keys}


def do(job: Job) -> bytes:
    """One job."""
    kind, content = job
    if kind == "chart":
        make, data = content
        return to_svg(make(*data)).encode()
    return to_png(content) if kind == "png" else to_pdf(content)


def main() -> None:
    """Jobs from standard input, pickled by the process that started this one; results back."""
    jobs: list[Job] = pickle.load(sys.stdin.buffer)
    sys.stdout.buffer.write(pickle.dumps([do(job) for job in jobs]))


if __name__ == "__main__":
    main()
