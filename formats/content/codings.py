"""Content codings (RFC 9110, 8.4) of whole bodies: decoded within a bound, and encoded.

The engine decodes for matchers and for the log, and in traffic only where a rule changes a body; the readers of other
tools' recordings decode bodies that were kept encoded. Decoding is bounded: a few kilobytes can decode to gigabytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any, Final

from mockrec.formats.content import engines

IDENTITIES: Final = frozenset({"", "identity", "none", "text", "binary", "utf8", "utf-8", "amz-1.0"})
"""Names that change no bytes: `identity` (RFC 9110, 12.5.3), and words that servers send in error."""
MAGIC: Final = {"gzip": b"\x1f\x8b", "x-gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
"""The first bytes of data in these codings (RFC 1952, 2.3.1; RFC 8878, 3.1.1). deflate and br have none."""
_RATIO = 200
_SLACK = 64 * 1024
_ALWAYS = 1024 * 1024
"""Decoded bytes that are always allowed: ordinary texts of some hundred kilobytes can be packed to a thousandth."""
_MOST_CODINGS = 8
_MOST_MEMBERS = 10_000


class UndecodableError(ValueError):
    """The body is not what its Content-Encoding says, or the coding is unknown."""


def longest_of(encoded: int) -> int:
    """Return how many bytes a body of `encoded` bytes may have when it is decoded."""
    return max(encoded * _RATIO, _ALWAYS)


def codings_of(content_encoding: str) -> list[str]:
    """Return the codings of a Content-Encoding that change bytes, in the order of application (RFC 9110, 8.4)."""
    names = [name.strip().lower() for name in content_encoding.split(",")]
    return [name for name in names if name not in IDENTITIES]


def decode(data: bytes, codings: Sequence[str], limit: int, *, whole: bool = True) -> tuple[bytes, bool]:
    """Decode `data`, the last of `codings` first; return the bytes, and whether they are all.

    Stops at `limit` + 64 KiB or at `longest_of` the size of `data`, whichever is less. With `whole=False`, data that
    breaks off is no error: the bytes up to there are returned. No bytes at all are an empty body in any coding. Raises
    UndecodableError.
    """
    if not data:
        return data, True
    if len(codings) > _MOST_CODINGS:
        raise UndecodableError(f"more than {_MOST_CODINGS} content codings")
    bound = min(limit + _SLACK, longest_of(len(data)))
    complete = True
    for name in reversed(codings):
        decoder = _DECODERS.get(name)
        if decoder is None:
            raise UndecodableError(f'unknown content coding "{name}"')
        data, finished, ended = decoder(data, bound)
        if not ended and finished and whole and complete:
            raise UndecodableError(f"the {name} data breaks off")
        complete = complete and finished and ended
    return data, complete


def decoded_whole(data: bytes, codings: Sequence[str], limit: int) -> bytes:
    """Decode all of `data`. Raises UndecodableError, also if the result is longer than `limit` allows."""
    if not codings:
        return data
    decoded, whole = decode(data, codings, limit)
    if not whole:
        raise UndecodableError("the decoded body is longer than record.maxBodySize allows")
    return decoded


# Each decoder returns: the bytes, whether the bound left room for all of them, whether the data came to its end.
_Decoded = tuple[bytes, bool, bool]


def _members(
    data: bytes, bound: int, new_engine: Callable[[bytes], Any], error: type[Exception], piece: int, most: int
) -> _Decoded:
    """Decode up to `most` members (or frames) that follow one another.

    The engines have no bound of their own, or return what follows a member as a copy of all of it. Small pieces bound
    both: the bytes decoded beyond `bound`, and the bytes copied for each member.
    """
    out = bytearray()
    view = memoryview(data)
    position = 0
    for _ in range(most):
        engine = new_engine(data)
        while position < len(data) and not engine.eof:
            part = view[position : position + piece]
            try:
                out += engine.decompress(part)
            except error as fault:
                raise UndecodableError(str(fault)) from None
            if len(out) > bound:
                return bytes(out[:bound]), False, False
            position += len(part) - len(engine.unused_data)
        if not engine.eof or position == len(data) or most == 1:
            return bytes(out), True, engine.eof
    raise UndecodableError(f"more than {most} members")


def _gzip(data: bytes, bound: int) -> _Decoded:
    """gzip data may be several members one after another (RFC 1952, 2.2)."""
    return _members(data, bound, engines.gzip, zlib.error, 1024, _MOST_MEMBERS)


def _deflate(data: bytes, bound: int) -> _Decoded:
    return _members(data, bound, engines.deflate, zlib.error, 1024, 1)


def _brotli(data: bytes, bound: int) -> _Decoded:
    import brotli

    engine = brotli.Decompressor()
    out = bytearray()
    try:
        out += engine.process(data, output_buffer_limit=bound + 1)
        while not engine.is_finished() and len(out) <= bound:
            more = engine.process(b"", output_buffer_limit=bound + 1 - len(out))
            if not more:
                break
            out += more
    except brotli.error as error:
        raise UndecodableError(str(error) or "not brotli data") from None
    if len(out) > bound:
        return bytes(out[:bound]), False, False
    return bytes(out), True, bool(engine.is_finished())


def _zstd(data: bytes, bound: int) -> _Decoded:
    import zstandard

    # Four bytes can decode to 128 KiB, hence the smaller pieces.
    return _members(data, bound, engines.zstd, zstandard.ZstdError, 128, _MOST_MEMBERS)


_DECODERS: dict[str, Callable[[bytes, int], _Decoded]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "x-deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
CODINGS: Final = frozenset(_DECODERS)
"""The names of the codings that change bytes and can be decoded (RFC 9110, 8.4.1; RFC 7932; RFC 8878)."""

# ── encoding ───────────────────────────────────────────────────────────────────────────────────────

_LEVEL = 1
"""A changed body is encoded once and sent once: speed counts for more than size."""


class UnencodableError(ValueError):
    """A coding is unknown, or there are too many."""


def encode(data: bytes, codings: list[str]) -> bytes:
    """Encode `data`, the first of `codings` first; equal bytes give equal results. Raises UnencodableError."""
    if len(codings) > _MOST_CODINGS:
        raise UnencodableError(f"more than {_MOST_CODINGS} content codings")
    for name in codings:
        encoder = _ENCODERS.get(name)
        if encoder is None:
            raise UnencodableError(f'unknown content coding "{name}"')
        data = encoder(data)
    return data


def _to_gzip(data: bytes) -> bytes:
    """The header that zlib writes has no time in it (RFC 1952, 2.3.1: MTIME)."""
    return zlib.compress(data, _LEVEL, wbits=31)


def _to_deflate(data: bytes) -> bytes:
    return zlib.compress(data, _LEVEL)


def _to_brotli(data: bytes) -> bytes:
    import brotli

    return bytes(brotli.compress(data, quality=_LEVEL))


def _to_zstd(data: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor(level=_LEVEL).compress(data)


_ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": _to_gzip,
    "x-gzip": _to_gzip,
    "deflate": _to_deflate,
    "x-deflate": _to_deflate,
    "br": _to_brotli,
    "zstd": _to_zstd,
}
