"""Counts blocks of lines of a session, by several processes where it is large."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

import msgspec

from mockrec.formats.analysis.stats import NAMING, Stats
from mockrec.formats.analysis.stats_record import StatsRecord
from mockrec.formats.operations.readers import can_name, may_have_operation
from mockrec.formats.schema.lifecycle import COMPLETE_TYPES
from mockrec.formats.select.answers import decoded
from mockrec.formats.workers.blocks import BlockWorkers

_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(StatsRecord)


@dataclass(frozen=True, slots=True)
class DecodedRecords:
    """The records of a block; see `DecodedBlock`."""

    records: Sequence[StatsRecord]
    may_have_operations: bool

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: Literal[-1]) -> StatsRecord:
        return self.records[index]

    def add_to(self, stats: Stats) -> bool:
        """Add the records to `stats`; False if lines have to be added one by one, because operations may start."""
        if not self.may_have_operations:
            stats.add_records(self.records)
        return not self.may_have_operations


@dataclass(frozen=True, slots=True)
class CountedRecords:
    """What a worker has counted of a block without operations; see `DecodedBlock`."""

    count: int
    last: StatsRecord
    stats: Stats

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: Literal[-1]) -> StatsRecord:
        return self.last

    def add_to(self, stats: Stats) -> bool:
        """Add the numbers to `stats`."""
        stats.merge(self.stats)
        return True


class StatsBlocks:
    """Decodes or counts the blocks of one session. A context manager."""

    def __init__(self, source: str = "") -> None:
        """`source` is the file that the blocks are of, if it is known."""
        self._workers = BlockWorkers[DecodedRecords | CountedRecords | None](
            f"{__name__}:count", pickle.loads, decode_records, source=source
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._workers.close()

    def decode(self, blocks: Iterable[bytes]) -> Iterator[tuple[bytes, DecodedRecords | CountedRecords | None]]:
        """Decode or count blocks; see `BlockDecoder`."""
        yield from self._workers.results(blocks)


def decode_records(block: bytes) -> DecodedRecords | None:
    """Return the records of a block; None if it has to be read line by line."""
    records = decoded(_decoder.decode_lines, block)
    if records is None:
        return None
    lines = block.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return DecodedRecords(records, _may_have_operations(lines, records)) if len(lines) == len(records) else None


def _may_have_operations(lines: Sequence[bytes], records: Sequence[StatsRecord]) -> bool:
    """Return whether operations may start in these records, one on each line.

    Only lines that can name one are searched: a search of the whole block takes longer than decoding it.
    """
    naming = [
        place
        for place, record in enumerate(records)
        if record.type in NAMING and (record.type not in COMPLETE_TYPES or can_name(record.method, record.url))
    ]
    return bool(naming) and may_have_operation(b"\n".join([lines[place] for place in naming]))


def count(block: bytes) -> bytes:
    """Return the `CountedRecords` of a block for another process; empty if it has to be added line by line.

    Called in workers: what is read of their pipe comes from a process that this one has started.
    """
    found = decode_records(block)
    stats = Stats()
    if not found or not found.add_to(stats):
        return b""
    return pickle.dumps(CountedRecords(len(found), found[-1], stats), pickle.HIGHEST_PROTOCOL)
