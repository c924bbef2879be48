"""The targets of recorded requests: the server for each recorded host, and the head that it gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mockrec.engine.replay.session.editable import EditableRequest
from mockrec.engine.replay.session.origin import host_of
from mockrec.engine.upstream.headers import end_to_end, with_chunks, with_host, with_length, without
from mockrec.engine.upstream.options import UpstreamOptions
from mockrec.engine.upstream.protocols import offered
from mockrec.engine.upstream.request import UpstreamRequest
from mockrec.engine.upstream.route import Route
from mockrec.engine.wire.request_line import sent_target
from mockrec.engine.wire.syntax import FRAMING_NAMES
from mockrec.engine.wire.urls import DEFAULT_PORTS
from mockrec.formats.content import codings as content
from mockrec.formats.text.hostnames import to_ascii

_PLAIN = {"ws": "http", "wss": "https"}
_PSEUDO = (":method", ":scheme", ":authority", ":path")

Server = tuple[str, str, int]
"""Protocol, host and port."""


@dataclass(frozen=True, slots=True)
class Targets:
    """The servers of a replay."""

    servers: Mapping[str, Server]
    """Recorded host, with or without its port → server; `""` → the server for all other hosts, if there is one."""
    options: UpstreamOptions
    keep_host: bool = False

    def server_for(self, record: Mapping[str, Any]) -> Server | None:
        """The server for a recorded request; None if no server is mapped to its host."""
        host, hostname = host_of(record)
        servers = self.servers
        return servers.get(host) or servers.get(hostname) or servers.get("")


def outgoing(
    record: Mapping[str, Any], draft: EditableRequest, server: Server, targets: Targets
) -> tuple[UpstreamRequest, bytes]:
    """The request as it is sent, and its body on the wire. Raises ValueError if it cannot be sent."""
    protocol, host, port = server
    headers = [pair for pair in draft.raw_headers if not pair[0].startswith(":")]
    recorded_http2 = str(record.get("httpVersion") or "").startswith("2")
    pseudo: tuple[str, ...] = ()
    if recorded_http2:
        pseudo = tuple(name for name, _ in draft.raw_headers if name.startswith(":")) or _PSEUDO
        authority = next((value for name, value in draft.raw_headers if name == ":authority"), "")
        if authority:
            headers = with_host(headers, authority, replace=False)
    name = f"[{host}]" if ":" in host else host
    own = name if port == DEFAULT_PORTS[protocol] else f"{name}:{port}"
    headers = with_host(end_to_end(headers), own, replace=not targets.keep_host)
    headers = [[field, _sent_value(value)] for field, value in headers]
    websocket = record["type"] == "websocket-request"
    secure = protocol == "https"
    alpn = offered(
        targets.options.settings.http2,
        secure=secure,
        http2=recorded_http2,
        in_the_clear=str(record.get("url") or "").startswith("http:"),
        websocket=websocket,
    )
    route = Route(secure, host, port, host, targets.options, alpn)
    body = b"" if websocket else wire_body(draft)
    return UpstreamRequest(
        route, protocol, draft.method, sent_target(draft.target), _framed(draft, headers, body), pseudo
    ), body


def _sent_value(text: str) -> str:
    """The value of a field as it is sent: text that is not Latin-1 is sent as UTF-8, as browsers do."""
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape").decode("latin-1")
    return text


def wire_body(draft: EditableRequest) -> bytes:
    """The body with its content coding. Raises ValueError for an unknown coding."""
    if draft.wire is not None:
        return draft.wire
    codings = content.codings_of(draft.encoding) if draft.encoding and draft.body else []
    return content.encode(draft.body, codings) if codings else draft.body


def _framed(draft: EditableRequest, headers: list[list[str]], body: bytes) -> list[list[str]]:
    """The fields with the framing that the client has used, and the length of the body as it is now."""
    named = {name.lower() for name, _ in headers}
    if "transfer-encoding" in named:
        return with_chunks(headers)
    if body or "content-length" in named:
        return with_length(headers, len(body))
    return headers


def parse_to(texts: Sequence[str], parse_url: Any) -> dict[str, Server]:
    """`[HOST=]URL`, several times → `Targets.servers`. Raises ValueError, and what `parse_url` raises."""
    servers: dict[str, Server] = {}
    for text in texts:
        host, mark, url = text.partition("=")
        if not mark or "/" in host:
            host, url = "", text
        name, colon, port = host.strip().partition(":")
        host = f"{to_ascii(name)}{colon}{port}"  # as URLs have it
        if host in servers:
            raise ValueError(f"{host or 'all other hosts'}: given twice")
        servers[host] = parse_url(url)
    return servers


def without_framing(raw_headers: Sequence[Sequence[str]]) -> list[list[str]]:
    """The fields of a message without those of its connection and its framing."""
    return without(end_to_end([pair for pair in raw_headers if not pair[0].startswith(":")]), *FRAMING_NAMES)
