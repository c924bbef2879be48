"""Content codings undone piece by piece, for bodies that are not held in memory."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any, Final

from mockrec.engine.wire.content.codings import UndecodableError

_PIECE: Final = 1024
"""Bytes that are unfolded at once: the engines have no bound of their own."""
_MOST_UNFOLDED: Final = 8 * 1024 * 1024
"""Bytes that such a piece may become; gzip and zstd stay below that."""


class ContentDecoder:
    """Undoes codings. After an error or the end of the data, what comes is ignored."""

    def __init__(self, codings: Sequence[str]) -> None:
        """Raises UndecodableError for a coding that is not known."""
        self._layers = [_Layer(name) for name in reversed(codings)]

    def feed(self, data: bytes) -> bytes:
        """What the next bytes unfold into. Raises UndecodableError."""
        for layer in self._layers:
            data = layer.feed(data)
        return data

    @property
    def complete(self) -> bool:
        """Whether the data may end here."""
        return all(layer.complete for layer in self._layers)


def decoded_size(data: bytes, codings: Sequence[str], most: int) -> int:
    """How long `data` is with its codings undone, up to about `most`; nothing of it is kept. Where the data cannot be
    undone any more, the count ends."""
    decoder, size = ContentDecoder(codings), 0
    for start in range(0, len(data), _PIECE):
        try:
            size += len(decoder.feed(data[start : start + _PIECE]))
        except UndecodableError:
            break
        if size >= most:
            return most
    return size


class _Layer:
    def __init__(self, name: str) -> None:
        found = _ENGINES.get(name)
        if found is None:
            raise UndecodableError(f'unknown content coding "{name}"')
        self._new, self._many = found
        self._engine: Any = None
        self._begun = b""
        """The beginning of a member, as long as it is too short to tell its kind."""
        self._ended = False
        self.complete = True

    def feed(self, data: bytes) -> bytes:
        out = bytearray()
        if self._engine is None and data:
            data, self._begun = self._begun + data, b""
            if len(data) < 2:
                self._begun = data
                self.complete = False
                return b""
        view = memoryview(data)
        position = 0
        while position < len(data) and not self._ended:
            part = bytes(view[position : position + _PIECE])
            if self._engine is None:
                self._engine = self._new(part)
            self.complete = False
            try:
                out += self._engine.decompress(part)
            except _errors() as fault:
                raise UndecodableError(str(fault)) from None
            position += len(part)
            if self._engine.eof:
                position -= len(self._engine.unused_data)
                self._engine = None
                self._ended = not self._many
                self.complete = True
        return bytes(out)


def _errors() -> tuple[type[Exception], ...]:
    """What the engines raise; imported only where something is wrong."""
    import zstandard

    return zlib.error, zstandard.ZstdError


class _Brotli:
    """Brotli in the words of zlib."""

    unused_data = b""

    def __init__(self) -> None:
        import brotli

        self._engine = brotli.Decompressor()

    def decompress(self, data: bytes) -> bytes:
        import brotli

        try:
            out = self._engine.process(data, output_buffer_limit=_MOST_UNFOLDED)
            if not self._engine.is_finished() and len(out) >= _MOST_UNFOLDED:
                raise zlib.error("a few bytes of brotli data unfold into megabytes")
            return bytes(out)
        except brotli.error as error:
            raise zlib.error(str(error) or "not brotli data") from None

    @property
    def eof(self) -> bool:
        return bool(self._engine.is_finished())


def _gzip(_: bytes) -> Any:
    return zlib.decompressobj(31)


def _deflate(first: bytes) -> Any:
    """See `content._deflate`."""
    wrapped = len(first) > 1 and first[0] & 0x0F == 8 and (first[0] << 8 | first[1]) % 31 == 0
    return zlib.decompressobj(15 if wrapped else -15)


def _zstd(_: bytes) -> Any:
    import zstandard

    return zstandard.ZstdDecompressor(max_window_size=2**27).decompressobj()


# Coding → a new engine for data that begins so, and whether several members may follow one another.
_ENGINES: dict[str, tuple[Callable[[bytes], Any], bool]] = {
    "gzip": (_gzip, True),
    "x-gzip": (_gzip, True),
    "deflate": (_deflate, False),
    "x-deflate": (_deflate, False),
    "br": (lambda _: _Brotli(), False),
    "zstd": (_zstd, True),
}
