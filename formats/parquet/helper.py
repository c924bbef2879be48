"""The helper process of a recording: reads from stdin which segments are closed, and makes rows of them.

`closed N` says that segments up to N will not change any more, `end` that there are no more. When stdin ends
without that, the recorder was killed: the journal stays as it is.
"""

from __future__ import annotations

import errno
import signal
import sys
from pathlib import Path

from mockrec.formats.parquet.journal_lock import HELPER, take_lock
from mockrec.formats.parquet.paths import segment_name, segments
from mockrec.formats.parquet.segments import CONVERTER_ERRORS, check_place, needs_check, open_converter
from mockrec.formats.schema.errors import FormatError, OutputExistsError

EXISTS = 4


def main(path: str, folder: str, mode: str, how: str) -> int:
    """The exit code: 0 done, or nothing to do any more; 3 it cannot be written; 4 something is there already."""
    for number in (signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGINT)):
        signal.signal(number, signal.SIG_IGN)
    journal = Path(folder)
    try:
        lock = take_lock(journal, HELPER, wait=True)
    except FileNotFoundError:
        return 0  # our recorder has ended before we had started, and what it has left is finished already
    try:
        if needs_check(path, how):
            check_place(path, force=how == "force")
        return _serve(path, journal, int(mode, 8))
    except OutputExistsError:
        return EXISTS
    except FormatError as error:
        sys.stderr.write(f"{error}\n")
    except CONVERTER_ERRORS as error:
        text = getattr(error, "strerror", None) or str(error)
        sys.stderr.write(text.partition("\n")[0] + "\n")
    finally:
        if lock is not None:
            lock.release()
    return 3


def _serve(path: str, journal: Path, file_mode: int) -> int:
    converter = open_converter(path, journal, file_mode=file_mode)
    try:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        for line in sys.stdin:
            word, _, number = line.strip().partition(" ")
            if word == "end":
                converter.finish()
                return 0
            _need_all(journal, converter.next, int(number))
            converter.convert(int(number))
    except BaseException:
        converter.discard()
        raise
    converter.discard()
    return 0


def _need_all(journal: Path, first: int, last: int) -> None:
    """Raises `FileNotFoundError` for a segment that somebody has removed: its records must not be left out silently."""
    missing = set(range(first, last + 1)) - set(segments(journal))
    if missing:
        raise FileNotFoundError(errno.ENOENT, f"{journal / segment_name(min(missing))} has been removed")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
