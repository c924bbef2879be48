"""What can be told of a request that was not understood, from the bytes or fields that came (`client-error`)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mockrec.engine.exchange.channel import Peer
from mockrec.engine.exchange.ids import new_id
from mockrec.engine.exchange.logged import BodyLogger
from mockrec.engine.record.redact import Knows
from mockrec.engine.wire.parts import Fault, RawHeaders, header_table

if TYPE_CHECKING:
    from mockrec.engine.exchange.exchange import Exchange

_LONGEST_METHOD = 15
_FOLD = re.compile(r"(?<=.)\n[ \t]++(?![^\s:]++[ \t]*+:)(?=.)")


def partial_request(
    peer: Peer,
    fault: Fault,
    exchange: Exchange | None,
    bodies: BodyLogger,
    timing: Mapping[str, Any],
    tags: Sequence[str],
    owner: Knows | None = None,
) -> dict[str, Any]:
    """The `request` of a client-error: of the exchange that was broken, or as much as `fault` shows.

    What is found to be secret in the bytes is remembered by `owner`: other fields of the record repeat it.
    """
    record: dict[str, Any] = {"id": exchange.id if exchange is not None else new_id()}
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
        record |= _read_fields(raw_headers)
    else:
        found, raw_headers = _read(fault.raw)
        record |= found
    if raw_headers:
        record["headers"] = header_table(raw_headers)
    record["rawHeaders"] = raw_headers
    record["remoteIpAddress"] = peer.ip
    record["remotePort"] = peer.port
    record["timingEvents"] = timing
    record["tags"] = tags
    if fault.raw:
        record["rawHead"] = bodies.head(fault.raw, owner)
    return record


def _read_fields(raw_headers: RawHeaders) -> dict[str, Any]:
    """What the pseudo-headers of HTTP/2 tell, the first of each; a CONNECT has no path (RFC 9113, 8.5)."""
    pseudo: dict[str, str] = {}
    for name, value in raw_headers:
        if name.startswith(":"):
            pseudo.setdefault(name, value)
    found: dict[str, Any] = {"httpVersion": "2.0"}
    if ":method" in pseudo:
        found["method"] = pseudo[":method"][:_LONGEST_METHOD]
    if ":scheme" in pseudo:
        found["protocol"] = pseudo[":scheme"].lower()
    if ":path" in pseudo:
        found["path"] = pseudo[":path"]
        if ":scheme" in pseudo and ":authority" in pseudo:
            found["url"] = f"{found['protocol']}://{pseudo[':authority']}{pseudo[':path']}"
    return found


def _unfolded(text: str) -> str:
    """A line that begins with a blank goes on with the field before it (RFC 9112, 5.2), unless it is a field itself."""
    return _FOLD.sub(" ", text)


def _read(raw: bytes) -> tuple[dict[str, Any], list[list[str]]]:
    """Method, target, version and header fields, each as far as the text looks like one."""
    first, *lines = _unfolded(raw.decode("latin-1").replace("\r\n", "\n")).split("\n")
    words = first.split(" ")
    found: dict[str, Any] = {}
    if len(words) < 2:
        return found, []
    raw_headers = [
        [name, value.strip(" \t")] for name, colon, value in (line.partition(":") for line in lines) if colon
    ]
    found["method"] = words[0][:_LONGEST_METHOD]
    target = words[1]
    if len(words) > 2 and words[-1].startswith("HTTP/"):
        found["httpVersion"] = words[-1][5:]
        target = " ".join(words[1:-1])
    host = next((value for name, value in raw_headers if name.lower() == "host"), "")
    path = target if target.startswith("/") or "://" in target else f"/{target}"
    if "://" in path:
        found["protocol"] = path.partition("://")[0].lower()
        found["url"] = path
        path = "/" + path.partition("://")[2].partition("/")[2]
    else:
        found["protocol"] = "http"
        if host:
            found["url"] = f"http://{host}{path}"
    found["path"] = path
    return found, raw_headers
