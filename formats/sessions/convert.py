"""Copies a session from one format to another: whole lines from a source to a sink."""

from __future__ import annotations

import orjson

from mockrec.formats.files.frames import Sink
from mockrec.formats.files.reader import Lines


def convert(source: Lines, sink: Sink) -> None:
    """Copy every line; a torn last line is left out. The sink stays open.

    Raises `SessionError`, `OutputError`, and `RecordError` if the sink parses a line that is no record.
    """
    rest: list[bytes] = []
    for chunk in source:
        head, newline, tail = chunk.rpartition(b"\n")
        if newline:
            rest += (head, newline)
            sink.write(b"".join(rest))
            rest = []
        if tail:
            rest.append(tail)
    last = b"".join(rest)
    try:
        orjson.loads(last)
    except orjson.JSONDecodeError:
        return
    sink.write(last + b"\n")
