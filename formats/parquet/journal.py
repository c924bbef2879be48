"""The sink of a recording that is to become Parquet: JSON Lines in segments, which a helper process makes into rows.

A Parquet file cannot be read before its footer is written, and making rows takes several times as long as writing
lines. So the recorder writes lines, as it does for JSON Lines, and nothing that is recorded depends on the helper:
when it dies, another one begins again; when the recorder dies, the journal is the session, and
`mockrec verify --repair` makes the Parquet file of it. Without pyarrow: only the helper imports that.
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
"""A row group's worth."""
SEGMENT_BYTES = 32 * 1024 * 1024
SEGMENT_AGE_MS = 60_000.0
"""A data set in an object store shows what is this old."""


class JournalSink:
    """Appends whole lines to the current segment. See `formats/files/frames.py`, `Sink`."""

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
        """The last sync point at which the segment was empty."""
        self._closed = False

    def write(self, data: bytes) -> None:
        """Append whole lines; they are handed to the system at once. Raises `OutputError`."""
        if self._segment is None:
            self._check_folder()
            self._segment = open_output(
                self._journal / segment_name(self._number + 1), force=False, file_mode=self._file_mode
            )
            self._number += 1
        self._segment.write(data, lines=True)
        self._records += data.count(b"\n")
        self._bytes += len(data)
        if self._records >= SEGMENT_RECORDS or self._bytes >= SEGMENT_BYTES:
            self._end_segment()
            self._helper.convert(self._number)

    def sync_point(self, now: float | None = None) -> None:
        """Close a segment that has become old; see `Sink`."""
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
        """Wait until the Parquet file is there. Raises `OutputError`; the journal stays then."""
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
                self._leave_nothing()
        finally:
            if self._lock is not None:
                self._lock.release()

    def _check(self, now: float) -> None:
        """Raises `OutputLostError` when the journal, or a piece of it, is gone."""
        self._check_folder()
        if self._segment is not None:
            self._segment.check(now)
        closed = self._number - (self._segment is not None)
        missing = set(range(1, closed + 1)) - set(segments(self._journal))
        if missing and (gone := self._not_converted(missing)):
            raise OutputLostError(str(self._journal / segment_name(min(gone))), "was removed")

    def _check_folder(self) -> None:
        try:
            there = os.path.samestat(os.stat(self._journal), self._folder)
        except OSError:
            there = False
        if not there:
            raise OutputLostError(str(self._journal), "was removed or renamed")

    def _not_converted(self, missing: set[int]) -> set[int]:
        """Those of the segments that are no parts of a data set either. Those of a store are not asked for."""
        if not is_data_set(self.name):
            return missing
        return set() if is_uri(self.name) else missing - set(parts(Path(self.name, EVENTS_FOLDER)))

    def _end_segment(self) -> None:
        segment, self._segment = self._segment, None
        self._records = self._bytes = 0
        if segment is not None:
            segment.close()

    def _leave_nothing(self) -> None:
        shutil.rmtree(self._journal, ignore_errors=True)
        if is_data_set(self.name) and not is_uri(self.name):
            try:
                Path(self.name).rmdir()
            except OSError:
                pass  # it was there before, with something in it


def open_journal_sink(path: str, *, force: bool = False, file_mode: int = 0o600) -> JournalSink:
    """A recording to `NAME.parquet`, or to a data set in any other folder or URI.

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
            helper.start()  # only it can tell whether there is such a place
        except OutputError:
            shutil.rmtree(journal, ignore_errors=True)
            raise
    return JournalSink(path, journal, HelperThread(helper, path), file_mode=file_mode)


def refuse_live_journal(path: str) -> None:
    """Raises `OutputBusyError` when another process records to an output."""
    journal = journal_of(path)
    if (journal / RECORDER).exists():
        lock = take_lock(journal, RECORDER, wait=False)
        if lock is None:
            raise OutputBusyError(path, held_by(journal / RECORDER))
        lock.release()


def _make_room(path: str, *, force: bool) -> None:
    """Refuse to overwrite; with `force` what is there goes, in a data set no more than its tables."""
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
    """There is the journal of a recording that was cut off: it is all that is left of it."""

    def __init__(self, file: str, journal: Path) -> None:
        super().__init__(file)
        self.message = (
            f"{journal} holds a recording that was cut off "
            f"(mockrec verify {journal} --repair {file} finishes it, --force drops it)"
        )
        self.args = (f"cannot write {file}: {self.message}",)
