"""A study that SLURM carries to its end by itself: a job that hands in the runs, and its successor.

The command that hands in runs need not live on a login node. It is a job of one CPU; before it does
anything it puts a successor into the queue that begins when it has ended, however it ended: by its
time, with its node, or in order. Once the study is decided the successor is taken back.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from normlab.errors import StorageError
from normlab.study.executors.slurm import call_slurm, sbatch_flags

SIGNAL_SECONDS = 120
"""Seconds before its time is over in which the driver stops its runs in order."""
NOT_FINISHED = 3
"""The exit code of `normlab run` that asks for a successor."""
SCRIPT = """\
#!/bin/bash
# Written by `normlab slurm-submit`. Hands in the runs of a study until it is decided.
next=$(sbatch --parsable --dependency=afterany:"$SLURM_JOB_ID" {flags} {script})
{command} &
driver=$!
trap 'kill -USR1 $driver' USR1
wait $driver
code=$?
while kill -0 $driver 2>/dev/null; do  # wait came back for a signal
  wait $driver
  code=$?
done
if [ "$code" -ne {again} ]; then
  scancel "$next"
fi
exit "$code"
"""


def submit_driver(study: Path, runs: str, driver: str, arguments: Sequence[str] = ()) -> str:
    """Put the driver of a study into SLURM's queue; the number of its job.

    Args:
        study: The study's folder, which every node must see.
        runs: Options of the executor slurm for the runs.
        driver: The same for the driver itself: its partition and time.
        arguments: Further arguments of `normlab run`.

    Raises:
        UsageError: SLURM refuses it, or there is none.
        StorageError: the folder cannot be written.
    """
    study = study.resolve()
    script = study / "slurm-driver.sh"
    flags = [
        *sbatch_flags(driver, name=driver_name(study), signal=SIGNAL_SECONDS),
        f"--output={study / 'slurm-driver.log'}",
        "--open-mode=append",
    ]
    executor = f"slurm:{runs}" if runs else "slurm"
    command = [
        *(sys.executable, "-m", "normlab", "run", str(study)),
        *("--executor", executor, "--yes", *arguments),
    ]
    text = SCRIPT.format(
        flags=shlex.join(flags),
        script=shlex.quote(str(script)),
        command=shlex.join(command),
        again=NOT_FINISHED,
    )
    try:
        script.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"cannot write to {study}: {error.strerror or error}") from error
    return call_slurm("sbatch", "--parsable", *flags, str(script)).partition(";")[0].strip()


def driver_name(study: Path) -> str:
    """What the driver and its successor are called in the queue; `scancel -n NAME` ends both."""
    return f"normlab-driver-{study.name}"
