"""One process at a time that runs a study of an object store: the leases of the store.

As in a run's folder (normlab.records.lease) an object `.coordinator-<generation>` names its owner.
It is made by a write that fails where there is one already (a conditional put), so that of several
takers exactly one succeeds. The owner writes it anew, with a higher count, as its heartbeat. Clocks
are not compared: whoever finds one that does not change for `LEASE_SECONDS` makes the next one.
"""

from __future__ import annotations

import json
import os
import platform
import time
import uuid
from typing import Any

from normlab.errors import LeaseLostError, UsageError
from normlab.records.lease import BEATS, LEASE_SECONDS

PREFIX = ".coordinator-"


class Coordinator:
    """The right to run the study in this folder of the store."""

    def __init__(self, store: Any, root: str, address: str) -> None:
        """Take it, after a silence of its last owner if there was one.

        Raises:
            UsageError: another process has it.
        """
        self.token = uuid.uuid4().hex
        self._store = store
        self._root = root.rstrip("/")
        self._address = address
        self._beats = 0
        self._beaten = 0.0
        while not self._taken():
            pass

    def beat(self) -> None:
        """Say that this process is there, when it is time.

        Raises:
            LeaseLostError: another process has taken over.
        """
        if time.monotonic() < self._beaten + LEASE_SECONDS / BEATS:
            return
        if self._latest() != self._generation:
            raise LeaseLostError(
                f"{self._address} is run by another process now, because this one did not answer "
                "for a while; nothing more is written there"
            )
        self._write("overwrite")

    def release(self) -> None:
        """Give the study back."""
        if self._latest() == self._generation:
            self._store.rm_file(self._path(self._generation))

    def _taken(self) -> bool:
        before = self._latest()
        if before and self._is_alive(before):
            owner = self._read(before) or {}
            raise UsageError(
                f"{self._address} is run by process {owner.get('pid')} on {owner.get('machine')}; "
                "wait for it, or stop it first"
            )
        self._generation = before + 1
        try:
            self._write("create")
        except FileExistsError:
            return False  # somebody was quicker: look again
        if before:
            self._store.rm_file(self._path(before))
        return True

    def _is_alive(self, generation: int) -> bool:
        """Whether its object changes, or goes, within the time in which an owner must renew it."""
        seen = self._read(generation)
        until = time.monotonic() + LEASE_SECONDS
        while seen is not None and time.monotonic() < until:
            time.sleep(LEASE_SECONDS / BEATS)
            now = self._read(generation)
            if now is not None and now != seen:
                return True
            seen = now
        return False

    def _write(self, mode: str) -> None:
        self._beats += 1
        self._beaten = time.monotonic()
        owner = {
            "token": self.token,
            "machine": platform.node(),
            "pid": os.getpid(),
            "beats": self._beats,
        }
        self._store.pipe_file(self._path(self._generation), json.dumps(owner).encode(), mode=mode)

    def _read(self, generation: int) -> dict[str, Any] | None:
        try:
            return dict(json.loads(self._store.cat_file(self._path(generation))))
        except FileNotFoundError:
            return None

    def _latest(self) -> int:
        """The newest generation; 0 where there is none."""
        self._store.invalidate_cache()
        try:
            names = [path.rpartition("/")[2] for path in self._store.ls(self._root, detail=False)]
        except FileNotFoundError:
            return 0
        found = [name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX)]
        return max((int(number) for number in found if number.isdecimal()), default=0)

    def _path(self, generation: int) -> str:
        return f"{self._root}/{PREFIX}{generation}"
