"""Opens a session of any format as JSON Lines.

The format is recognised by the first bytes of the file. A session in another format than JSON Lines is turned into
lines by the reader of that format.
"""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterator
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, cast

from mockrec.formats.files.reader import FileReader, Lines, Pipe, Readable
from mockrec.formats.imported.recognise import NET_LOG, RULES, recognise
from mockrec.formats.parquet.paths import is_table_place, is_uri
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.sessions.parts import Joined
from mockrec.formats.sessions.recognise import BOM, PARQUET, UTF16, ZIP, is_har

if TYPE_CHECKING:
    from mockrec.formats.har.attached import Attached
    from mockrec.formats.imported.cassette import CassetteFile
    from mockrec.formats.imported.flows import Flows

_EXPECTED = (
    "expected a mockrec session (JSON Lines, HAR, a VCR cassette or a flow file of mitmproxy, plain, gzip or zstd, "
    "or Parquet)"
)


_STREAMED = (".jsonl", ".ndjson", ".gz", ".zst", ".har", ".mitm", ".flow", ".flows")
"""Names of files in stores that are not Parquet."""


class Source:
    """An open session file, as JSON Lines. Iterate it once; then `torn` says whether its end is cut off."""

    def __init__(self, name: str, file: Readable, *, ours: bool = True) -> None:
        """`ours` is False for stdin, which `close` leaves open. Raises `SessionError`."""
        self.name = name
        self.torn = ""
        """Empty, or a sentence about what is cut off."""
        self.problems: list[str] = []
        """What was left out, one sentence for each problem; only formats that can lose a part and be read further."""
        self.notes: list[str] = []
        """What was repaired, one sentence for each repair; only formats that other tools write."""
        self.unit = "line"
        self.imported = False
        """Whether it is a cassette or a flow file: converting it takes longer than reading the result again. Set with
        `unit`, when the first piece is read."""
        self._file = file
        self._ours = ours
        self._reader = FileReader(name, file)
        if self.head.startswith(ZIP):  # a zip that has a file name was unpacked before
            raise SessionError(name, "a zip is read from its end, not from a pipe: give its name")

    @property
    def head(self) -> bytes:
        """The first bytes of the file, as stored."""
        return self._reader.head

    def close(self) -> None:
        """Close the file (not stdin)."""
        if self._ours:
            self._file.close()

    def plain(self) -> Iterator[bytes]:
        """The content, decompressed, in UTF-8 without a byte order mark, whatever its format is."""
        chunks = filter(None, self._reader)
        first = next(chunks, b"")
        if first.startswith(UTF16) and is_har(b"".join(_as_utf8(iter([first])))):
            self.notes.append("repaired: the file is UTF-16 and read as UTF-8")
            chunks = filter(None, _as_utf8(chain([first], chunks)))
            first = next(chunks, b"")
        yield first.removeprefix(BOM)
        yield from chunks
        self.torn = self._reader.torn

    def __iter__(self) -> Iterator[bytes]:
        chunks = self.plain()
        first = next(chunks)
        if is_har(first):
            # Imported here: only such sessions need it.
            from mockrec.formats.har.reading import Har

            self.unit = "record"
            har = Har(self.name, chain([first], chunks), self.problems, self.notes, self._attached())
            yield from har
            self.torn = self.torn or har.torn
            return
        if kind := recognise(first):
            yield from self._imported(kind, chain([first], chunks))
            return
        self._check_start(first)
        yield first
        yield from chunks

    def as_table(self) -> Lines:
        """The same session as Parquet, which is read from its end; only `head` has been read of it."""
        # Imported here: only such sessions need it.
        from mockrec.formats.parquet.spooled import SpooledTable

        return SpooledTable(self.name, self.head, lambda size: self._file.read(size), self.close)

    def _attached(self) -> Attached | None:
        """Where the files are that a HAR names: in its zip, or in its folder."""
        from mockrec.formats.har.attached import AttachedFiles

        if not self._ours:
            return None
        inside: Attached | None = getattr(self._file, "attached", None)
        return AttachedFiles(Path(self.name).parent) if inside is None else inside

    def _imported(self, kind: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
        if kind in ("netlog", "rules"):
            raise SessionError(self.name, NET_LOG if kind == "netlog" else RULES)
        self.unit = "record"
        self.imported = True
        # Imported here: only such sessions need them.
        if kind == "flows":
            from mockrec.formats.imported.flows import Flows

            made: Flows | CassetteFile = Flows(self.name, chunks, self.problems, self.notes)
        else:
            from mockrec.formats.imported.cassette import CassetteFile

            made = CassetteFile(self.name, chunks, self.problems, self.notes, is_json=kind == "json-cassette")
        yield from made
        self.torn = self.torn or made.torn

    def _check_start(self, chunk: bytes) -> None:
        start = chunk.lstrip()[:20]
        if start and not start.startswith(b"{"):
            raise SessionError(self.name, f"{_EXPECTED}, found a file that begins with {start!r}")


def open_source(path: str) -> Lines:
    """Open a session by name, or stdin for `-`; Parquet also by URI. Raises `SessionError`."""
    if path == "-":
        if sys.stdin is None:
            raise SessionError("stdin", "it is closed")
        return _of_stream("stdin", Pipe(cast(BufferedReader, sys.stdin.buffer)), ours=False)
    if not path:
        raise SessionError("session", "expected the name of a file, found an empty one")
    try:
        if is_uri(path) and path.partition("?")[0].lower().endswith(_STREAMED):
            return _open_stored(path)
        return _open_tables(path) if is_table_place(path) else _open_file(path)
    except OSError as error:
        raise SessionError(path, error.strerror or str(error)) from None


def open_part(path: str) -> Source:
    """Open one file, without later parts of its session. Raises `SessionError` or `OSError`."""
    file = Path(path).open("rb")  # noqa: SIM115 - the Source closes it
    try:
        return Source(path, file)
    except SessionError:
        file.close()
        raise


def _open_file(path: str) -> Lines:
    file = Path(path).open("rb")  # noqa: SIM115 - the Source closes it
    try:
        if not file.seekable():
            return _of_stream(path, file)
        if file.peek(len(PARQUET)).startswith(PARQUET):
            file.close()
            return _open_tables(path)
        if file.peek(len(ZIP)).startswith(ZIP):
            return Joined(Source(path, _unzipped(path, file)), open_part)
        return Joined(Source(path, file), open_part)
    except (SessionError, OSError):
        file.close()
        raise


def _open_stored(path: str) -> Lines:
    """Open a file of a store that is read from its start: any format but Parquet."""
    # Imported here: only stores need it.
    from mockrec.formats.parquet.files import file_system

    filesystem, inner = file_system(path)
    return Source(path, filesystem.open_input_stream(inner, compression=None))


def _of_stream(name: str, file: Readable, *, ours: bool = True) -> Lines:
    source = Source(name, file, ours=ours)
    return source.as_table() if source.head.startswith(PARQUET) else source


def _unzipped(path: str, file: BufferedReader) -> Readable:
    # Imported here: only a zip needs it.
    from mockrec.formats.har.zipped import ZippedHar

    return ZippedHar(path, file)


def _open_tables(path: str) -> Lines:
    # Imported here: only Parquet sessions need it.
    from mockrec.formats.parquet.source import TableSource

    return TableSource(path)


def _as_utf8(chunks: Iterator[bytes]) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder("utf-16")("replace")
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "replace")
