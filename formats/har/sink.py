"""The sink of a HAR: takes lines, writes entries, and shows a complete file every quarter of a second.

After `write` alone (a conversion) the file is shown at its end; with `sync_point` (a recording) it is shown whenever
data has been waiting for `SHOW_MS`.
"""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import Any

from mockrec.formats.files.jsonl import load_record
from mockrec.formats.har.assemble import Assembler, encode_orphans
from mockrec.formats.har.atomic_file import Growing, open_growing
from mockrec.formats.har.entry import tls_error
from mockrec.formats.schema.errors import OutputError, OutputLostError
from mockrec.formats.schema.version import mockrec_version
from mockrec.formats.text.json import dump

SHOW_MS = 150.0
"""With a batch every 40 ms and a sync point every 50 ms, no record is invisible for more than 250 ms."""
FORMAT = 2
"""Version of `_mockrec` and `_mockrecSession`; readers refuse a newer one. 2: pseudo-headers are in a member of their
own."""
_GROW_BYTES = 1024 * 1024


class HarSink:
    """See `Sink`."""

    most_waiting = 512 * 1024
    """See `Sink`. Writing HAR takes twenty times as long as JSON Lines: more would take longer than `SHOW_MS`."""

    def __init__(self, file: Growing) -> None:
        self.name = file.name
        self.locked = file.locked
        """False where the file system has no locks."""
        self._file = file
        self._assembler = Assembler(f"{Path(file.name).name}.bodies")
        self._entries: list[bytes] = []
        """Entries that are not yet in the file."""
        self._size = 0
        self._head_written = False
        """True once the head of the file is written."""
        self._has_entries = False
        """True once an entry is written."""
        self._changed = False
        """True if there is data that is not yet visible."""
        self._visible_at: float | None = None
        """Time of the last sync point at which everything was visible: waiting data is younger."""
        self._failed = False
        file.show(self._head() + self._tail([]))

    def write(self, data: bytes) -> None:
        """Take whole lines."""
        for line in data.split(b"\n"):
            if line:
                self._changed = True
                entry = self._assembler.add(load_record(line), line)
                if entry is not None:
                    self._entries.append(entry)
                    self._size += len(entry)
        if self._size > _GROW_BYTES:
            self._grow()

    def sync_point(self, now: float | None = None) -> None:
        """Show the file if data has been waiting long enough; see `Sink`."""
        try:
            if now is not None:
                self._file.check(now)
            self._show(now)
        except OutputLostError as error:
            raise self._lost(error) from None

    def _show(self, now: float | None) -> None:
        if self._changed and now is not None:
            if self._visible_at is None:
                self._visible_at = now
            if now - self._visible_at < SHOW_MS:
                return
        if self._changed:
            self._grow()
            tail = self._tail(self._assembler.provisional())
            self._guarded(self._file.show, tail)
            self._changed = False
        self._visible_at = now

    def close(self) -> None:
        """Write the remaining entries, also those of open exchanges, and close the file."""
        tail = None
        try:
            if not self._failed:
                self._entries += self._assembler.unfinished()
                self._grow()
                self._file.check(inf)
                tail = self._tail([])
        except OutputLostError as error:
            raise self._lost(error) from None
        finally:
            self._file.finish(tail)

    def discard(self) -> None:
        """Close the file and remove it."""
        self._failed = True
        self._file.discard()

    def _lost(self, error: OutputLostError) -> OutputLostError:
        """Keep the data under another name, if possible, because the visible file is not ours any more. Return the
        error with that name."""
        new_path = ""
        if not self._failed:
            try:
                self._grow()
                new_path = self._file.rescue(self._tail(self._assembler.provisional()))
            except OutputError:
                pass  # no name for the data either: report the loss
        self._failed = True
        return OutputLostError(error.file, error.what, new_path)

    def _grow(self) -> None:
        pieces = [] if self._head_written else [self._head()]
        self._head_written = True
        for entry in self._entries:
            pieces.append(b",\n" + entry if self._has_entries else entry)
            self._has_entries = True
        self._entries, self._size = [], 0
        if pieces:
            self._guarded(self._file.grow, b"".join(pieces))

    def _guarded(self, write: Any, data: bytes) -> None:
        """Call `write`; after a failure nothing more is written, so that the visible file stays complete."""
        self._failed = True
        try:
            write(data)
        except OutputLostError:
            self._failed = False  # the hidden copy is complete as well
            raise
        self._failed = False

    def _head(self) -> bytes:
        name = {"name": "mockrec", "version": mockrec_version()}
        session: dict[str, Any] = {"format": FORMAT}
        if self._assembler.started is not None:
            session["started"] = self._assembler.started
        log = {"version": "1.2", "creator": name, "browser": name, "_mockrecSession": session}
        return b'{"log":' + dump(log)[:-1] + b',"entries":[\n'

    def _tail(self, entries: list[bytes]) -> bytes:
        """Return the tail of the file: the entries of open exchanges, then the members of `log` after the entries."""
        joined = b",\n".join(entries)
        before = b",\n" if joined and self._has_entries else b""
        orphans = self._assembler.orphans
        # Pages are after the entries, because they are known only when the entries are.
        log: dict[str, Any] = {"pages": self._assembler.pages.all}
        errors = [tls_error(record) for _, record in orphans if record["type"] == "tls-client-error"]
        if errors:
            log["_tlsErrors"] = errors
        log["_mockrec"] = {"events": encode_orphans(orphans)}
        return before + joined + b"\n]," + dump(log)[1:] + b"}\n"


def open_har(path: Path, *, force: bool, file_mode: int) -> HarSink:
    """Create a HAR. Raises `OutputExistsError` or `OutputError`."""
    return HarSink(open_growing(path, force=force, file_mode=file_mode))
