"""Batches: the records of a worker on their way to its parent, as lines with a summary.

A batch is two lengths, its summary (pickled), and its lines. The summary says what the parent needs to know of the
records: the worker has made them and knows it, while the parent never decodes lines, of which it may get those of many
workers.

The records of a worker have no number: each line begins with `{"seq":0`. The parent cuts that off and writes the number
in its place, so that numbering costs no decoding either.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, Final

import orjson

from mockrec.engine.recording.recorder import UNNUMBERED
from mockrec.formats.schema.lifecycle import ENDING_TYPES, ENDS_OF

Record = dict[str, Any]

_UNNUMBERED: Final = UNNUMBERED
"""The beginning of every line of a worker."""
_SIZES: Final = struct.Struct(">IQ")


@dataclass(frozen=True, slots=True)
class Batch:
    """Records, in order."""

    types: Sequence[str]
    tails: Sequence[bytes]
    """The line of each record after the number, from the comma to the line break; see `decode_tail`."""
    opened: Sequence[tuple[str, int]]
    """Exchanges and tunnels that begin in this batch and do not end in it: their id, and the index of the record."""
    ended: Sequence[str]
    """Ids of those that end in it and did not begin in it."""


def decode_tail(tail: bytes) -> Record:
    """Decode the record of which `tail` is the line after the number; its number is 0."""
    record: Record = orjson.loads(_UNNUMBERED + tail)
    return record


def pack(types: Sequence[str], ids: Sequence[str], lines: Sequence[bytes]) -> bytes:
    """Encode a batch of records: their types, their ids (empty if they have none), and each as JSON with its line
    break."""
    lengths = list(map(len, lines))
    summary = pickle.dumps((types, lengths, *_opened_and_ended(types, ids)), pickle.HIGHEST_PROTOCOL)
    return b"".join([_SIZES.pack(len(summary), sum(lengths)), summary, *lines])


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
        ids = [decode_tail(tail).get("id", "") for tail in batch.tails]
        return Batch(batch.types, batch.tails, *_opened_and_ended(batch.types, ids))


def _batch(data: bytes, summary_size: int) -> Batch:
    """Decode a batch, with as many lines as `data` has."""
    start = _SIZES.size + summary_size
    types, lengths, opened, ended = pickle.loads(data[_SIZES.size : start])
    skipped = len(_UNNUMBERED)
    tails = [
        data[begin + skipped : end] for begin, end in pairwise(accumulate(lengths, initial=start)) if end <= len(data)
    ]
    return Batch(types[: len(tails)], tails, opened, ended)
