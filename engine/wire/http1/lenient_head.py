"""HTTP/1 request heads with `server.lenient`: what breaks the rules and has one meaning is repaired and named.

A head that `request_head.py` accepts is accepted as it is. Any other is repaired line by line (`odd_fields.py`), and
the repaired head must pass `request_head.py`: no head is accepted whose framing is not certain (RFC 9112, 11.2).
"""

from __future__ import annotations

from mockrec.engine.wire.fault_codes import INVALID_HEADER
from mockrec.engine.wire.http1.request_head import partial_fault, read_head
from mockrec.engine.wire.odd_fields import BARE_LF, FRAMING, client_odd_tags, read_fields
from mockrec.engine.wire.parts import Fault, RequestHead
from mockrec.engine.wire.syntax import CONTROLS, TOKEN

_HOST_AND_FRAMING = FRAMING | {b"host"}
"""Host decides where a request goes (RFC 9112, 3.2), so it is not repaired either."""


def read_lenient_head(raw: bytes) -> RequestHead | Fault:
    """Read a complete head (RFC 9112, 2.1), the empty line included. A valid head is shared: it must not be changed."""
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
    plain = [f"{name}: {CONTROLS.sub(' ', value).strip()}" for name, value in fields if TOKEN.fullmatch(name)]
    good = b"\r\n".join([lines[0], *(line.encode("latin-1") for line in plain), b"", b""])
    mended = read_head(good)
    if isinstance(mended, Fault) or not kinds:
        return head
    return mended.with_fields(fields, (*mended.odd, *client_odd_tags(kinds)))


def lenient_partial_fault(buffer: bytes) -> Fault | None:
    """Return the fault that an incomplete head has already, or None: only its request line shows one (RFC 9112, 3)."""
    line, end, _ = buffer.partition(b"\n")
    fault = partial_fault(line.removesuffix(b"\r") + b"\r\n" if end else line)
    return None if fault is None else Fault(fault.code, fault.status, buffer)
