"""Sessions in Parquet as JSON Lines: a file, a data set, or the journal of a recording that has not ended.

About a thousand rows are read at a time, so memory does not grow with the session.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mockrec.formats.parquet.paths import (
    EVENTS_FOLDER,
    is_uri,
    journal_of,
    part_number,
    segments,
    session_name,
)
from mockrec.formats.schema.errors import SessionError

_CHUNK = 256 * 1024
Piece = tuple[int, str]
"""The key that orders the pieces of a session: the number of a part or segment, and a name for files without one."""


class TableSource:
    """An open session; see `Lines` in `formats/files/reader.py`. Iterate it once."""

    def __init__(self, name: str) -> None:
        """Raises `SessionError` if it is no session."""
        self.name = name
        self.torn = ""
        self.problems: list[str] = []
        self.unit = "record"
        self._lines: Iterator[bytes] = self._open()

    def close(self) -> None:
        """Close the open file."""
        close = getattr(self._lines, "close", None)
        if close is not None:
            close()

    def __iter__(self) -> Iterator[bytes]:
        return self._lines

    def _open(self) -> Iterator[bytes]:
        if is_uri(self.name):
            return self._open_remote()
        path = Path(self.name)
        if path.is_file():
            return self._file(_open_events(self.name, None, str(path)))
        if not path.is_dir():
            # The recording was never finished: the journal is the session.
            return self._pieces(None, journal_of(self.name))
        if segments(path):
            return self._pieces(None, path)
        if (path / EVENTS_FOLDER).is_dir() or segments(path / "journal"):
            return self._pieces(path / EVENTS_FOLDER, path / "journal")
        raise SessionError(
            self.name, f"this is a folder, but no session: expected {EVENTS_FOLDER}/part-*.parquet or a journal"
        )

    def _file(self, file: Any) -> Iterator[bytes]:
        try:
            yield from file.lines()
        finally:
            file.close()

    def _pieces(self, parts: Path | None, journal: Path) -> Iterator[bytes]:
        """Parts and segments in order, also those that appear during the reading.

        A recording converts a segment to the part of the same number and then removes it, so a missing piece is
        searched twice. A recording to a single file ends with that file and without a journal: the rest is read there.
        """
        done: Piece = (0, "")
        lines = 0
        whole = Path(session_name(str(journal)))
        while later := [piece for piece in _pieces(parts, journal) if piece > done]:
            for piece in later:
                try:
                    for chunk in self._piece(piece, parts, journal):
                        lines += chunk.count(b"\n")
                        yield chunk
                except FileNotFoundError:
                    if parts is None and not journal.exists() and whole.is_file():
                        break
                    raise SessionError(self.name, f"{piece[1] or piece[0]} has gone while it was read") from None
                done = piece
        if parts is None and not journal.exists() and whole.is_file():
            yield from self._rest(whole, lines)

    def _piece(self, piece: Piece, parts: Path | None, journal: Path) -> Iterator[bytes]:
        for last in (False, True):
            found = _pieces(parts, journal).get(piece)
            try:
                if found is None:
                    raise FileNotFoundError
                if found.suffix == ".parquet":
                    yield from self._file(_open_events(str(found), None, str(found)))
                else:
                    yield from _chunks(found)
            except FileNotFoundError:
                if last:
                    raise
                continue
            return

    def _rest(self, whole: Path, lines: int) -> Iterator[bytes]:
        for chunk in self._file(_open_events(self.name, None, str(whole))):
            if not lines:
                yield chunk
                continue
            pieces = chunk.splitlines(keepends=True)
            yield b"".join(pieces[lines:])
            lines = max(0, lines - len(pieces))

    def _open_remote(self) -> Iterator[bytes]:
        from mockrec.formats.parquet.files import file_system

        try:
            filesystem, path = file_system(self.name)
            files = _remote_parts(filesystem, path)
        except OSError as error:
            raise SessionError(self.name, str(error).partition("\n")[0]) from None
        if not files:
            raise SessionError(self.name, f"there is no Parquet file, and no data set ({EVENTS_FOLDER}/part-*.parquet)")
        return self._remote(filesystem, files)

    def _remote(self, filesystem: Any, files: list[str]) -> Iterator[bytes]:
        for file in files:
            try:
                opened = _open_events(file if len(files) > 1 else self.name, filesystem, file)
            except FileNotFoundError as error:
                raise SessionError(self.name, str(error)) from None
            yield from self._file(opened)


def _open_events(name: str, filesystem: Any, path: str) -> Any:
    # Imported here: a journal can be read without pyarrow.
    from mockrec.formats.parquet.files import EventsFile

    return EventsFile(name, filesystem, path)


def _pieces(parts: Path | None, journal: Path) -> dict[Piece, Path]:
    """The existing pieces in order. If a part and its segment both exist, the part is taken."""
    found: dict[Piece, Path] = {(number, ""): path for number, path in segments(journal).items()}
    if parts is not None and parts.is_dir():
        for path in parts.rglob("*.parquet"):
            if not path.name.startswith((".", "_")):
                number = part_number(path.name)
                found[(number, "") if number is not None and path.parent == parts else (sys.maxsize, str(path))] = path
    return dict(sorted(found.items()))


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _remote_parts(filesystem: Any, path: str) -> list[str]:
    from pyarrow.fs import FileSelector, FileType

    if filesystem.get_file_info(path).type == FileType.File:
        return [path]
    found = filesystem.get_file_info(
        FileSelector(f"{path.rstrip('/')}/{EVENTS_FOLDER}", recursive=True, allow_not_found=True)
    )
    return sorted(info.path for info in found if info.type == FileType.File and info.path.endswith(".parquet"))
