"""One writer at a time: who gets a lease, who loses it, and who notices."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from normlab.errors import LeaseLostError, StorageError
from normlab.records import lease as lease_module
from normlab.records.lease import lease_owner, take_lease
from normlab.records.run import Outcome
from normlab.records.store import RunFolder

DIES = """
import os, sys
from pathlib import Path
from normlab.records.lease import take_lease
assert take_lease(Path(sys.argv[1])) is not None
os._exit(9)
"""


def old(folder: Path, seconds: float) -> None:
    """As if the lease had not been renewed for so long."""
    (path,) = folder.glob(".lease-*")
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


def elsewhere(folder: Path) -> None:
    """As if the lease were that of a process on another machine."""
    (path,) = folder.glob(".lease-*")
    path.write_text(json.dumps({**json.loads(path.read_text()), "machine": "node7 other"}))


def test_one_at_a_time(tmp_path) -> None:
    first = take_lease(tmp_path / "run")
    assert first is not None
    assert take_lease(tmp_path / "run") is None
    assert lease_owner(tmp_path / "run").pid == os.getpid()
    first.check()
    first.release()
    assert lease_owner(tmp_path / "run") is None
    assert list((tmp_path / "run").iterdir()) == []
    second = take_lease(tmp_path / "run")
    second.check()
    with pytest.raises(LeaseLostError):  # it was given back
        first.check()
    second.release()


def test_of_many_takers_one_succeeds(tmp_path) -> None:
    for attempt in range(20):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        (folder / ".lease-3").write_text("")  # of somebody who died while writing it
        os.utime(folder / ".lease-3", (0, 0))
        found = []
        gate = threading.Barrier(8)

        def take(folder=folder, found=found, gate=gate) -> None:
            gate.wait()
            found.append(take_lease(folder))

        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        owners = [lease for lease in found if lease is not None]
        assert len(owners) == 1
        owners[0].check()
        owners[0].release()


def test_a_dead_owner_loses_it_at_once(tmp_path) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-c", DIES, str(folder)]
    assert subprocess.run(command, check=False).returncode == 9
    assert lease_owner(folder) is None
    lease = take_lease(folder)
    assert lease is not None
    assert len(list(folder.glob(".lease-*"))) == 1
    lease.release()


def test_of_another_machine_only_silence_tells(tmp_path) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-c", DIES, str(folder)]
    subprocess.run(command, check=False)
    elsewhere(folder)
    assert take_lease(folder) is None
    assert str(lease_owner(folder)).endswith("on node7")
    old(folder, lease_module.LEASE_SECONDS + 1)
    lease = take_lease(folder)
    assert lease is not None
    lease.release()


def test_an_owner_that_was_presumed_dead_writes_nothing(tmp_path) -> None:
    """As when it was stopped for a while (SIGSTOP) and goes on later."""
    sleeper, other = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "run")
    done = Outcome(status="finished", epochs=3)
    with sleeper.leased() as is_ours:
        assert is_ours
        sleeper.log("begun")
        old(tmp_path / "run", lease_module.LEASE_SECONDS + 1)
        with other.leased() as is_theirs:
            assert is_theirs
            assert_silent(sleeper)
            other.write_outcome(done)
        assert_silent(sleeper)
        with other.leased() as is_theirs:  # its name is that of the first lease
            assert is_theirs
            assert_silent(sleeper)
    assert other.read_outcome() == done
    assert (tmp_path / "run" / "log.txt").read_text() == "begun\n"
    assert not list((tmp_path / "run").glob(".*"))


def assert_silent(folder: RunFolder) -> None:
    for write in (
        lambda: folder.write_outcome(Outcome(status="interrupted", epochs=0)),
        lambda: folder.log("I am back"),
        folder.discard_checkpoint,
    ):
        with pytest.raises(LeaseLostError, match="another process now"):
            write()


def test_it_is_renewed(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(lease_module, "LEASE_SECONDS", 0.5)
    lease = take_lease(tmp_path / "run")
    old(tmp_path / "run", 100)
    (path,) = (tmp_path / "run").glob(".lease-*")
    before = path.stat().st_mtime
    for _ in range(100):
        if path.stat().st_mtime > before:
            break
        threading.Event().wait(0.05)
    assert path.stat().st_mtime > before + 50
    lease.release()


def test_a_folder_that_cannot_be_written(tmp_path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(StorageError, match="cannot write to"):
        take_lease(tmp_path / "run")
