"""A held line takes only the memory that the limit counts."""

from __future__ import annotations

import tracemalloc

from mockrec.formats.files.jsonl import encode_lines
from mockrec.formats.har.spool import LineSpool


def test_a_line_takes_its_length() -> None:
    """orjson's bytes keep a buffer of up to ten times their length."""
    spool = LineSpool()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(500):
            spool.put(number, encode_lines([{"type": "x", "text": "x" * 3000}]))
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert 500 * 3000 < held < 500 * 3000 * 1.5
    assert len(list(spool.rest())) == 500
