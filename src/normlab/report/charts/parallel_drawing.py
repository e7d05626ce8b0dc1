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

ChartCall = tuple[Callable[..., alt.TopLevelMixin], tuple[Any, ...]]
"""A function that makes a chart, and the plain data for it; another process imports it by name."""
Kind = Literal["chart", "png", "pdf"]
DrawingJob = tuple[Kind, Any]
"""A ChartCall to draw as SVG, or an SVG to turn into PNG or PDF."""

SECONDS = {"chart": 0.15, "pdf": 0.1, "png": 0.4}
"""Roughly the seconds of a job; starting the second process costs about one."""
ENOUGH_WORK = 4.0


def draw_all(jobs: Mapping[str, DrawingJob]) -> dict[str, bytes]:
    """Draw everything; the results are those of drawing one after the other."""
    keys = list(jobs)
    work = sum(SECONDS[kind] for kind, _ in jobs.values())
    if work < ENOUGH_WORK or (os.cpu_count() or 1) < 2:
        return {key: draw_one(jobs[key]) for key in keys}
    theirs, own = keys[::2], keys[1::2]
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
        done = {key: draw_one(jobs[key]) for key in own}
        answer = helper.communicate()[0]
        if helper.returncode == 0:
            done.update(zip(theirs, pickle.loads(answer), strict=True))
    except (OSError, ValueError, AttributeError, pickle.PickleError, EOFError):
        pass
    finally:
        if helper.poll() is None:
            helper.kill()
            helper.wait()
        if helper.stdout is not None:
            helper.stdout.close()
    return {key: done[key] if key in done else draw_one(jobs[key]) for key in keys}


def draw_one(job: DrawingJob) -> bytes:
    """Draw a chart as SVG, or turn an SVG into PNG or PDF."""
    kind, content = job
    if kind == "chart":
        make, data = content
        return to_svg(make(*data)).encode()
    return to_png(content) if kind == "png" else to_pdf(content)


def main() -> None:
    """Jobs from standard input, pickled by the process that started this one; results back."""
    jobs: list[DrawingJob] = pickle.load(sys.stdin.buffer)
    sys.stdout.buffer.write(pickle.dumps([draw_one(job) for job in jobs]))


if __name__ == "__main__":
    main()
