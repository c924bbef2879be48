"""Reads session B in a process of its own while this one reads A.

The other process puts contents into a file that this one has opened, and returns the digests. They are what
reading here would have made, so results are the same with and without it. What it cannot read, or does not because it
was killed, is read here.
"""

from __future__ import annotations

import os
import sys
from array import array
from pathlib import Path
from sys import intern
from types import TracebackType
from typing import IO, Self

import msgspec
import orjson

from mockrec.formats.diff.model.exchange import Digest
from mockrec.formats.diff.model.options import DiffOptions
from mockrec.formats.diff.model.spool import BUFFER, ContentSpool, new_file
from mockrec.formats.diff.reading import ReadSession, read_session
from mockrec.formats.diff.result import ComparedSession
from mockrec.formats.parquet.gc_pause import no_collection
from mockrec.formats.workers.cpus import processes
from mockrec.formats.workers.pool import WorkerPool, can_start

_WAIT = 60.0
"""Seconds of one wait for the other process, of any number."""


class Task(msgspec.Struct, array_like=True):
    """What another process is to read."""

    path: str
    file: str
    """Where it opens the file for the contents."""
    strict: bool
    requests: bool
    pair_header: str


class Answer(msgspec.Struct, array_like=True):
    """A `ReadSession`."""

    name: str
    cut_off: str
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    header: bytes
    folder: str | None
    digests: list[Digest]
    keys: bytes
    places: bytes
    """With `keys`, the index of the spool."""


class SecondReader:
    """Begins to read a session at once. A context manager, which ends the process."""

    def __init__(self, path: str, options: DiffOptions) -> None:
        """Raises OSError if no process can be started."""
        self._file: IO[bytes] | None = new_file()
        task = Task(path, path_of(self._file), options.strict, options.requests, options.pair_header)
        try:
            self._pool = WorkerPool(f"{__name__}:read", 1)
            self._pool.put(msgspec.msgpack.encode(task))
        except OSError:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._pool.close()
        if self._file is not None:
            self._file.close()

    def result(self, spool: ContentSpool) -> ReadSession | None:
        """Wait for the session, whose contents `spool` adopts; None if it has to be read here."""
        try:
            results: list[tuple[int, bytes]] = []
            while not results:
                results = self._pool.results(wait=_WAIT)
        except OSError:  # it was killed
            return None
        (_, data) = results[0]
        if not data or self._file is None:
            return None
        try:
            found = adopted(data, self._file, spool)
        except msgspec.MsgspecError:  # of another version, as after an upgrade in between
            return None
        self._file = None
        return found


def read_both(a: str, b: str, spool: ContentSpool, options: DiffOptions) -> tuple[ReadSession, ReadSession]:
    """Read two sessions at the same time, where that is possible. Raises `SessionError`."""
    # Only Linux has a path to a file without a name; a compiled expression stays in its process.
    if sys.platform != "linux" or options.only is not None or processes() < 2 or not can_start():
        return read_session(a, spool, options), read_session(b, spool, options)
    try:
        reader = SecondReader(b, options)
    except OSError:
        return read_session(a, spool, options), read_session(b, spool, options)
    with reader:
        first = read_session(a, spool, options)
        return first, reader.result(spool) or read_session(b, spool, options)


def adopted(data: bytes, file: IO[bytes], spool: ContentSpool) -> ReadSession:
    """Return the session that `read` has returned. `spool` adopts the file with its contents.

    Raises `MsgspecError`, and adopts nothing, if the data is something else.
    """
    answer = msgspec.msgpack.decode(data, type=Answer, dec_hook=_messages)
    numbers = spool.adopt(file, answer.keys, answer.places)
    digests = answer.digests
    _renumber(digests, numbers)
    side = ComparedSession(answer.name, len(digests), answer.cut_off, answer.problems, answer.notes)
    folder = None if answer.folder is None else Path(answer.folder)
    return ReadSession(side, orjson.loads(answer.header), folder, digests)


def path_of(file: IO[bytes]) -> str:
    """Return where another process opens a file without a name."""
    return f"/proc/{os.getpid()}/fd/{file.fileno()}"


def _renumber(digests: list[Digest], numbers: array[int]) -> None:
    """Give digests the numbers that contents have here (`numbers`, by number there)."""
    for digest in digests:
        digest.kind, digest.method, digest.host = intern(digest.kind), intern(digest.method), intern(digest.host)
        digest.scope, digest.operation = intern(digest.scope), intern(digest.operation)
        digest.response = numbers[digest.response]
        if digest.request >= 0:
            digest.request = numbers[digest.request]
        if digest.messages is not None:
            sides = [numbers[number] if number >= 0 else ~numbers[~number] for number in digest.messages]
            digest.messages = array("q", sides)


def _messages(kind: type, data: bytes) -> array[int]:
    return array("q", data)


# ── in the other process ───────────────────────────────────────────────────────────────────────────


def read(data: bytes) -> bytes:
    """Read the session of a task. Raises `SessionError` or `OSError`; the caller then reads it itself."""
    task = msgspec.msgpack.decode(data, type=Task)
    options = DiffOptions(strict=task.strict, requests=task.requests, pair_header=task.pair_header)
    with open(task.file, "r+b", buffering=BUFFER) as file, no_collection():
        spool = ContentSpool(file)
        session = read_session(task.path, spool, options)
        side, folder = session.side, session.folder
        answer = Answer(
            side.name,
            side.cut_off,
            side.problems,
            side.notes,
            orjson.dumps(session.header),
            None if folder is None else str(folder),
            session.digests,
            *spool.index(),
        )
        return msgspec.msgpack.encode(answer, enc_hook=array.tobytes)
