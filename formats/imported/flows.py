"""Read a flow file of mitmproxy as a session: its HTTP flows and WebSockets, ordered by time.

Formats 4 to 21 are supported, and older ones that are named after versions (0.10 to 3): in all of them a flow is a
mapping with similar members. TCP, UDP and DNS flows have no exchanges and are left out.
"""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from mockrec.formats.har.fields import iso, mapping
from mockrec.formats.har.spool import LineSpool
from mockrec.formats.imported.session import MAX_PROBLEMS, ImportedExchange, ImportedSession
from mockrec.formats.imported.tnetstring import TnetReader
from mockrec.formats.schema.errors import SessionError

NEWEST = 21
_PORTS = {"http": 80, "https": 443}
_LATEST_SECONDS = 10**11
_UNKEPT = {"comment": "comment", "marked": "mark", "metadata": "metadata"}
_MAX_HELD = 1_000


class Flows:
    """Yields the lines of the session, once. During that, `problems` grows; afterwards `torn` is set."""

    def __init__(self, name: str, chunks: Iterable[bytes], problems: list[str], notes: list[str]) -> None:
        self.torn = ""
        self._name = name
        self._stream = TnetReader(name, chunks)
        self._problems = problems
        self._notes = notes
        self._spool = LineSpool()
        self._session = ImportedSession(self._spool)
        self._left_out: Counter[str] = Counter()
        self._handshakes: dict[str, tuple[int, dict[str, Any]]] = {}
        """Handshakes of WebSockets whose messages come later in the file, by id."""
        self._conversations: dict[str, tuple[int, dict[str, Any]]] = {}
        """Messages of WebSockets whose handshake comes later in the file, by the handshake's id."""

    def __iter__(self) -> Iterator[bytes]:
        try:
            for index, flow in self._stream:
                self._take(index, flow)
            for index, flow in self._handshakes.values():
                self._add(index, flow)
            for index, _ in self._conversations.values():
                self._report(f"flow {index} is left out: the handshake of this WebSocket is not in the file")
            self.torn = self._stream.torn
            for kind, count in sorted(self._left_out.items()):
                self._report(_sentence(kind, count))
            self._problems += self._session.repairs.lost()
            self._notes += self._session.repairs.repaired()
            self._session.add_member("creator", {"name": "mitmproxy"})
            yield from self._session.records(cut_off=bool(self.torn))
        finally:
            self._spool.close()

    def _take(self, index: int, flow: Any) -> None:
        if not isinstance(flow, dict):
            self._report(f"flow {index} is left out: it is no mapping")
            return
        version = flow.get("version")
        if isinstance(version, int) and version > NEWEST:
            raise SessionError(
                self._name, f"flow {index} has mitmproxy's flow format {version}, this mockrec reads up to {NEWEST}"
            )
        kind, metadata = _text(flow.get("type")) or "http", mapping(flow.get("metadata"))
        if kind == "websocket":
            self._join(self._handshakes, self._conversations, _text(metadata.get("websocket_handshake")), index, flow)
        elif kind != "http":
            self._left_out[kind] += 1
        elif metadata.get("websocket") and not flow.get("websocket"):
            self._join(self._conversations, self._handshakes, _text(flow.get("id")), index, flow)
        else:
            self._add(index, flow)

    def _join(
        self,
        others: dict[str, tuple[int, dict[str, Any]]],
        waiting: dict[str, tuple[int, dict[str, Any]]],
        identity: str,
        index: int,
        flow: dict[str, Any],
    ) -> None:
        """Join the handshake of a WebSocket and its messages: in formats before 12 they are two flows, in any order."""
        other = others.pop(identity, None)
        if other is None:
            waiting[identity] = index, flow
            if len(waiting) > _MAX_HELD:
                identity = next(iter(waiting))
                index, flow = waiting.pop(identity)
                if flow.get("request"):
                    self._add(index, flow)
                else:
                    self._report(f"flow {index} is left out: the handshake of this WebSocket is not near it")
            return
        handshake, messages = (flow, other[1]) if others is self._conversations else (other[1], flow)
        by_client = _text(messages.get("close_sender")) == "client"
        self._add(min(index, other[0]), {**handshake, "websocket": {**messages, "closed_by_client": by_client}})

    def _add(self, index: int, flow: dict[str, Any]) -> None:
        try:
            self._session.add_exchange(index, f"flow {index}", exchange_of(flow))
        except ValueError as error:
            self._report(f"flow {index} is left out: {error}")
            return
        for key, noun in _UNKEPT.items():
            if flow.get(key) and not (key == "metadata" and set(mapping(flow[key])) <= {"websocket"}):
                self._left_out[f"of {noun}"] += 1
        if any(len(one) > 4 and one[4] for one in _messages(flow)):
            self._left_out["of dropped"] += 1

    def _report(self, problem: str) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(problem[:300])


def _sentence(kind: str, count: int) -> str:
    if not kind.startswith("of "):
        flows = f"{count} {kind[:20]} flow{'' if count == 1 else 's'}"
        return f"{flows} left out: a session has exchanges of HTTP and WebSockets"
    of = f"of {count} flow{'' if count == 1 else 's'}"
    if kind == "of dropped":
        return f"messages {of} were dropped by mitmproxy; they are kept as if they had been passed on"
    return f"the {kind.removeprefix('of ')} {of} is not kept"


def exchange_of(flow: dict[str, Any]) -> ImportedExchange:
    """Convert an HTTP flow, perhaps with a WebSocket's messages. Raises `ValueError` if it cannot be converted."""
    request, response = flow.get("request"), mapping(flow.get("response"))
    if not isinstance(request, dict):
        raise ValueError("it has no request")
    client, error = mapping(flow.get("client_conn")), mapping(flow.get("error"))
    start = _seconds(request.get("timestamp_start")) or _seconds(flow.get("timestamp_created")) or 0.0
    request_end = max(start, _seconds(request.get("timestamp_end")) or start)
    response_start = max(request_end, _seconds(response.get("timestamp_start")) or request_end)
    ended = _seconds(response.get("timestamp_end")) or _seconds(error.get("timestamp"))
    entry: dict[str, Any] = {
        "startedDateTime": iso(start * 1000, digits=6),
        "time": (max(response_start, ended or response_start) - start) * 1000,
        "timings": {"send": (request_end - start) * 1000, "wait": (response_start - request_end) * 1000},
        "request": {
            "method": _text(request.get("method")) or "GET",
            "url": _url(request),
            "httpVersion": _version(request),
            "headers": _headers(request.get("headers")),
            "_trailers": _headers(request.get("trailers")),
        },
        "response": _response(response),
        **_client(client),
    }
    if error or not response:
        entry["_error"] = {"message": _text(error.get("msg")) or "the recording has no answer"}
    if isinstance(flow.get("websocket"), dict):
        entry |= _websocket(flow["websocket"], _messages(flow))
    content = response.get("content")
    missing = bool(response) and content is None and _text(request.get("method")) != "HEAD"
    return ImportedExchange(
        entry, _content(request), _content(response), missing and entry["response"]["status"] >= 200
    )


def _response(response: Any) -> dict[str, Any]:
    if not response:
        return {}
    status = response.get("status_code", response.get("code"))
    if type(status) is not int or not 100 <= status <= 999:
        raise ValueError(f"its status is no status: {status!r:.40}")
    return {
        "status": status,
        "statusText": _text(response.get("reason", response.get("msg"))),
        "headers": _headers(response.get("headers")),
        "_trailers": _headers(response.get("trailers")),
    }


def _client(client: Any) -> dict[str, Any]:
    address = client.get("peername") or client.get("address")
    if isinstance(address, dict):  # before format 5
        address = address.get("address")
    made: dict[str, Any] = {}
    if isinstance(address, list) and len(address) >= 2 and _text(address[0]):
        made = {"_clientIPAddress": _text(address[0]), "_clientPort": address[1]}
    if _text(client.get("id")):
        made["_connectionId"] = _text(client["id"])
    return made


def _url(request: dict[str, Any]) -> str:
    """Return the URL as mitmproxy shows it: with the host from the request, because a transparent proxy knows only the
    address."""
    scheme, host, port = _text(request.get("scheme")) or "http", _text(request.get("host")), request.get("port")
    path = _text(request.get("path")) or "/"
    named = next((one["value"] for one in _headers(request.get("headers")) if one["name"].lower() == "host"), "")
    named = _text(request.get("authority")) or named
    if named and _text(request.get("method")) != "CONNECT":
        host = named.rpartition(":")[0] if named.rpartition(":")[2].isdigit() else named
    if not host:
        raise ValueError("it has no host")
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    default = type(port) is not int or port == _PORTS.get(scheme)
    return f"{scheme}://{host}{'' if default else f':{port}'}{path if path.startswith('/') else '/'}"


def _version(message: dict[str, Any]) -> str:
    old = message.get("httpversion")
    if isinstance(old, list) and len(old) == 2:
        return f"HTTP/{old[0]}.{old[1]}"
    return _text(message.get("http_version")) or "HTTP/1.1"


def _headers(listed: Any) -> list[dict[str, str]]:
    pairs = listed if isinstance(listed, list) else []
    return [
        {"name": _wire(pair[0]), "value": _wire(pair[1])}
        for pair in pairs
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(one, (bytes, str)) for one in pair)
    ]


def _content(message: Any) -> bytes:
    content = message.get("content")
    if isinstance(content, str):
        return content.encode("utf-8", "replace")
    return content if isinstance(content, bytes) else b""


# ── WebSockets ─────────────────────────────────────────────────────────────────────────────────────


def _messages(flow: dict[str, Any]) -> list[list[Any]]:
    """Return the messages of a WebSocket, each `[opcode, from the client, content, seconds, …]`."""
    listed = mapping(flow.get("websocket")).get("messages")
    return [one for one in listed if isinstance(one, list) and len(one) >= 4] if isinstance(listed, list) else []


def _websocket(websocket: dict[str, Any], messages: list[list[Any]]) -> dict[str, Any]:
    listed = []
    for opcode, from_client, content, moment, *_ in messages:
        binary = opcode == 2
        data = content.encode("utf-8", "replace") if isinstance(content, str) else content
        data = data if isinstance(data, bytes) else b""
        listed.append(
            {
                "type": "send" if from_client else "receive",
                "time": _seconds(moment) or 0,
                "opcode": 2 if binary else 1,
                "data": base64.b64encode(data).decode("ascii") if binary else data.decode("utf-8", "replace"),
            }
        )
    close = {
        "code": websocket.get("close_code"),
        "reason": _text(websocket.get("close_reason")),
        "timestamp": _seconds(websocket.get("timestamp_end")) or 0,
    }
    return {"_resourceType": "websocket", "_webSocketMessages": listed, "_webSocketClose": close}


# ── values ─────────────────────────────────────────────────────────────────────────────────────────


def _text(value: Any) -> str:
    """Return a text, which old formats store as bytes."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def _wire(value: bytes | str) -> str:
    """Return a field's name or value as in the log: one character for each byte."""
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _seconds(value: Any) -> float | None:
    good = type(value) in (int, float) and math.isfinite(value) and 0 < value < _LATEST_SECONDS
    return float(value) if good else None
