"""The temporary file that holds what a served session says: only its index stays in memory."""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any

import orjson

Spot = tuple[int, int]
"""Where a value is in the file: offset and length, in bytes."""


class Store:
    """An unnamed temporary file of JSON values, written once and then read in any order."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the run
        self._size = 0
        self._unwritten = False

    def keep(self, value: Any) -> Spot:
        """Append a value; where it is."""
        try:
            data = orjson.dumps(value)
        except (TypeError, ValueError):  # orjson has neither large numbers nor lone surrogates
            data = json.dumps(value).encode()
        self._file.write(data)
        self._unwritten = True
        spot = self._size, len(data)
        self._size += len(data)
        return spot

    def read(self, spot: Spot | list[int]) -> Any:
        """The value that was kept there."""
        if self._unwritten:
            self._file.flush()
            self._unwritten = False
        offset, length = spot
        return json.loads(os.pread(self._file.fileno(), length, offset))  # orjson rounds large numbers

    def close(self) -> None:
        """Give the file back to the system."""
        self._file.close()
