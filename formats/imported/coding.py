"""Bodies of other tools' recordings as bodies of the log: decoded if the bytes are encoded, text if they are text.

Other tools keep a body as it was on the wire or decoded, and most do not record which. The bytes decide.
"""

from __future__ import annotations

import re
from typing import Any, Final

from mockrec.formats.content.codings import CODINGS, MAGIC, UndecodableError, codings_of, decoded_whole
from mockrec.formats.schema.body import encode_body

Record = dict[str, Any]

MAX_DECODED: Final = 256 * 1024 * 1024
"""Bytes that a body may decode to; a longer one is kept encoded."""
_CHARSET = re.compile(r"""charset\s*=\s*["']?([A-Za-z0-9_.:-]+)""", re.IGNORECASE)


def body_record(data: bytes, content_type: str, content_encoding: str) -> Record:
    """The log's form of a body that a recording has as `data`."""
    codings = codings_of(content_encoding)
    if not codings or not data:
        return _text_or_bytes(data, content_type)
    try:
        decoded = decoded_whole(data, codings, MAX_DECODED)
    except UndecodableError:
        if _is_decoded(data, codings[-1]):
            # The recorder decoded it and kept the field: a replay has to encode it again.
            return _text_or_bytes(data, content_type) | {"contentEncoding": ", ".join(codings)}
        return encode_body(data) | {"undecodable": True}
    body = _text_or_bytes(decoded, content_type)
    return body | {"contentEncoding": ", ".join(codings), "encodedSize": len(data)}


def _is_decoded(data: bytes, coding: str) -> bool:
    """Whether bytes that cannot be decoded are decoded already: they do not begin as data in the coding does, or where
    that has no fixed beginning, they are text."""
    if coding not in CODINGS:
        return False
    magic = MAGIC.get(coding)
    if magic is not None:
        return not data.startswith(magic)
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
