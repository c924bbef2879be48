"""The temporary file that holds the records of a served session; only the index is in memory."""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any

import orjson

Spot = tuple[int, int]
"""The position of a value in the file: offset and length in bytes."""


class Store:
    """An unnamed temporary file of JSON values: append-only, with random reads."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open until close()
        self._size = 0
        self._unwritten = False

    def keep(self, value: Any) -> Spot:
        """Append a value and return its position."""
        try:
            data = orjson.dumps(value)
        except (TypeError, ValueError):  # orjson accepts neither large numbers nor lone surrogates
            data = json.dumps(value).encode()
        self._file.write(data)
        self._unwritten = True
        spot = self._size, len(data)
        self._size += len(data)
        return spot

    def read(self, spot: Spot | list[int]) -> Any:
        """Return the value at a position."""
        if self._unwritten:
            self._file.flush()
            self._unwritten = False
        offset, length = spot
        return json.loads(os.pread(self._file.fileno(), length, offset))  # orjson rounds large numbers

    def close(self) -> None:
        """Close the file, which deletes it."""
        self._file.close()
