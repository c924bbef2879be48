"""The program of a recording's helper process: reads from stdin which segments are closed, and makes rows of them.

`closed N` says that segments up to N are closed, `end` that no further segments follow. If stdin ends without `end`,
the recorder was killed, and the journal stays as it is.
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
    """Run the helper. The exit code is 0 for success or nothing to do, 3 for a failed output, 4 for an existing one."""
    for number in (signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGINT)):
        signal.signal(number, signal.SIG_IGN)
    journal = Path(folder)
    try:
        lock = take_lock(journal, HELPER, wait=True)
    except FileNotFoundError:
        return 0  # the recorder ended before this process started, and its journal has been finished
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
    """Raise `FileNotFoundError` for a removed segment: its records must not be missing without an error."""
    missing = set(range(first, last + 1)) - set(segments(journal))
    if missing:
        raise FileNotFoundError(errno.ENOENT, f"{journal / segment_name(min(missing))} has been removed")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
