"""Removes an output that an interrupt leaves unfinished, because it would be taken for a complete one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mockrec.formats.files.frames import Sink


@contextmanager
def whole_or_none(sink: Sink) -> Iterator[Sink]:
    """Close `sink` at the end. A signal removes what was written, other errors leave it."""
    try:
        yield sink
    except KeyboardInterrupt:
        from mockrec.formats.files.frames import FileOutput

        if isinstance(sink, FileOutput):
            sink.discard()
        raise
    finally:
        sink.close()
