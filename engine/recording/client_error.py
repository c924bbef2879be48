"""The record of a client that broke the protocol (`client-error`), with as much of its request as could be read.

The request is read again, leniently, from the bytes or fields that were received. Only what is certain is recorded; the
bytes themselves are in `rawHead`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mockrec.engine import clock
from mockrec.engine.ids import new_id
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.message.state import ExchangeState
from mockrec.engine.message.target_uri import PLAIN, ConnectionContext, read_target_uri
from mockrec.engine.recording.body_encoder import BodyEncoder
from mockrec.engine.recording.envelope import Record, envelope
from mockrec.engine.redaction.secret_scope import SecretScope
from mockrec.engine.wire.fault_phrases import fault_words
from mockrec.engine.wire.parts import Fault, RawHeaders, RequestHead, ResponseHead, header_table
from mockrec.engine.wire.request_line import target_text
from mockrec.engine.wire.syntax import SCHEME_PATTERN, TOKEN_BYTES
from mockrec.engine.wire.urls import DEFAULT_PORTS
from mockrec.formats.text.late_regex import late_regex

_LONGEST_METHOD = 15
_FOLD = late_regex(r"(?<=.)\n[ \t]++(?![^\s:]++[ \t]*+:)(?=.)")
_VERSION = late_regex(r"HTTP/([0-9][0-9.]{0,7})")
_WHOLE_URL = late_regex(SCHEME_PATTERN + r"://[^/?#]")
_AUTHORITY = late_regex(r"(\[[0-9A-Fa-f:.]+\]|[^:@\[\]/?#\s]+):([0-9]{1,5})")


class FaultyRequest(msgspec.Struct, frozen=True):
    """What is known of a request with a fault."""

    id: str
    """The id of the record."""
    client: ClientConnection
    fault: Fault
    context: ConnectionContext = PLAIN
    """The context of the connection on which it was received."""
    version: str = ""
    """The HTTP version, if the connection speaks only one."""
    exchange: ExchangeState | None = None
    """The exchange that the fault broke, if there was one."""


def client_error_record(
    client: ClientConnection,
    fault: Fault,
    started_at: float,
    answered: ResponseHead | None,
    body: bytes,
    exchange: ExchangeState | None,
) -> tuple[Record, list[str], Record]:
    """Return the record but for its `request` (see `partial_request`), and its tags and timing, which `request` has
    too. `answered` and `body` are the response, None if none was sent."""
    now = clock.now()
    tags = [*client.tags, f"client-error:{fault.code}"]
    if fault.status == 431 or fault.tag == "header-overflow":
        tags.append("header-overflow")
    elif fault.tag:
        tags.append(f"client-error:{fault.tag}")
    timing: Record = {"startTime": int(clock.wall(started_at)), "startTimestamp": started_at}
    timing["responseSentTimestamp" if answered is not None else "abortedTimestamp"] = now
    scope = client.scope if exchange is None else exchange.scope
    record = envelope("client-error", new_id(), client.connection_id, now, scope)
    if exchange is not None:
        record["exchangeId"] = exchange.id
    record["errorCode"] = fault.code
    message = fault_words(fault)
    if message:
        record["errorMessage"] = message
    record["request"] = {}
    if answered is None:
        record["aborted"] = True
    else:
        record["response"] = {
            "id": record["id"],
            "statusCode": answered.status,
            "statusMessage": answered.reason,
            "headers": answered.headers,
            "rawHeaders": answered.raw_headers,
            "body": {"size": len(body), "text": body.decode()},
            "timingEvents": timing,
            "tags": tags,
        }
    return record, tags, timing


def partial_request(
    request: FaultyRequest,
    bodies: BodyEncoder,
    timing: Mapping[str, Any],
    tags: Sequence[str],
    owner: SecretScope | None = None,
) -> Record:
    """Return the `request` of a client-error: that of the exchange, or what could be read of it.

    `owner` remembers the secrets that are found in the bytes, since other fields of the record repeat them.
    """
    client, fault, exchange = request.client, request.fault, request.exchange
    record: Record = {"id": request.id}
    if exchange is not None:
        target = exchange.target
        record |= {
            "protocol": target.protocol,
            "httpVersion": exchange.head.version,
            "method": exchange.head.method,
            "url": target.url,
            "path": target.path,
            "destination": target.destination,
        }
        raw_headers = target.raw_headers
    elif fault.raw_headers:
        raw_headers = [list(pair) for pair in fault.raw_headers]
        record |= _read_fields(raw_headers, request)
    else:
        found, raw_headers = _read_bytes(fault.raw, request)
        record |= found
    if raw_headers:
        record["headers"] = header_table(raw_headers)
    record["rawHeaders"] = raw_headers
    record["remoteIpAddress"] = client.ip
    record["remotePort"] = client.port
    record["timingEvents"] = timing
    record["tags"] = tags
    if client.tls:
        record["tlsMetadata"] = client.tls
    if fault.raw:
        record["rawHead"] = bodies.head(fault.raw, owner)
    return record


def _read_fields(raw_headers: RawHeaders, request: FaultyRequest) -> Record:
    """Return what the pseudo-header fields of HTTP/2 show. If one is repeated, the first counts. A CONNECT has no path
    (RFC 9113, 8.5)."""
    pseudo: dict[str, str] = {}
    for name, value in raw_headers:
        if name.startswith(":"):
            pseudo.setdefault(name, value)
    found = _of_connection(request, "2.0")
    method = pseudo.get(":method", "")
    if method:
        found["method"] = method[:_LONGEST_METHOD]
    if ":scheme" in pseudo:
        found["protocol"] = pseudo[":scheme"].lower()
    if ":path" in pseudo:
        found["path"] = target_text(pseudo[":path"])
        fields = [[name, value.lower() if name == ":scheme" else value] for name, value in pseudo.items()]
        fields += [[name, value] for name, value in raw_headers if name.lower() == "host"]
        found |= _destination(RequestHead(method, pseudo[":path"], "2.0", fields, header_table(fields)), request)
    elif method == "CONNECT" and ":authority" in pseudo:
        found |= _tunnel(pseudo[":authority"])
    return found


def _of_connection(request: FaultyRequest, version: str) -> Record:
    """Return what the connection determines for all its requests."""
    found: Record = {}
    context = request.context
    if version or context.protocol == "https":
        found["protocol"] = context.protocol
    if version:
        found["httpVersion"] = version
    if context.tunnel is not None:
        host, port = context.tunnel
        found["destination"] = {"hostname": host, "port": port or DEFAULT_PORTS[context.protocol]}
    return found


def _destination(head: RequestHead, request: FaultyRequest) -> Record:
    """Return URL, path and destination, if the request or its connection names a host."""
    context, headers = request.context, head.headers
    names_host = headers.get(":authority") or headers.get("host") or _WHOLE_URL.match(head.target)
    if not (names_host or context.tunnel or context.server_name):
        return {}
    target = read_target_uri(head, request.client.local_port, context)
    if isinstance(target, str):
        return {}
    return {
        "protocol": target.protocol,
        "url": target.url,
        "path": target.path,
        "destination": target.destination,
    }


def _tunnel(authority: str) -> Record:
    """Return the destination of a CONNECT."""
    found = _AUTHORITY.fullmatch(authority)
    if found is None or not 0 < int(found[2]) < 65536:
        return {}
    return {"destination": {"hostname": found[1].strip("[]"), "port": int(found[2])}}


def _unfolded(text: str) -> str:
    """Join folded lines: one that begins with a blank continues the field before it (RFC 9112, 5.2), unless it is a
    field itself."""
    return _FOLD.sub(" ", text)


def _read_bytes(raw: bytes, request: FaultyRequest) -> tuple[Record, list[list[str]]]:
    """Return method, target and version, and the header fields, each as far as the bytes look like one."""
    first, *lines = _unfolded(raw.decode("latin-1").replace("\r\n", "\n")).split("\n")
    words = first.split(" ")
    found = _of_connection(request, request.version)
    if len(words) < 2 or not TOKEN_BYTES.fullmatch(words[0].encode("latin-1")):
        return found, []
    raw_headers = [
        [name, value.strip(" \t")] for name, colon, value in (line.partition(":") for line in lines) if colon
    ]
    found["protocol"] = request.context.protocol
    method = words[0]
    found["method"] = method[:_LONGEST_METHOD]
    version = _VERSION.fullmatch(words[-1]) if len(words) > 2 else None
    if version is not None:
        found["httpVersion"] = version[1]
    target = " ".join(words[1:-1]) if version is not None else words[1]
    if method == "CONNECT":
        return found | _tunnel(target), raw_headers
    if _WHOLE_URL.match(target):
        rest = target.partition("://")[2].partition("/")[2]
        found |= {"protocol": target.partition("://")[0].lower(), "path": target_text("/" + rest)}
    elif target:
        found["path"] = target_text(target)
    if target.startswith("/") or _WHOLE_URL.match(target):
        found |= _destination(RequestHead(method, target, "1.1", raw_headers, header_table(raw_headers)), request)
    return found, raw_headers
