"""Content codings (RFC 9110, 8.4) decoded piece by piece, for bodies that are not held in memory."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any, Final

from mockrec.formats.content import engines
from mockrec.formats.content.codings import UndecodableError

_PIECE: Final = 1024
"""Bytes that are decoded at once: the engines have no bound of their own."""
_MOST_UNFOLDED: Final = 8 * 1024 * 1024
"""Bytes that such a piece may decode to; gzip and zstd stay below."""


class ContentDecoder:
    """Decodes a body that arrives in pieces. After an error or the end of the data, further pieces are ignored."""

    def __init__(self, codings: Sequence[str]) -> None:
        """Raises UndecodableError for a coding that is not known."""
        self._layers = [_Layer(name) for name in reversed(codings)]

    def feed(self, data: bytes) -> bytes:
        """Return what the next bytes decode to. Raises UndecodableError."""
        for layer in self._layers:
            data = layer.feed(data)
        return data

    @property
    def complete(self) -> bool:
        """Whether the data may end here."""
        return all(layer.complete for layer in self._layers)


def decoded_size(data: bytes, codings: Sequence[str], most: int) -> int:
    """How many bytes `data` decodes to, up to `most`; none of them are kept. Counting ends at data that cannot be
    decoded."""
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
        """The first byte of a member whose second byte, which shows its format, has not been received."""
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
    """The exceptions of the engines; zstandard is imported only when one is raised."""
    import zstandard

    return zlib.error, zstandard.ZstdError


class _Brotli:
    """A brotli decompressor (RFC 7932) with zlib's interface."""

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


# Coding → a function that returns a new engine for data that begins so, and whether several members may follow.
_ENGINES: dict[str, tuple[Callable[[bytes], Any], bool]] = {
    "gzip": (engines.gzip, True),
    "x-gzip": (engines.gzip, True),
    "deflate": (engines.deflate, False),
    "x-deflate": (engines.deflate, False),
    "br": (lambda _: _Brotli(), False),
    "zstd": (engines.zstd, True),
}
