"""What can be told of a request that was not understood, from the bytes or fields that came (`client-error`).

Nothing is made up: what is not certain is left out, and the bytes themselves are in `rawHead`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.message.target_uri import PLAIN, ConnectionContext, read_address
from mockrec.engine.recording.body_encoder import BodyLogger
from mockrec.engine.redaction.secret_scope import SecretScope
from mockrec.engine.wire.http1.request_head import target_text
from mockrec.engine.wire.parts import Fault, RawHeaders, RequestHead, header_table
from mockrec.engine.wire.syntax import TOKEN_BYTES
from mockrec.engine.wire.urls import DEFAULT_PORTS

if TYPE_CHECKING:
    from mockrec.engine.exchange.exchange import Exchange

_LONGEST_METHOD = 15
_FOLD = re.compile(r"(?<=.)\n[ \t]++(?![^\s:]++[ \t]*+:)(?=.)")
_VERSION = re.compile(r"HTTP/([0-9][0-9.]{0,7})")
_WHOLE_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:@\[\]/?#\s]+):([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Broken:
    """What is known of a request that is at fault."""

    id: str
    """Of the record."""
    peer: ClientConnection
    fault: Fault
    origin: ConnectionContext = PLAIN
    """Of the connection that it came on."""
    version: str = ""
    """Of HTTP, where the connection speaks only one."""
    exchange: Exchange | None = None
    """The exchange that was broken, if there was one."""


def partial_request(
    broken: Broken, bodies: BodyLogger, timing: Mapping[str, Any], tags: Sequence[str], owner: SecretScope | None = None
) -> dict[str, Any]:
    """The `request` of a client-error: of the exchange that was broken, or as much as the fault shows.

    What is found to be secret in the bytes is remembered by `owner`: other fields of the record repeat it.
    """
    peer, fault, exchange = broken.peer, broken.fault, broken.exchange
    record: dict[str, Any] = {"id": broken.id}
    if exchange is not None:
        address = exchange.address
        record |= {
            "protocol": address.protocol,
            "httpVersion": exchange.head.version,
            "method": exchange.head.method,
            "url": address.url,
            "path": address.path,
            "destination": address.destination,
        }
        raw_headers = address.raw_headers
    elif fault.raw_headers:
        raw_headers = [list(pair) for pair in fault.raw_headers]
        record |= _read_fields(raw_headers, broken)
    else:
        found, raw_headers = _read(fault.raw, broken)
        record |= found
    if raw_headers:
        record["headers"] = header_table(raw_headers)
    record["rawHeaders"] = raw_headers
    record["remoteIpAddress"] = peer.ip
    record["remotePort"] = peer.port
    record["timingEvents"] = timing
    record["tags"] = tags
    if peer.tls:
        record["tlsMetadata"] = peer.tls
    if fault.raw:
        record["rawHead"] = bodies.head(fault.raw, owner)
    return record


def _read_fields(raw_headers: RawHeaders, broken: Broken) -> dict[str, Any]:
    """What the pseudo-headers of HTTP/2 tell, the first of each; a CONNECT has no path (RFC 9113, 8.5)."""
    pseudo: dict[str, str] = {}
    for name, value in raw_headers:
        if name.startswith(":"):
            pseudo.setdefault(name, value)
    found = _of_connection(broken, "2.0")
    method = pseudo.get(":method", "")
    if method:
        found["method"] = method[:_LONGEST_METHOD]
    if ":scheme" in pseudo:
        found["protocol"] = pseudo[":scheme"].lower()
    if ":path" in pseudo:
        found["path"] = target_text(pseudo[":path"])
        fields = [[name, value.lower() if name == ":scheme" else value] for name, value in pseudo.items()]
        fields += [[name, value] for name, value in raw_headers if name.lower() == "host"]
        found |= _whole(RequestHead(method, pseudo[":path"], "2.0", fields, header_table(fields)), broken)
    elif method == "CONNECT" and ":authority" in pseudo:
        found |= _tunnel(pseudo[":authority"])
    return found


def _of_connection(broken: Broken, version: str) -> dict[str, Any]:
    """What the connection tells of all requests on it."""
    found: dict[str, Any] = {}
    origin = broken.origin
    if version or origin.protocol == "https":
        found["protocol"] = origin.protocol
    if version:
        found["httpVersion"] = version
    if origin.tunnel is not None:
        host, port = origin.tunnel
        found["destination"] = {"hostname": host, "port": port or DEFAULT_PORTS[origin.protocol]}
    return found


def _whole(head: RequestHead, broken: Broken) -> dict[str, Any]:
    """URL, path and destination of a request that says where it was meant to go."""
    origin, headers = broken.origin, head.headers
    names_host = headers.get(":authority") or headers.get("host") or _WHOLE_URL.match(head.target)
    if not (names_host or origin.tunnel or origin.server_name):
        return {}
    address = read_address(head, broken.peer.local_port, origin)
    if isinstance(address, str):
        return {}
    return {
        "protocol": address.protocol,
        "url": address.url,
        "path": address.path,
        "destination": address.destination,
    }


def _tunnel(authority: str) -> dict[str, Any]:
    """Where a CONNECT was meant to lead."""
    found = _AUTHORITY.fullmatch(authority)
    if found is None or not 0 < int(found[2]) < 65536:
        return {}
    return {"destination": {"hostname": found[1].strip("[]"), "port": int(found[2])}}


def _unfolded(text: str) -> str:
    """A line that begins with a blank goes on with the field before it (RFC 9112, 5.2), unless it is a field itself."""
    return _FOLD.sub(" ", text)


def _read(raw: bytes, broken: Broken) -> tuple[dict[str, Any], list[list[str]]]:
    """Method, target, version and header fields, each as far as the text looks like one."""
    first, *lines = _unfolded(raw.decode("latin-1").replace("\r\n", "\n")).split("\n")
    words = first.split(" ")
    found = _of_connection(broken, broken.version)
    if len(words) < 2 or not TOKEN_BYTES.fullmatch(words[0].encode("latin-1")):
        return found, []
    raw_headers = [
        [name, value.strip(" \t")] for name, colon, value in (line.partition(":") for line in lines) if colon
    ]
    found["protocol"] = broken.origin.protocol
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
        found |= _whole(RequestHead(method, target, "1.1", raw_headers, header_table(raw_headers)), broken)
    return found, raw_headers
