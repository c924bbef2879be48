"""Request heads as servers' are read (`server.lenient`): what is odd and means one thing only is repaired and named.

A head that `head.py` takes is taken as it is. Any other is repaired line by line (`odd_fields.py`), and what has become
of it has to pass `head.py` after all, so that nothing is taken here whose framing is not beyond doubt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mockrec.engine.wire.http1.odd_fields import BARE_LF, FRAMING, client_odd_tags, read_fields, value_kind
from mockrec.engine.wire.http1.request_head import INVALID_HEADER, partial_fault, read_head
from mockrec.engine.wire.http2.fields import Fields, as_text, repaired
from mockrec.engine.wire.http2.heads import read_request
from mockrec.engine.wire.parts import Fault, RequestHead, header_table
from mockrec.engine.wire.syntax import LOWERCASE_TOKEN_BYTES, TOKEN

_HOST_AND_FRAMING = FRAMING | {b"host"}
"""A request is also sent astray by its host (RFC 9112, 3.2)."""
_CONTROLS = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
_CONTROLS_IN_BYTES = re.compile(_CONTROLS.pattern.encode())
_VISIBLE = re.compile(rb"[^\x00-\x20\x7f-\xff]+")


def read_lenient_head(raw: bytes) -> RequestHead | Fault:
    """Read a complete head, the empty line included. The result is shared where the head is good: never change it."""
    head = read_head(raw)
    if isinstance(head, RequestHead):
        return head
    lines = raw.replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n")
    read = read_fields(lines[1:], _HOST_AND_FRAMING)
    if isinstance(read, str):
        return Fault(INVALID_HEADER, raw=raw, detail=read)
    fields, kinds = read
    if raw.count(b"\n") != raw.count(b"\r\n"):
        kinds = (BARE_LF, *kinds)
    plain = [f"{name}: {_CONTROLS.sub(' ', value).strip()}" for name, value in fields if TOKEN.fullmatch(name)]
    good = b"\r\n".join([lines[0], *(line.encode("latin-1") for line in plain), b"", b""])
    mended = read_head(good)
    if isinstance(mended, Fault) or not kinds:
        return head
    return _with(mended, fields, kinds)


def lenient_partial_fault(buffer: bytes) -> Fault | None:
    """The fault that a head must end in, although it is not complete yet: only its first line can tell."""
    line, end, _ = buffer.partition(b"\n")
    fault = partial_fault(line.removesuffix(b"\r") + b"\r\n" if end else line)
    return None if fault is None else Fault(fault.code, fault.status, buffer)


def read_lenient_request(fields: Fields, ended: bool) -> tuple[RequestHead, int] | str:
    """The same for a request of HTTP/2; see `read_request`."""
    read = read_request(fields, ended)
    if not isinstance(read, str):
        return read
    mended, kinds = repaired(fields)
    if not kinds or any(pair not in fields for pair in mended if pair[0] == b"host"):
        return read
    if any(value_kind(value) is None for _, value in mended):
        return read  # also under a name that is left out below
    plain: list[tuple[bytes, bytes]] = []
    for name, value in mended:
        if name in FRAMING or not LOWERCASE_TOKEN_BYTES.fullmatch(name):
            # What is a name to nobody goes; pseudo-fields, capitals and what frames have to pass as they are.
            if name.startswith(b":") or name != name.lower() or name in FRAMING or not _VISIBLE.fullmatch(name):
                plain.append((name, value))
        else:
            plain.append((name, _CONTROLS_IN_BYTES.sub(b" ", value).strip(b" ")))
    good = read_request(tuple(plain), ended)
    if isinstance(good, str):
        return read
    return _with(good[0], as_text(mended), kinds), good[1]


def _with(head: RequestHead, fields: list[list[str]], kinds: Sequence[str]) -> RequestHead:
    """A head that is good, with the fields that it really has."""
    odd = RequestHead(head.method, head.target, head.version, fields, header_table(fields))
    for name in ("chunked", "content_length", "expects_continue", "has_body", "keep_alive", "upgrade"):
        setattr(odd, name, getattr(head, name))
    odd.odd = (*head.odd, *client_odd_tags(kinds))
    return odd
