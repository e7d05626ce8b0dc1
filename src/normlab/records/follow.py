"""The rows of a run as they come, each read once."""

from __future__ import annotations

import os

from pydantic import ValidationError

from normlab.records.run import EpochRow
from normlab.records.store import RunFolder


class RowFollower:
    """Reads what was appended to a run's rows since the last look.

    It remembers how far it has read. Where the file was written anew (a run that goes on drops the
    rows after its checkpoint), it begins again and leaves out the epochs that it has given already.
    """

    def __init__(self, folder: RunFolder) -> None:
        """Give only rows after those that are there now."""
        self._folder = folder
        self._path = folder.path / "epochs.jsonl"
        self._file = 0
        self._offset = 0
        self.epochs = 0
        """The epoch of the last row that was given."""
        self.new_rows()

    def new_rows(self) -> list[EpochRow]:
        """The rows that are new; a line that is not whole yet waits for the next look.

        Raises:
            StorageError: a line is damaged.
        """
        lines = self._new_lines()
        try:
            rows = [EpochRow.model_validate_json(line) for line in lines]
        except ValidationError:  # damaged, or another file under an old number
            rows = list(self._folder.read_rows())
        new = [row for row in rows if row.epoch > self.epochs]
        self.epochs = max([self.epochs, *(row.epoch for row in rows)])
        return new

    def _new_lines(self) -> list[bytes]:
        try:
            with self._path.open("rb") as file:
                now = os.fstat(file.fileno())
                if now.st_ino != self._file or now.st_size < self._offset:
                    self._file, self._offset = now.st_ino, 0
                if now.st_size == self._offset:
                    return []
                file.seek(self._offset)
                lines = file.read().split(b"\n")[:-1]
        except FileNotFoundError:
            return []
        self._offset += sum(len(line) + 1 for line in lines)
        return lines
