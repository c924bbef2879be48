"""Request heads as servers' are read (`server.lenient`): what is odd and means one thing only is repaired and named.

A head that `head.py` takes is taken as it is. Any other is repaired line by line (`odd_fields.py`), and what has become
of it has to pass `head.py` after all, so that nothing is taken here whose framing is not beyond doubt.
"""

from __future__ import annotations

from mockrec.engine.wire.fault_codes import INVALID_HEADER
from mockrec.engine.wire.http1.request_head import partial_fault, read_head
from mockrec.engine.wire.odd_fields import BARE_LF, FRAMING, client_odd_tags, read_fields
from mockrec.engine.wire.parts import Fault, RequestHead
from mockrec.engine.wire.syntax import CONTROLS, TOKEN

_HOST_AND_FRAMING = FRAMING | {b"host"}
"""A request is also sent astray by its host (RFC 9112, 3.2)."""


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
    plain = [f"{name}: {CONTROLS.sub(' ', value).strip()}" for name, value in fields if TOKEN.fullmatch(name)]
    good = b"\r\n".join([lines[0], *(line.encode("latin-1") for line in plain), b"", b""])
    mended = read_head(good)
    if isinstance(mended, Fault) or not kinds:
        return head
    return mended.with_fields(fields, (*mended.odd, *client_odd_tags(kinds)))


def lenient_partial_fault(buffer: bytes) -> Fault | None:
    """The fault that a head must end in, although it is not complete yet: only its first line can tell."""
    line, end, _ = buffer.partition(b"\n")
    fault = partial_fault(line.removesuffix(b"\r") + b"\r\n" if end else line)
    return None if fault is None else Fault(fault.code, fault.status, buffer)
