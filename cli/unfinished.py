"""An output that an interrupt leaves unfinished is removed: it would be taken for the whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mockrec.formats.files.frames import Sink


@contextmanager
def whole_or_none(sink: Sink) -> Iterator[Sink]:
    """Close `sink` at the end, whatever happens; a signal removes what was written, other errors leave it."""
    try:
        yield sink
    except KeyboardInterrupt:
        from mockrec.formats.files.frames import FileOutput

        if isinstance(sink, FileOutput):
            sink.discard()
        raise
    finally:
        sink.close()
