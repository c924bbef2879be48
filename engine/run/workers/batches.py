"""Batches: the records of a worker on their way to its parent, as lines with a summary.

A batch is two lengths, its summary (pickled), and its lines. The summary says what the parent needs to know of the
records: the worker has made them and knows it, while the parent never decodes lines, of which it may get those of many
workers.

The records of a worker have no number: each line begins with `{"seq":0`. The parent writes the number in its place
(`Recorder.add_lines`), so that numbering costs no decoding either.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from mockrec.formats.schema.lifecycle import ENDING_TYPES, ENDS_OF

Record = dict[str, Any]

_SIZES: Final = struct.Struct(">IQ")


@dataclass(frozen=True, slots=True)
class Batch:
    """Records, in order."""

    types: Sequence[str]
    lines: bytes
    """The line of each record, with the number 0 and its line break; see `each_line`."""
    opened: Sequence[tuple[str, int]]
    """Exchanges and tunnels that begin in this batch and do not end in it: their id, and the index of the record."""
    ended: Sequence[str]
    """Ids of those that end in it and did not begin in it."""

    @property
    def each_line(self) -> list[bytes]:
        """The lines one by one. Costs time: most batches are passed on as they are."""
        return self.lines.splitlines(keepends=True)


def pack(types: Sequence[str], ids: Sequence[str], lines: bytes) -> bytes:
    """Encode a batch of records: their types, their ids (empty if they have none), and their lines."""
    summary = pickle.dumps((types, *_opened_and_ended(types, ids)), pickle.HIGHEST_PROTOCOL)
    return b"".join([_SIZES.pack(len(summary), len(lines)), summary, lines])


def _opened_and_ended(types: Iterable[str], ids: Iterable[str]) -> tuple[list[tuple[str, int]], list[str]]:
    opened: dict[str, int] = {}
    ended = []
    for index, (kind, record_id) in enumerate(zip(types, ids, strict=True)):
        if kind in ENDS_OF:
            opened[record_id] = index
        elif kind in ENDING_TYPES and opened.pop(record_id, None) is None:
            ended.append(record_id)
    return list(opened.items()), ended


class Unpacker:
    """Decodes batches from a stream of bytes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._needed = _SIZES.size

    def feed(self, data: bytes) -> Iterator[Batch]:
        """Yield the batches that `data` completes; a batch may be cut anywhere."""
        self._parts.append(data)
        self._size += len(data)
        while self._size >= self._needed:
            data = b"".join(self._parts)
            summary_size, lines_size = _SIZES.unpack_from(data)
            self._needed = _SIZES.size + summary_size + lines_size
            if len(data) >= self._needed:
                yield _batch(data, summary_size)
                data = data[self._needed :]
                self._needed = _SIZES.size
            self._parts, self._size = [data], len(data)

    def rest(self) -> Batch | None:
        """Return the complete lines of a batch that was cut off: the stream has ended."""
        data = b"".join(self._parts)
        self._parts, self._size, self._needed = [], 0, _SIZES.size
        if len(data) < _SIZES.size:
            return None
        summary_size, _ = _SIZES.unpack_from(data)
        if len(data) < _SIZES.size + summary_size:
            return None
        batch = _batch(data, summary_size)
        ids = [orjson.loads(line).get("id", "") for line in batch.each_line]
        return Batch(batch.types, batch.lines, *_opened_and_ended(batch.types, ids))


def _batch(data: bytes, summary_size: int) -> Batch:
    """Decode a batch, with as many whole lines as `data` has."""
    start = _SIZES.size + summary_size
    lines_size = _SIZES.unpack_from(data)[1]
    types, opened, ended = pickle.loads(data[_SIZES.size : start])
    lines = data[start : start + lines_size]
    if len(lines) < lines_size:
        lines = lines[: lines.rfind(b"\n") + 1]
        types = types[: lines.count(b"\n")]
    return Batch(types, lines, opened, ended)
