"""The sink of a recording to Parquet: JSON Lines in segments, which a helper process converts to rows.

A Parquet file is unreadable before its footer is written, and making rows takes several times as long as writing lines.
So the recorder writes lines, as for JSON Lines, and no record depends on the helper process: if that is killed, another
one starts from the beginning; if the recorder is killed, the journal is the session, and `mockrec verify --repair`
makes the Parquet file of it. Does not import pyarrow: only the helper process does.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mockrec.formats.files.locks import held_by
from mockrec.formats.files.outfile import CHECK_MS, OutFile, open_output
from mockrec.formats.parquet.helper_process import HelperProcess
from mockrec.formats.parquet.helper_thread import HelperThread
from mockrec.formats.parquet.journal_lock import RECORDER, Lock, take_lock
from mockrec.formats.parquet.paths import (
    EVENTS_FOLDER,
    EXCHANGES_FOLDER,
    check_name,
    is_data_set,
    is_uri,
    journal_of,
    parts,
    segment_name,
    segments,
)
from mockrec.formats.schema.errors import OutputBusyError, OutputError, OutputExistsError, OutputLostError

SEGMENT_RECORDS = 16_384
"""As many records as a row group has rows."""
SEGMENT_BYTES = 32 * 1024 * 1024
SEGMENT_AGE_MS = 60_000.0
"""The age at which a segment is closed, and then appears in a data set in an object store."""


class JournalSink:
    """Appends whole lines to the current segment. See `Sink` in `formats/files/frames.py`."""

    def __init__(self, path: str, journal: Path, helper: HelperThread, *, file_mode: int) -> None:
        self.name = path
        self._journal = journal
        self._helper = helper
        self._file_mode = file_mode
        self._lock: Lock | None = take_lock(journal, RECORDER, wait=False)
        self._folder = os.stat(journal)
        self._check_at = 0.0
        self._number = 0
        self._segment: OutFile | None = None
        self._records = self._bytes = 0
        self._fresh_at: float | None = None
        """The last sync point at which there was no segment: every record of the segment is younger."""
        self._closed = False

    def write(self, data: bytes) -> None:
        """Append whole lines; they are given to the system at once. Raises `OutputError`."""
        if self._segment is None:
            self._check_folder()
            self._segment = self._open_segment()
            self._number += 1
        self._segment.write(data, lines=True)
        self._records += data.count(b"\n")
        self._bytes += len(data)
        if self._records >= SEGMENT_RECORDS or self._bytes >= SEGMENT_BYTES:
            self._end_segment()
            self._helper.convert(self._number)

    def _open_segment(self) -> OutFile:
        path = self._journal / segment_name(self._number + 1)
        try:
            return open_output(path, force=False, file_mode=self._file_mode)
        except OutputError:
            self._check_folder()  # it may have been removed since the last check
            raise

    def sync_point(self, now: float | None = None) -> None:
        """Close a segment that is old enough; see `Sink`."""
        self._helper.check()
        if now is not None and now >= self._check_at:
            self._check_at = now + CHECK_MS
            self._check(now)
        if self._segment is None or now is None:
            self._fresh_at = now
            return
        if self._fresh_at is None:
            self._fresh_at = now
        if now - self._fresh_at >= SEGMENT_AGE_MS:
            self._end_segment()
            self._helper.convert(self._number)
            self._fresh_at = now

    def close(self) -> None:
        """Wait until the Parquet file is complete. Raises `OutputError`, and then the journal stays."""
        if self._closed:
            return
        self._closed = True
        try:
            self._check(self._check_at)
            self._end_segment()
            if self._number:
                self._helper.finish(self._number)
            else:
                self._helper.stop()
                self._remove_empty()
        finally:
            if self._lock is not None:
                self._lock.release()

    def _check(self, now: float) -> None:
        """Raise `OutputLostError` if the journal or one of its segments was removed."""
        self._check_folder()
        if self._segment is not None:
            self._segment.check(now)
        closed = self._number - (self._segment is not None)
        missing = set(range(1, closed + 1)) - set(segments(self._journal))
        if missing and (lost := self._not_converted(missing)):
            raise OutputLostError(str(self._journal / segment_name(min(lost))), "was removed")

    def _check_folder(self) -> None:
        try:
            is_same = os.path.samestat(os.stat(self._journal), self._folder)
        except OSError:
            is_same = False
        if not is_same:
            raise OutputLostError(str(self._journal), "was removed or renamed")

    def _not_converted(self, missing: set[int]) -> set[int]:
        """The missing segments that have not become parts of the data set. The parts in a store are not checked."""
        if not is_data_set(self.name):
            return missing
        return set() if is_uri(self.name) else missing - set(parts(Path(self.name, EVENTS_FOLDER)))

    def _end_segment(self) -> None:
        segment, self._segment = self._segment, None
        self._records = self._bytes = 0
        if segment is not None:
            segment.close()

    def _remove_empty(self) -> None:
        shutil.rmtree(self._journal, ignore_errors=True)
        if is_data_set(self.name) and not is_uri(self.name):
            try:
                Path(self.name).rmdir()
            except OSError:
                pass  # the folder has other files


def open_journal_sink(path: str, *, force: bool = False, file_mode: int = 0o600) -> JournalSink:
    """The sink of a recording to `NAME.parquet`, or to a data set in any other folder or URI.

    Raises `OutputExistsError` or `OutputError`.
    """
    journal = journal_of(path)
    check_name(path)
    try:
        refuse_live_journal(path)
        if not is_uri(path):
            _make_room(path, force=force)
        _clear_journal(path, journal, force=force)
        folder_mode = file_mode | (file_mode & 0o444) >> 2
        if is_data_set(path) and not is_uri(path) and not Path(path).exists():
            Path(path).mkdir(mode=0o700)
            Path(path).chmod(folder_mode)
        journal.mkdir(mode=0o700, exist_ok=True)
        journal.chmod(folder_mode)
    except OSError as error:
        raise OutputError(path, error.strerror or str(error)) from None
    helper = HelperProcess(path, journal, file_mode=file_mode, force=force)
    if is_uri(path):
        try:
            helper.start()  # only the helper process can check an object store
        except OutputError:
            shutil.rmtree(journal, ignore_errors=True)
            raise
    return JournalSink(path, journal, HelperThread(helper, path), file_mode=file_mode)


def refuse_live_journal(path: str) -> None:
    """Raise `OutputBusyError` if another process records to this output."""
    journal = journal_of(path)
    if (journal / RECORDER).exists():
        lock = take_lock(journal, RECORDER, wait=False)
        if lock is None:
            raise OutputBusyError(path, held_by(journal / RECORDER))
        lock.release()


def _make_room(path: str, *, force: bool) -> None:
    """Raise `OutputExistsError` for an existing output; with `force` remove it, of a data set only its tables."""
    place = Path(path)
    if not is_data_set(path):
        if place.is_dir():
            raise OutputError(path, "it is a folder")
        if place.exists():
            if not force:
                raise OutputExistsError(path)
            place.unlink()
        return
    for folder in (place / EVENTS_FOLDER, place / EXCHANGES_FOLDER):
        if folder.exists():
            if not force:
                raise OutputExistsError(path)
            shutil.rmtree(folder)


def _clear_journal(path: str, journal: Path, *, force: bool) -> None:
    if not journal.is_dir():
        return
    if segments(journal) and not force:
        raise UnfinishedError(path, journal)
    shutil.rmtree(journal)


class UnfinishedError(OutputExistsError):
    """The output has the journal of a recording that was cut off, and no other copy of its records."""

    def __init__(self, file: str, journal: Path) -> None:
        super().__init__(file)
        self.message = (
            f"{journal} holds a recording that was cut off "
            f"(mockrec verify {journal} --repair {file} finishes it, --force drops it)"
        )
        self.args = (f"cannot write {file}: {self.message}",)
