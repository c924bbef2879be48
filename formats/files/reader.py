"""The bytes of a session file as JSON Lines, decompressed, in pieces of bounded size.

Recognises a file by its first bytes; what is in another format is turned into lines by that format's reader. Knows
nothing of records.
"""

from __future__ import annotations

import codecs
import re
import sys
import zlib
from collections.abc import Iterator
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from mockrec.formats.imported.recognise import NET_LOG, RULES, recognise
from mockrec.formats.parquet.paths import is_table_place
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.sessions.parts import Joined

if TYPE_CHECKING:
    from mockrec.formats.har.attached import Attached
    from mockrec.formats.imported.cassette import CassetteFile
    from mockrec.formats.imported.flows import Flows

CHUNK = 256 * 1024
"""Bytes read at a time."""
_FEED = 4096
"""Compressed bytes handed to a decoder at a time: bounds what a hostile file can make of them."""

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZIP = b"PK\x03\x04"
_HAR = re.compile(rb'\s*\{\s*"log"\s*:')
_RECORD = re.compile(rb'\s*\{\s*"(?:seq|type)"\s*:')
"""How lines begin: asked first, because most sessions are lines."""
_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
"""What a shell of Windows writes when it redirects output."""
_PARQUET = b"PAR1"
_EXPECTED = (
    "expected a mockrec session (JSON Lines, HAR, a VCR cassette or a flow file of mitmproxy, plain, gzip or zstd, "
    "or Parquet)"
)


class Readable(Protocol):
    """What is asked of a file."""

    def read(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


class _Pipe:
    """A file whose bytes may take any time to come: between two reads of the system a signal is heard.

    `BufferedReader.read` fills its buffer in a loop of its own, in which Python calls no handler of a signal.
    """

    def __init__(self, file: BufferedReader) -> None:
        self._file = file

    def read(self, size: int, /) -> bytes:
        """`size` bytes, fewer at the end of the file."""
        chunks: list[bytes] = []
        while size > 0 and (chunk := self._file.read1(size)):
            chunks.append(chunk)
            size -= len(chunk)
        return b"".join(chunks)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _Decoder(Protocol):
    """What zlib's and zstandard's decompression objects have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


class Source:
    """An open session file. Iterate it once; then `torn` says whether its last frame is cut off."""

    def __init__(self, name: str, file: Readable, *, ours: bool = True) -> None:
        self.name = name
        self.torn = ""
        """Empty, or a sentence about the frame that is cut off."""
        self.problems: list[str] = []
        """What had to be left out, a sentence each; of formats that can lose a part and go on."""
        self.notes: list[str] = []
        """What was repaired, a sentence each; of formats that other tools write as they like."""
        self.unit = "line"
        self.imported = False
        """It is a cassette or a flow file, which takes longer to read than what is made of it; known as `unit` is."""
        self._file = file
        self._ours = ours
        self.head = self._read()
        """The first bytes of the file, as they stand in it."""
        self._compression = self._recognise()

    def close(self) -> None:
        """Close the file (not stdin)."""
        if self._ours:
            self._file.close()

    def plain(self) -> Iterator[bytes]:
        """What is in it, decompressed, whatever that is."""
        chunks = filter(None, self._frames() if self._compression else self._chunks())
        first = next(chunks, b"")
        if first.startswith(_UTF16) and is_har(b"".join(_as_utf8(iter([first])))):
            self.notes.append("repaired: the file is UTF-16 and read as UTF-8")
            chunks = filter(None, _as_utf8(chain([first], chunks)))
            first = next(chunks, b"")
        yield first.removeprefix(_BOM)
        yield from chunks

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

    def _attached(self) -> Attached | None:
        """Where the files are that a HAR names: in its zip, or beside it."""
        from mockrec.formats.har.attached import AttachedFiles

        if not self._ours:
            return None
        inside: Attached | None = getattr(self._file, "attached", None)
        return AttachedFiles(Path(self.name).parent) if inside is None else inside

    def as_table(self) -> Lines:
        """The same for a Parquet file, of which nothing but `head` was read."""
        # Imported here: only such sessions need it.
        from mockrec.formats.parquet.spooled import SpooledTable

        return SpooledTable(self.name, self.head, lambda size: self._file.read(size), self.close)

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

    def _read(self) -> bytes:
        try:
            return self._file.read(CHUNK)
        except OSError as error:
            raise SessionError(self.name, error.strerror or str(error)) from None

    def _chunks(self) -> Iterator[bytes]:
        chunk = self.head
        while chunk:
            yield chunk
            chunk = self._read()

    def _recognise(self) -> str:
        if self.head.startswith(_GZIP):
            return "gzip"
        if self.head.startswith(_ZSTD):
            return "zstd"
        if self.head.startswith(_ZIP):  # as a file it was unpacked before this is asked
            raise SessionError(self.name, "a zip is read from its end, not from a pipe: give its name")
        # The first bytes of a frame are also all that is left when it was cut off very early.
        if self.head and (_GZIP.startswith(self.head) or _ZSTD.startswith(self.head)):
            return "gzip" if self.head[:1] == _GZIP[:1] else "zstd"
        return ""

    def _check_start(self, chunk: bytes) -> None:
        start = chunk.lstrip()[:20]
        if start and not start.startswith(b"{"):
            raise SessionError(self.name, f"{_EXPECTED}, found a file that begins with {start!r}")

    def _frames(self) -> Iterator[bytes]:
        decoder: _Decoder | None = None
        frame = offset = 0
        for chunk in self._chunks():
            for start in range(0, len(chunk), _FEED):
                data = chunk[start : start + _FEED]
                end = offset + start + len(data)
                while data:
                    if decoder is None:
                        decoder = self._new_decoder()
                        frame = end - len(data)
                    try:
                        piece = decoder.decompress(data)
                    except Exception as error:  # zlib.error and zstandard.ZstdError share no base
                        raise SessionError(
                            self.name, f"the {self._compression} frame at byte {frame} is damaged: {error}"
                        ) from None
                    yield piece
                    data = decoder.unused_data if decoder.eof else b""
                    if decoder.eof:
                        decoder = None
            offset += len(chunk)
        if decoder is not None:
            self.torn = f"the last {self._compression} frame (at byte {frame}) is cut off"

    def _new_decoder(self) -> _Decoder:
        if self._compression == "gzip":
            return zlib.decompressobj(wbits=31)
        # Imported here: only compressed sessions need it.
        import zstandard

        return zstandard.ZstdDecompressor().decompressobj()


def _as_utf8(chunks: Iterator[bytes]) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder("utf-16")("replace")
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "replace")


def is_har(start: bytes) -> bool:
    """Whether a file that begins like this is a HAR."""
    if _RECORD.match(start):
        return False
    if _HAR.match(start):
        return True
    if start.lstrip()[:1] not in (b"{", b"[") and not start.lstrip()[:1].isalpha():
        return False
    from mockrec.formats.har.recognise import names_log

    return names_log(start)


def is_plain(start: bytes) -> bool:
    """Whether the bytes of a file that begins like this are those of its lines."""
    return not start.startswith((_GZIP, _ZSTD, *_UTF16)) and is_lines(start.removeprefix(_BOM))


def is_lines(start: bytes) -> bool:
    """Whether what begins like this, decompressed, is read line by line: JSON Lines, or what is no session at all."""
    return not start.startswith(_PARQUET) and not is_har(start) and not recognise(start)


class Lines(Protocol):
    """An open session of any format, as JSON Lines. Iterate it once, for pieces of bounded size."""

    name: str
    torn: str
    """Afterwards: empty, or a sentence about what is cut off."""
    problems: list[str]
    """What was left out, in a sentence each."""

    @property
    def unit(self) -> str:
        """What one of its lines is in the file: a `line` or a `record`; known when the first is read."""

    def close(self) -> None:
        """Close what is open."""

    def __iter__(self) -> Iterator[bytes]: ...


def open_source(path: str) -> Lines:
    """Open a session by name, or stdin for `-`; Parquet also by URI. Raises `SessionError`."""
    if path == "-":
        if sys.stdin is None:
            raise SessionError("stdin", "it is closed")
        return _of_stream("stdin", _Pipe(cast(BufferedReader, sys.stdin.buffer)), ours=False)
    if not path:
        raise SessionError("session", "expected the name of a file, found an empty one")
    try:
        return _open_tables(path) if is_table_place(path) else _open_file(path)
    except OSError as error:
        raise SessionError(path, error.strerror or str(error)) from None


def _open_file(path: str) -> Lines:
    file = Path(path).open("rb")  # noqa: SIM115 - the Source closes it
    try:
        if not file.seekable():
            return _of_stream(path, file)
        if file.peek(len(_PARQUET)).startswith(_PARQUET):
            file.close()
            return _open_tables(path)
        if file.peek(len(_ZIP)).startswith(_ZIP):
            return Joined(Source(path, _unzipped(path, file)), open_part)
        return Joined(Source(path, file), open_part)
    except (SessionError, OSError):
        file.close()
        raise


def _of_stream(name: str, file: Readable, *, ours: bool = True) -> Lines:
    source = Source(name, file, ours=ours)
    return source.as_table() if source.head.startswith(_PARQUET) else source


def open_part(path: str) -> Source:
    """Open a file by itself, whatever parts follow it. Raises `SessionError` or `OSError`."""
    file = Path(path).open("rb")  # noqa: SIM115 - the Source closes it
    try:
        return Source(path, file)
    except SessionError:
        file.close()
        raise


def _unzipped(path: str, file: BufferedReader) -> Readable:
    # Imported here: only a zip needs it.
    from mockrec.formats.har.zipped import ZippedHar

    return ZippedHar(path, file)


def _open_tables(path: str) -> Lines:
    # Imported here: only Parquet sessions need it.
    from mockrec.formats.parquet.source import TableSource

    return TableSource(path)
