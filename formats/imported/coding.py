"""Bytes of recordings as bodies of the log: content coding undone where the bytes have it, text where they are text.

Other tools keep a body as it came over the wire or decoded, and mostly do not say which. What the bytes are decides.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from typing import Any

from mockrec.formats.schema.body import encode_body

Record = dict[str, Any]

MAX_DECODED = 256 * 1024 * 1024
_RATIO = 200
"""How many times longer than its coded form a body may be; what is longer stays as it is."""
_SLACK = 64 * 1024
_MOST_CODINGS = 4
_PIECE = 1024
_MOST_MEMBERS = 10_000
"""Each costs an engine, and a copy of what is behind it in its piece."""
_IDENTITY = frozenset({"", "identity", "none"})
_MAGIC = {"gzip": b"\x1f\x8b", "x-gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
_CHARSET = re.compile(r"""charset\s*=\s*["']?([A-Za-z0-9_.:-]+)""", re.IGNORECASE)


class _TooLongError(Exception):
    """More than a body may unfold to."""


def body_record(data: bytes, content_type: str, content_encoding: str) -> Record:
    """The log's form of a body that a recording has as `data`."""
    codings = [name.strip().lower() for name in content_encoding.split(",")]
    codings = [name for name in codings if name not in _IDENTITY]
    if not codings or not data:
        return _text_or_bytes(data, content_type)
    decoded = _undone(data, codings)
    if decoded is not None:
        body = _text_or_bytes(decoded, content_type)
        return body | {"contentEncoding": ", ".join(codings), "encodedSize": len(data)}
    if _is_decoded(data, codings[-1]):
        # The recorder has undone it and kept the field: whoever sends it again has to encode it.
        return _text_or_bytes(data, content_type) | {"contentEncoding": ", ".join(codings)}
    return encode_body(data) | {"undecodable": True}


def _is_decoded(data: bytes, coding: str) -> bool:
    """Whether bytes that could not be decoded are so already: text, and without the mark of their coding."""
    if coding not in _DECODERS or data.startswith(_MAGIC.get(coding, b"\0")):
        return False
    try:
        return "\0" not in data.decode("utf-8")
    except UnicodeDecodeError:
        return False


def _text_or_bytes(data: bytes, content_type: str) -> Record:
    found = _CHARSET.search(content_type)
    if found is not None and found[1].lower() not in ("utf-8", "utf8"):
        try:
            text = data.decode(found[1])
            if not data.isascii() and text.encode(found[1]) == data:
                return {"size": len(data), "text": text, "charset": found[1].lower()}
        except (LookupError, ValueError):
            pass
    return encode_body(data)


def _undone(data: bytes, codings: list[str]) -> bytes | None:
    if len(codings) > _MOST_CODINGS:
        return None
    bound = min(MAX_DECODED, max(len(data) * _RATIO, _SLACK))
    for name in reversed(codings):
        decoder = _DECODERS.get(name)
        if decoder is None:
            return None
        try:
            data = decoder(data, bound)
        except _TooLongError:
            return None
        except Exception:  # zlib.error, brotli.error and zstandard.ZstdError share no base
            return None
    return data


def _stepwise(data: bytes, bound: int, new_engine: Callable[[], Any], piece: int) -> bytes:
    """Undo one member (or frame) after another, in pieces that bound what is unfolded at a time."""
    out = bytearray()
    position = members = 0
    while position < len(data):
        members += 1
        if members > _MOST_MEMBERS:
            raise _TooLongError
        engine = new_engine()
        while position < len(data) and not engine.eof:
            part = data[position : position + piece]
            out += engine.decompress(part)
            if len(out) > bound:
                raise _TooLongError
            position += len(part) - len(engine.unused_data)
        if not engine.eof:
            raise ValueError("it breaks off")
    return bytes(out)


def _gzip(data: bytes, bound: int) -> bytes:
    return _stepwise(data, bound, lambda: zlib.decompressobj(31), _PIECE)


def _deflate(data: bytes, bound: int) -> bytes:
    """zlib's format, or without its wrapper, as many senders have it (RFC 9110, 8.4.1.2)."""
    wrapped = len(data) > 1 and data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
    return _stepwise(data, bound, lambda: zlib.decompressobj(15 if wrapped else -15), _PIECE)


def _brotli(data: bytes, bound: int) -> bytes:
    import brotli

    engine = brotli.Decompressor()
    out = bytearray(engine.process(data, output_buffer_limit=bound + 1))
    while not engine.is_finished() and len(out) <= bound:
        more = engine.process(b"", output_buffer_limit=bound + 1 - len(out))
        if not more:
            raise ValueError("it breaks off")
        out += more
    if len(out) > bound:
        raise _TooLongError
    return bytes(out)


def _zstd(data: bytes, bound: int) -> bytes:
    import zstandard

    # Four bytes can unfold into 128 KiB, hence the smaller pieces.
    decompressor = zstandard.ZstdDecompressor(max_window_size=2**27)
    return _stepwise(data, bound, decompressor.decompressobj, 128)


_DECODERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}
