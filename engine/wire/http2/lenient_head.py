"""HTTP/2 request heads with `server.lenient`: what breaks the rules and has one meaning is repaired and named.

A list of fields that `heads.py` accepts is accepted as it is. Any other is repaired field by field (RFC 9113, 8.2.1),
and the repaired list must pass `heads.py`.
"""

from __future__ import annotations

import re

from mockrec.engine.wire.http2.fields import Fields, as_text, repaired
from mockrec.engine.wire.http2.heads import read_request
from mockrec.engine.wire.odd_fields import FRAMING, client_odd_tags, value_kind
from mockrec.engine.wire.parts import RequestHead
from mockrec.engine.wire.syntax import CONTROLS_BYTES, LOWERCASE_TOKEN_BYTES

_VISIBLE = re.compile(rb"[^\x00-\x20\x7f-\xff]+")


def read_lenient_request(fields: Fields, ended: bool) -> tuple[RequestHead, int] | str:
    """Return a request head and its size, or why it is malformed (RFC 9113, 8.3.1), as `read_request` does."""
    read = read_request(fields, ended)
    if not isinstance(read, str):
        return read
    mended, kinds = repaired(fields)
    if not kinds or any(pair not in fields for pair in mended if pair[0] == b"host"):
        return read
    if any(value_kind(value) is None for _, value in mended):
        return read  # even if the name is left out below
    plain: list[tuple[bytes, bytes]] = []
    for name, value in mended:
        if name in FRAMING or not LOWERCASE_TOKEN_BYTES.fullmatch(name):
            # An invalid name is left out; pseudo-headers, upper case and fields that frame must pass as they are.
            if name.startswith(b":") or name != name.lower() or name in FRAMING or not _VISIBLE.fullmatch(name):
                plain.append((name, value))
        else:
            plain.append((name, CONTROLS_BYTES.sub(b" ", value).strip(b" ")))
    good = read_request(tuple(plain), ended)
    if isinstance(good, str):
        return read
    head, size = good
    return head.with_fields(as_text(mended), (*head.odd, *client_odd_tags(kinds))), size
