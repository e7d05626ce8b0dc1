"""The ranks of one run as processes of this machine, which torchrun starts and watches.

The job's process starts torchrun and follows the records, which the first rank writes; each rank is
`normlab.study.job`. Where one is lost, torchrun starts all of them anew, and they go on from the
last checkpoint.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from normlab.errors import InterruptedRunError, UsageError

if TYPE_CHECKING:
    from normlab.records.run import EpochRow
    from normlab.records.store import RunFolder
    from normlab.train.interrupt import StopRequest

RESTARTS = 3
"""Times that all ranks are started anew after one was lost."""
POLL_SECONDS = 0.1
WATCHED = "NORMLAB_RANKS_END_WITH_INPUT"
"""In the environment of ranks whose standard input ends with the process that they work for."""


def rows_of_ranks(
    job: str, folder: RunFolder, ranks: int, threads: int, check: Callable[[int], None]
) -> Generator[EpochRow, None, str]:
    """Have the run of a job, as JSON, made by its ranks, yielding the rows of finished epochs.

    Each rank has so many threads. `check` raises an InterruptedRunError where all should stop.
    Returns why the run could not be made; empty where the records say how it ended.

    Raises:
        UsageError: a rank cannot begin, as without its device.
    """
    from normlab.records.follow import RowFollower

    follower = RowFollower(folder)
    asked = False
    with tempfile.TemporaryDirectory(prefix="normlab-ranks-") as name:
        files = Path(name)
        (files / "job.json").write_text(job, encoding="utf-8")
        with _started(files, ranks, threads) as process:
            ended = False
            while not ended:
                ended = process.poll() is not None  # asked first: a last row may come
                for row in follower.new_rows():
                    yield row
                    asked = asked or _asks(check, row.train.images)
                asked = asked or _asks(check, 0)
                if asked and process.stdin is not None:
                    process.stdin.close()  # upon which the ranks stop in order
                time.sleep(0 if ended else POLL_SECONDS)
        said = (files / "said.txt").read_text(encoding="utf-8", errors="replace")
    outcome = folder.read_outcome()
    told = outcome is not None and outcome.status != "interrupted"
    if not process.returncode or asked or told:
        return ""
    own = [line for line in said.splitlines() if line.startswith("normlab: ")]
    if own:
        raise UsageError(own[-1].removeprefix("normlab: "))
    folder.log(said)
    return f"its ranks ended {RESTARTS + 1} times; log.txt of the run has what they said"


def _asks(check: Callable[[int], None], images: int) -> bool:
    try:
        check(images)
    except InterruptedRunError:
        return True
    return False


@contextmanager
def _started(files: Path, ranks: int, threads: int) -> Iterator[subprocess.Popen[bytes]]:
    """torchrun on this machine alone; it and its ranks are gone after the block."""
    command = [
        *(sys.executable, "-m", "torch.distributed.run"),
        *("--nproc-per-node", str(ranks), "--max-restarts", str(RESTARTS)),
        *("--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0"),
        *("--local-addr", "127.0.0.1", "--monitor-interval", str(POLL_SECONDS)),
        *("-m", "normlab.study.job", str(files / "job.json")),
    ]
    environment = {**os.environ, WATCHED: "1", "OMP_NUM_THREADS": str(threads)}
    if sys.platform == "linux":  # the name of this machine may lead nowhere
        environment.setdefault("GLOO_SOCKET_IFNAME", "lo")
    with (files / "said.txt").open("wb") as said:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=said, stderr=said, env=environment,
            start_new_session=True,  # Ctrl-C comes from us, once
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.stdin is not None:
            process.stdin.close()
        process.wait()


def end_with_input(stop: StopRequest) -> None:
    """Stop in order once the process that started the ranks is gone, or asks for it."""
    if WATCHED not in os.environ:
        return

    def watch() -> None:
        while os.read(0, 1 << 10):
            pass
        stop.is_set = True

    threading.Thread(target=watch, name="input", daemon=True).start()
