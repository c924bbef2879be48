"""Finishes the journal of a recording that was cut off: `mockrec verify SESSION --repair`."""

from __future__ import annotations

from pathlib import Path

import orjson

from mockrec.formats.files.locks import held_by
from mockrec.formats.files.outfile import open_output
from mockrec.formats.parquet.journal_lock import HELPER, RECORDER, Lock, take_lock
from mockrec.formats.parquet.paths import segment_name, segments
from mockrec.formats.parquet.segments import CONVERTER_ERRORS, open_converter
from mockrec.formats.schema.errors import OutputBusyError, OutputError

_TAIL = 1024 * 1024


def finish_journal(path: str, journal: Path, ending: bytes, *, file_mode: int = 0o600) -> None:
    """Make the Parquet file or data set of a journal, with the lines `ending` added at the end.

    Raises `OutputError`, and then the journal stays.
    """
    locks: list[Lock | None] = []
    try:
        try:
            locks.append(take_lock(journal, RECORDER, wait=False))
            if locks[0] is None:
                raise OutputBusyError(path, held_by(journal / RECORDER))
            locks.append(take_lock(journal, HELPER, wait=True))  # the recorder's helper process may still be ending
        except FileNotFoundError:
            return  # the helper process has finished the journal, because its recorder had ended
        found = segments(journal)
        if found:
            _cut_torn_line(found[max(found)])
        converter = open_converter(path, journal, file_mode=file_mode)
        try:
            last = max(found, default=converter.next - 1)
            if ending:
                last += 1
                file = open_output(journal / segment_name(last), force=False, file_mode=file_mode)
                file.write(ending, lines=True)
                file.close()
            converter.convert(last)
            converter.finish()
        except BaseException:
            converter.discard()
            raise
    except CONVERTER_ERRORS as error:
        text = (getattr(error, "strerror", None) or str(error)).partition("\n")[0]
        raise OutputError(path, text) from None
    finally:
        for lock in locks:
            if lock is not None:
                lock.release()


def _cut_torn_line(segment: Path) -> None:
    """Make a segment end with a whole line: add the line end of a valid last line, cut off an invalid one."""
    with segment.open("r+b") as file:
        size = file.seek(0, 2)
        tail = b""
        while size > len(tail) and b"\n" not in tail:
            start = max(0, size - len(tail) - _TAIL)
            file.seek(start)
            tail = file.read(size - start)
        torn = tail.rpartition(b"\n")[2]
        if not torn:
            return
        try:
            orjson.loads(torn)
        except orjson.JSONDecodeError:
            file.truncate(size - len(torn))
        else:
            file.seek(size)
            file.write(b"\n")
