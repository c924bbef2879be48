"""Heads of HTTP/2 (RFC 9113, 8.3): fields → request and response heads, and heads → fields."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from mockrec.engine.bounded_cache import remember
from mockrec.engine.wire.fault_phrases import quoted
from mockrec.engine.wire.http2.fields import (
    Fields,
    as_text,
    as_wire,
    declared_length,
    fields_fault,
    list_size,
    plain_fields,
    repaired,
)
from mockrec.engine.wire.parts import RequestHead, ResponseHead, header_table
from mockrec.engine.wire.request_line import is_text, unusual_parts
from mockrec.engine.wire.syntax import BODILESS_STATUSES, SCHEME_PATTERN, TOKEN_BYTES

PATH = re.compile(rb"/[^\x00-\x20\x7f]*|\*")
AUTHORITY = re.compile(rb"[^\x00-\x20\x7f-\xff/?#@\\]*")
SCHEME = re.compile(SCHEME_PATTERN.encode())
_STATUS = re.compile(rb"[1-9][0-9]{2}")
_REQUEST_PSEUDO = frozenset((b":method", b":scheme", b":authority", b":path", b":protocol"))
_RESPONSE_PSEUDO = frozenset((b":status",))

ReadResponse = tuple[ResponseHead, int, int | str]
"""A response head, the size of its list of fields, and what `declared_length` returns for them."""

_CACHED_HEADS: Final = 1024
_CACHED_RESPONSES: Final = 256
"""Heads of servers repeat for a second, until their `date` changes."""
_CACHED_HEAD_SIZE: Final = 4096
_heads: dict[tuple[Fields, bool], tuple[RequestHead, int]] = {}
_request_fields: dict[tuple[str, str, str, str, tuple[tuple[str, str], ...]], Fields] = {}
_response_heads: dict[Fields, ReadResponse] = {}


# ── received ───────────────────────────────────────────────────────────────────────────────────────


def read_request(fields: Fields, ended: bool) -> tuple[RequestHead, int] | str:
    """Return a request head and its size, or why it is malformed (RFC 9113, 8.3.1). Do not change the shared head."""
    key = (fields, ended)
    known = _heads.get(key)
    if known is not None:
        return known
    fault = fields_fault(fields, _REQUEST_PSEUDO)
    if fault:
        return fault
    head = _build(fields, ended)
    if isinstance(head, str):
        return head
    size = list_size(fields)
    if size <= _CACHED_HEAD_SIZE:
        remember(_heads, key, (head, size), _CACHED_HEADS)
    return head, size


def _build(fields: Fields, ended: bool) -> RequestHead | str:
    """RFC 9113, 8.3.1 and 8.5; RFC 8441, 4."""
    table = dict(reversed(fields))
    method, path = table.get(b":method", b""), table.get(b":path", b"")
    authority, protocol = table.get(b":authority", b""), table.get(b":protocol")
    if not TOKEN_BYTES.fullmatch(method):
        return f":method is {quoted(method)}; expected a token" if method else "there is no :method"
    if not AUTHORITY.fullmatch(authority):
        return f":authority is {quoted(authority)}; expected host or host:port"
    tunnel = method == b"CONNECT" and protocol is None
    if tunnel:
        if not authority or b":scheme" in table or b":path" in table:
            return "CONNECT names an :authority and no more"
    else:
        if protocol is not None and (method != b"CONNECT" or not TOKEN_BYTES.fullmatch(protocol)):
            return f":protocol is {quoted(protocol)}; expected a token, with the method CONNECT"
        if not SCHEME.fullmatch(table.get(b":scheme", b"")):
            return f":scheme is {quoted(table[b':scheme'])}" if b":scheme" in table else "there is no :scheme"
        if not (PATH.fullmatch(path) and is_text(path)) or (path == b"*" and method != b"OPTIONS"):
            return _bad_path(path) if b":path" in table else "there is no :path"
        if not authority and not table.get(b"host"):
            return "neither :authority nor host"
    hosts = [value for name, value in fields if name == b"host"]
    if len(hosts) > 1 or (hosts and not AUTHORITY.fullmatch(hosts[0])):
        # HTTP/1 refuses it too (RFC 9112, 3.2).
        return f"host is {quoted(b', '.join(hosts))}; expected one host or host:port"
    length = -1 if tunnel else declared_length(fields, 1)
    if isinstance(length, str):
        return length
    if ended and length > 0:
        return f"{length} bytes of body are announced, and none follow"
    raw_headers = as_text(fields)
    target = (authority if tunnel else path).decode("latin-1")
    head = RequestHead(method.decode("ascii"), target, "2.0", raw_headers, header_table(raw_headers))
    head.odd = unusual_parts(head.method, target)
    head.content_length = length if length >= 0 else None
    head.has_body = not ended
    head.expects_continue = head.headers.get("expect", "").lower() == "100-continue"
    head.upgrade = "" if protocol is None else protocol.decode("ascii").lower()
    return head


def _bad_path(path: bytes) -> str:
    """Return why a :path is invalid (RFC 9113, 8.3.1), without quoting it: it may hold secrets."""
    if path == b"*":
        return ":path is *, which only OPTIONS may ask for"
    if not path.startswith(b"/"):
        return ":path does not begin with /"
    bad = re.search(rb"[\x00-\x20\x7f]", path)
    if bad is None:
        return ":path holds bytes that are not UTF-8, or control characters; percent-encode them"
    return f":path has the character 0x{bad[0][0]:02X} at position {bad.start() + 1}; percent-encode it"


def read_response(fields: Fields) -> ReadResponse | str:
    """Return a response head, interim or final, or why it is malformed (RFC 9113, 8.3.2). Do not change the shared
    head."""
    known = _response_heads.get(fields)
    if known is not None:
        return known
    head = _build_response(fields)
    if isinstance(head, str):
        return head
    size = list_size(fields)
    read = head, size, declared_length(fields, len(fields))
    if size <= _CACHED_HEAD_SIZE:
        remember(_response_heads, fields, read, _CACHED_RESPONSES)
    return read


def _build_response(fields: Fields) -> ResponseHead | str:
    sent = fields
    odd: tuple[str, ...] = ()
    fault = fields_fault(fields, _RESPONSE_PSEUDO)
    if fault:
        fields, odd = repaired(sent)
        fault = fields_fault(fields, _RESPONSE_PSEUDO, odd=True)
    if fault:
        return fault
    name, status = fields[0] if fields else (b"", b"")
    if name != b":status" or not _STATUS.fullmatch(status) or status == b"101":  # RFC 9113, 8.6
        return f":status is {quoted(status)}; expected three digits, and not 101"
    raw_headers = as_text(fields)
    head = ResponseHead(int(status), "", raw_headers, header_table(raw_headers), version="2.0")
    if odd:
        head.odd = odd
        head.raw = b"".join([b"%b: %b\r\n" % field for field in sent])
    return head


def body_length(declared: int | str, status: int, method: str) -> int | str:
    """Return the length of a response's content, -1 if unknown, or why it is invalid (RFC 9113, 8.1.1).

    `declared`: the length that its fields declare.
    """
    if method == "CONNECT" and 200 <= status < 300:
        return -1
    if isinstance(declared, int) and (method == "HEAD" or status in BODILESS_STATUSES):
        return 0
    return declared


# ── sent ───────────────────────────────────────────────────────────────────────────────────────────


def request_fields(
    method: str, target: str, scheme: str, authority: str, raw_headers: Sequence[Sequence[str]]
) -> Fields:
    """Return the fields of a request head (RFC 9113, 8.3.1). Raises ValueError for what no head can hold.

    Pseudo-headers among `raw_headers` determine the order, the arguments the values; `:protocol` is forwarded.
    """
    key = (method, target, scheme, authority, tuple([(name, value) for name, value in raw_headers]))
    known = _request_fields.get(key)
    if known is None:
        pseudo = _pseudo_headers(method, target, scheme, authority, raw_headers)
        known = as_wire([*pseudo, *plain_fields(pair for pair in raw_headers if not pair[0].startswith(":"))])
        if list_size(known) <= _CACHED_HEAD_SIZE:
            remember(_request_fields, key, known, _CACHED_HEADS)
    return known


def _pseudo_headers(
    method: str, target: str, scheme: str, authority: str, raw_headers: Sequence[Sequence[str]]
) -> list[list[str]]:
    """Return the pseudo-headers in the order of those in `raw_headers`, the others after them in the usual order."""
    given = {name: value for name, value in raw_headers if name.startswith(":")}
    tunnel = method == "CONNECT" and ":protocol" not in given
    values = {":method": method, ":scheme": scheme, ":authority": authority, ":path": target}
    if tunnel:
        values = {":method": method, ":authority": authority or target}
    elif ":protocol" in given:
        values[":protocol"] = given[":protocol"]
    patterns = {
        **{":method": TOKEN_BYTES, ":scheme": SCHEME, ":authority": AUTHORITY},
        **{":path": PATH, ":protocol": TOKEN_BYTES},
    }
    for name, value in values.items():
        if not patterns[name].fullmatch(value.encode("latin-1")):
            raise ValueError(f"{name} cannot be {quoted(value)}")
    if not values[":authority"]:
        del values[":authority"]
    order = [name for name in given if name in values]
    return [[name, values[name]] for name in [*order, *(name for name in values if name not in order)]]


def final_head(
    status: int,
    headers: Sequence[tuple[str, str]],
    length: int | None,
    date: str,
) -> ResponseHead:
    """Return a final head as a stream must send it (RFC 9113, 8.3.2). The result depends only on the arguments.

    Adds `date` if there is no date field, and `length` if it is known. An empty `date` means that another server made
    the head: no length is added. Raises ValueError for what no head can hold.
    """
    if not 200 <= status <= 999:
        raise ValueError(f"no final head can have the status {status}")
    fields = plain_fields((pair for pair in headers if pair[0] != ":status"), odd=not date)
    lengths = [pair for pair in fields if pair[0] == "content-length"]
    if status == 204:
        fields = [pair for pair in fields if pair[0] != "content-length"]  # RFC 9110, 8.6
    elif not date and len(lengths) > 1:
        fields = [pair for pair in fields if pair[0] != "content-length" or pair is lengths[0]]
    if date and all(name != "date" for name, _ in fields):
        fields.append(["date", date])
    if date and length is not None and not lengths and status not in BODILESS_STATUSES:
        fields.append(["content-length", str(length)])
    return response_head(status, fields)


def response_head(status: int, fields: list[list[str]]) -> ResponseHead:
    """Return a response head (RFC 9113, 8.3.2) with fields that `plain_fields` returned."""
    raw = [[":status", str(status)], *fields]
    return ResponseHead(status, "", raw, header_table(raw), as_wire(raw), version="2.0")
