"""Changes of a request for later rules and servers: later rules are matched against it, and it is passed on."""

from __future__ import annotations

from mockrec.engine.exchange.edited import EditedRequest
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.target_uri import TargetUri, edited_target_uri
from mockrec.engine.offload.pool import Helpers
from mockrec.engine.rules.model import BodyChange, RequestChanges
from mockrec.engine.steps.message_change import body_after, too_long, with_type
from mockrec.engine.steps.offloaded import in_helper, replaces_quickly
from mockrec.engine.steps.transform import TransformError, changed_headers, changed_host, changed_path
from mockrec.engine.upstream.client import UpstreamClient
from mockrec.engine.upstream.headers import with_length
from mockrec.engine.wire.syntax import FRAMING_NAMES
from mockrec.engine.wire.urls import DEFAULT_PORTS

_PLAIN = {"ws": "http", "wss": "https"}
_SOCKETS = {"http": "ws", "https": "wss"}


def needs_body(change: BodyChange | None) -> bool:
    """Whether the new body depends on the old one."""
    return change is not None and change.data is None and change.file is None


async def edited_request(
    exchange: Exchange,
    changes: RequestChanges,
    place: str,
    upstream_client: UpstreamClient,
    new_path: str | None = None,
) -> EditedRequest:
    """The request after these changes; `new_path` is another path with its query. Raises TransformError and TooLong.

    The client's body has to be complete if a change needs it (`needs_body`); `place` is the step's.
    """
    before = exchange.edited
    address, helpers = exchange.effective_target, upstream_client.helpers
    where = f"{place}.request"
    protocol, hostname, port = await _server(exchange, address, changes, helpers, where)
    moved = (hostname, port) != (address.hostname.strip("[]"), address.port)
    path = address.path if new_path is None else new_path
    if helpers is None or replaces_quickly(changes.match_replace_path + changes.match_replace_query, path):
        path = changed_path(path, changes)
    else:
        key = "matchReplacePath" if changes.match_replace_path else "matchReplaceQuery"
        path = await in_helper(exchange, helpers, key, f"{where}.{key}", changed_path, path, changes)
    fields = _with_server(address, changes, hostname, port, protocol, moved=moved)
    fields = _changed_fields(fields, changes)
    method = changes.method or exchange.effective_method
    body = None if before is None else before.body
    if changes.body is not None:
        body = await _changed_body(exchange, changes.body, fields, upstream_client, where)
        fields = with_type(with_length(fields, len(body)), changes.body)
    update = changes.update_host_header
    keeps = update is False or isinstance(update, str) or (before is not None and before.keeps_host and not moved)
    edits = 1 if before is None else before.edits + 1
    new = edited_target_uri(address, protocol, hostname, port, path, fields, moved=moved)
    return EditedRequest(method, new, body, keeps, edits)


async def _server(
    exchange: Exchange, address: TargetUri, changes: RequestChanges, helpers: Helpers | None, where: str
) -> tuple[str, str, int]:
    """Protocol, host (an IPv6 address without brackets) and port."""
    protocol, hostname, port = address.protocol, address.hostname.strip("[]"), address.port
    if changes.protocol is not None:
        default = DEFAULT_PORTS.get(protocol)
        protocol = _SOCKETS[changes.protocol] if exchange.websocket else _PLAIN.get(changes.protocol, changes.protocol)
        port = DEFAULT_PORTS[protocol] if port == default else port
    if helpers is None or replaces_quickly(changes.match_replace_host, hostname):
        name, new_port = changed_host(hostname, port, changes)
    else:
        key = "matchReplaceHost"
        name, new_port = await in_helper(
            exchange, helpers, key, f"{where}.{key}", changed_host, hostname, port, changes
        )
    return protocol, name, new_port or DEFAULT_PORTS[protocol]


def _with_server(
    address: TargetUri, changes: RequestChanges, hostname: str, port: int, protocol: str, *, moved: bool
) -> list[list[str]]:
    """The fields, with `Host` and `:authority` naming the new server unless the rule says otherwise."""
    update = changes.update_host_header
    if update is False or not (moved or isinstance(update, str)):
        return [list(pair) for pair in address.raw_headers]
    named = f"[{hostname}]" if ":" in hostname else hostname
    if port != DEFAULT_PORTS[protocol]:
        named += f":{port}"
    if isinstance(update, str):
        named = update
    return [[name, named if name.lower() in ("host", ":authority") else value] for name, value in address.raw_headers]


def _changed_fields(fields: list[list[str]], changes: RequestChanges) -> list[list[str]]:
    """The fields after their changes; pseudo-fields and framing fields are not changed."""
    pseudo = [pair for pair in fields if pair[0].startswith(":")]
    plain = [pair for pair in fields if not pair[0].startswith(":")]
    framing = [pair for pair in plain if pair[0].lower() in FRAMING_NAMES]
    changed = [pair for pair in changed_headers(plain, changes.headers) if pair[0].lower() not in FRAMING_NAMES]
    return [*pseudo, *changed, *framing] if changed != plain else fields


async def _changed_body(
    exchange: Exchange, change: BodyChange, fields: list[list[str]], upstream_client: UpstreamClient, where: str
) -> bytes:
    original, limit = b"", upstream_client.body_limit
    if needs_body(change):
        edited = exchange.edited
        if edited is not None and edited.body is not None:
            original = edited.body
        elif exchange.request_body.size > limit:
            raise TransformError(too_long("request", exchange.request_body.size, limit))
        else:
            original = exchange.request_body.kept
    encoding = exchange.effective_target.headers.get("content-encoding", "")
    return await body_after(exchange, original, encoding, fields, change, upstream_client, where)
