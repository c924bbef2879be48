"""A session file read as bytes, decompressed, in pieces of bounded size. Knows nothing of lines or records."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from io import BufferedReader
from typing import Protocol

from mockrec.formats.schema.errors import SessionError

CHUNK = 256 * 1024
"""Bytes read at a time."""
_FEED = 4096
"""Compressed bytes given to a decoder at a time: limits how much a hostile file can expand to in one step."""

_FREED = 16 * CHUNK

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"


class Lines(Protocol):
    """An open session of any format, as JSON Lines. Iterate it once, for pieces of bounded size."""

    name: str
    torn: str
    """After the iteration: empty, or a sentence about what is cut off."""
    problems: list[str]
    """What was left out, one sentence for each problem."""

    @property
    def unit(self) -> str:
        """What one of its lines is in the file: a `line` or a `record`. Known when the first piece is read."""

    def close(self) -> None:
        """Close every open file."""

    def __iter__(self) -> Iterator[bytes]: ...


class Readable(Protocol):
    """The part of a binary file's interface that readers use."""

    def read(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


class Pipe:
    """A file whose bytes may take any time to arrive; Python handles signals between two reads of the system.

    `BufferedReader.read` fills its buffer in a loop of its own, in which Python calls no signal handler.
    """

    def __init__(self, file: BufferedReader) -> None:
        self._file = file

    def read(self, size: int, /) -> bytes:
        """Read `size` bytes, fewer at the end of the file."""
        chunks: list[bytes] = []
        while size > 0 and (chunk := self._file.read1(size)):
            chunks.append(chunk)
            size -= len(chunk)
        return b"".join(chunks)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class FileReader:
    """An open file, plain, gzip or zstd. Iterate it once; then `torn` says whether its last frame is cut off."""

    def __init__(self, name: str, file: Readable) -> None:
        """Read the first bytes. Raises `SessionError`."""
        self.torn = ""
        """Empty, or a sentence about the frame that is cut off."""
        self._name = name
        self._file = file
        self.head = self._read()
        """The first bytes of the file, as stored."""
        self._compression = _compression_of(self.head)
        if len(self.head) == CHUNK:
            _keep_freed_memory()

    def __iter__(self) -> Iterator[bytes]:
        """The content, decompressed; pieces may be empty. Raises `SessionError` for a damaged frame."""
        return self._frames() if self._compression else self._chunks()

    def _read(self) -> bytes:
        try:
            return self._file.read(CHUNK)
        except OSError as error:
            raise SessionError(self._name, error.strerror or str(error)) from None

    def _chunks(self) -> Iterator[bytes]:
        chunk = self.head
        while chunk:
            yield chunk
            chunk = self._read()

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
                            self._name, f"the {self._compression} frame at byte {frame} is damaged: {error}"
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


class _Decoder(Protocol):
    """The common interface of zlib's and zstandard's decompression objects."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


def _keep_freed_memory() -> None:
    """Let the C library keep the memory of blocks that are freed, because the next ones need as much.

    glibc returns memory beyond 128 KiB to the system at once, until a larger piece was freed; then up to twice the size
    of that piece stays (mallopt(3), "dynamic mmap threshold"). To get it anew takes a fifth of a filter's time.
    """
    bytes(_FREED)


def is_compressed(start: bytes) -> bool:
    """Whether a file that begins with these bytes is gzip or zstd."""
    return start.startswith((_GZIP, _ZSTD))


def _compression_of(head: bytes) -> str:
    if head.startswith(_GZIP):
        return "gzip"
    if head.startswith(_ZSTD):
        return "zstd"
    # A file that was cut off very early may hold only the first bytes of a frame.
    if head and (_GZIP.startswith(head) or _ZSTD.startswith(head)):
        return "gzip" if head[:1] == _GZIP[:1] else "zstd"
    return ""
