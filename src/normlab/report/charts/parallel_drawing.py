"""Many pictures at once, in processes that draw: two of them where that pays."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Mapping, Sequence

from normlab.report.charts.drawer import (
    ChartCall as ChartCall,
)
from normlab.report.charts.drawer import (
    Drawer,
    DrawingJob,
    NotDrawnError,
    UnknownJobError,
    draw_one,
)
from normlab.text import in_markup, visible

SECONDS = {"chart": 0.15, "pdf": 0.1, "png": 0.4}
"""Roughly the seconds of a job; starting a process costs about one."""
ENOUGH_WORK = 4.0
"""Seconds from which on a second process is started."""
_DRAWERS = (Drawer(), Drawer())
_LOCK = threading.Lock()
"""One caller at a time: each drawer answers in order."""


def start_drawing() -> None:
    """Start the process that draws, so that it is ready when there is something to draw."""
    try:
        with _LOCK:
            _DRAWERS[0].start()
    except OSError:
        pass  # then this process draws


def draw_all(jobs: Mapping[str, DrawingJob]) -> dict[str, bytes]:
    """Draw everything; the results are those of drawing one after the other.

    What cannot be drawn is warned of and costs nothing else: a chart becomes a picture that says
    so, and a PNG or PDF is left out.
    """
    keys = list(jobs)
    work = sum(SECONDS[kind] for kind, _ in jobs.values())
    two = work >= ENOUGH_WORK and (os.cpu_count() or 1) > 1
    done: dict[str, bytes] = {}
    faults: dict[str, str] = {}
    with _LOCK:
        if two:
            share = (_DRAWERS[1], jobs, keys[::2], done, faults)
            second = threading.Thread(target=_draw_share, args=share)
            second.start()
            _draw_share(_DRAWERS[0], jobs, keys[1::2], done, faults)
            second.join()
        else:
            _draw_share(_DRAWERS[0], jobs, keys, done, faults)
    for key, reason in faults.items():
        warnings.warn(f"the figure {visible(key)} could not be drawn: {visible(reason)}",
                      RuntimeWarning, stacklevel=2)  # fmt: skip
        if jobs[key][0] == "chart":
            done[key] = _apology(reason)
    return {key: done[key] for key in keys if key in done}


def _draw_share(
    drawer: Drawer,
    jobs: Mapping[str, DrawingJob],
    keys: Sequence[str],
    done: dict[str, bytes],
    faults: dict[str, str],
) -> None:
    for key in keys:
        try:
            try:
                done[key] = drawer.draw(jobs[key])
            except (UnknownJobError, OSError):
                done[key] = draw_one(jobs[key])
        except NotDrawnError as error:
            faults[key] = str(error)
        except Exception as error:
            faults[key] = f"{type(error).__name__}: {error}"


def _apology(reason: str) -> bytes:
    """A picture that says that there is none."""
    text = in_markup(reason[:100])
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="640" height="48" viewBox="0 0 640 48">'
        '<g font-family="sans-serif" font-size="12"><text x="4" y="18">This figure could not be '
        f'drawn; the numbers are in the tables.</text><text x="4" y="38">{text}</text></g></svg>'
    ).encode()
