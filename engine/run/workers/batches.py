"""A worker's records on their way to its parent: batches of lines, each with what the parent wants to know of them.

A batch is two lengths, its summary (pickled), and its lines. The worker has made the records and knows all this; the
parent does not look into lines, of which it may get those of many workers.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, Final

import orjson

from mockrec.formats.schema.lifecycle import ENDING_TYPES, ENDS_OF

Record = dict[str, Any]

HEAD: Final = b'{"seq":0'
"""What every line of a worker begins with."""
_SIZES: Final = struct.Struct(">IQ")


@dataclass(frozen=True, slots=True)
class Batch:
    """Records, in order."""

    kinds: Sequence[str]
    """Their types."""
    pieces: Sequence[bytes]
    """Of each what follows `HEAD` in its line, with the line's end."""
    opened: Sequence[tuple[str, int]]
    """Exchanges and tunnels that begin in this batch and do not end in it: the id, and the record's place."""
    ended: Sequence[str]
    """Ids of those that end in it and did not begin in it."""


def pack(records: Sequence[Record], lines: Sequence[bytes]) -> bytes:
    """A batch of these records, whose encoded lines end with line breaks."""
    kinds = [record["type"] for record in records]
    lengths = list(map(len, lines))
    summary = pickle.dumps((kinds, lengths, *_open_and_ended(kinds, records)), pickle.HIGHEST_PROTOCOL)
    return b"".join([_SIZES.pack(len(summary), sum(lengths)), summary, *lines])


def _open_and_ended(kinds: Iterable[str], records: Iterable[Record]) -> tuple[list[tuple[str, int]], list[str]]:
    opened: dict[str, int] = {}
    ended = []
    for place, (kind, record) in enumerate(zip(kinds, records, strict=True)):
        if kind in ENDS_OF:
            opened[record["id"]] = place
        elif kind in ENDING_TYPES and opened.pop(record["id"], None) is None:
            ended.append(record["id"])
    return list(opened.items()), ended


class Unpacker:
    """Batches out of a stream of bytes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._needed = _SIZES.size

    def feed(self, data: bytes) -> Iterator[Batch]:
        """The batches that bytes complete, which come cut anywhere."""
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
        """Nothing more will come: the whole lines of a batch that is not."""
        data = b"".join(self._parts)
        self._parts, self._size, self._needed = [], 0, _SIZES.size
        if len(data) < _SIZES.size:
            return None
        summary_size, _ = _SIZES.unpack_from(data)
        if len(data) < _SIZES.size + summary_size:
            return None
        batch = _batch(data, summary_size)
        records = [orjson.loads(HEAD + piece) for piece in batch.pieces]
        return Batch(batch.kinds, batch.pieces, *_open_and_ended(batch.kinds, records))


def _batch(data: bytes, summary_size: int) -> Batch:
    """Of as many lines as there are."""
    start = _SIZES.size + summary_size
    kinds, lengths, opened, ended = pickle.loads(data[_SIZES.size : start])
    skipped = len(HEAD)
    pieces = [
        data[begin + skipped : end] for begin, end in pairwise(accumulate(lengths, initial=start)) if end <= len(data)
    ]
    return Batch(kinds[: len(pieces)], pieces, opened, ended)
