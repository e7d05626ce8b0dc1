"""Many charts at once: a second process draws half of them where that pays.

The second process is this module itself, fed through its standard input, and not a
multiprocessing pool: a pool would ask every script that builds a report for a __main__ guard.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from normlab.report.drawing import spec_to_svg, to_pdf, to_png

Kind = Literal["svg", "png", "pdf"]
Job = tuple[Kind, Any]
"""A Vega-Lite specification to draw as SVG, or an SVG to turn into PNG or PDF."""

WORTH = {"svg": 0.12, "pdf": 0.15, "png": 0.8}
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
        [sys.executable, "-m", "normlab.report.painter"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    # a helper that fails is no fault of the study: its share is then done here
    done: dict[str, bytes] = {}
    try:
        assert helper.stdin is not None
        helper.stdin.write(json.dumps([jobs[key] for key in theirs]).encode())
        helper.stdin.close()
        helper.stdin = None
        done = {key: do(jobs[key]) for key in ours}
        answer = helper.communicate()[0]
        if helper.returncode == 0:
            results = [base64.b64decode(text) for text in json.loads(answer)]
            done.update(zip(theirs, results, strict=True))
    except (OSError, ValueError):
        pass
    finally:
        if helper.poll() is None:
            helper.kill()
            helper.wait()
        if helper.stdout is not None:
            helper.stdout.close()
    return {key: done[key] if key in done else do(jobs[key]) for key in keys}


def do(job: Job | Sequence[Any]) -> bytes:
    """One job."""
    kind, content = job
    if kind == "svg":
        return spec_to_svg(content).encode()
    return to_png(content) if kind == "png" else to_pdf(content)


def main() -> None:
    """Jobs as JSON from standard input; their results, in base64, as JSON to standard output."""
    jobs = json.load(sys.stdin)
    json.dump([base64.b64encode(do(job)).decode() for job in jobs], sys.stdout)


if __name__ == "__main__":
    main()
