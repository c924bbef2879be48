"""A request as it is passed on to a server: the route and the head, after the changes of the rule."""

from __future__ import annotations

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.target_uri import TargetUri
from mockrec.engine.offload.pool import Helpers
from mockrec.engine.rules.model import Forward, Passthrough
from mockrec.engine.steps.offloaded import in_helper, replaces_quickly
from mockrec.engine.steps.transform import TransformError, changed_headers, changed_host, changed_path
from mockrec.engine.upstream.headers import end_to_end, with_chunks, with_host, with_length, with_upgrade, without
from mockrec.engine.upstream.options import UpstreamOptions
from mockrec.engine.upstream.protocols import offered
from mockrec.engine.upstream.request import UpstreamRequest
from mockrec.engine.upstream.route import Route
from mockrec.engine.wire.syntax import FRAMING_NAMES
from mockrec.engine.wire.urls import DEFAULT_PORTS

_PLAIN = {"ws": "http", "wss": "https"}


Server = tuple[str, str, int]
"""Protocol, host and port."""


class _Kept:
    """The request that became of a client's head. Clients send equal heads again and again, which are one object
    then."""

    __slots__ = ("options", "request", "reverse_target", "step")

    def __init__(
        self, step: Passthrough, options: UpstreamOptions, reverse_target: Server | None, request: UpstreamRequest
    ) -> None:
        self.step = step
        self.options = options
        self.reverse_target = reverse_target
        self.request = request


async def request_for_server(
    exchange: Exchange,
    step: Passthrough,
    options: UpstreamOptions,
    reverse_target: Server | None = None,
    helpers: Helpers | None = None,
) -> UpstreamRequest:
    """The request as `build_request` makes it, but once for equal heads of clients. One whose fields or body a rule
    changes later is always made anew."""
    if exchange.edited is not None or exchange.websocket or step.request.body is not None:
        return await build_request(exchange, step, options, reverse_target, helpers)
    kept = exchange.target.passed_on
    if (
        isinstance(kept, _Kept)
        and kept.step is step
        and kept.options is options
        and kept.reverse_target == reverse_target
    ):
        return kept.request
    request = await build_request(exchange, step, options, reverse_target, helpers)
    exchange.target.passed_on = _Kept(step, options, reverse_target, request)
    return request


async def build_request(
    exchange: Exchange,
    step: Passthrough,
    options: UpstreamOptions,
    reverse_target: Server | None = None,
    helpers: Helpers | None = None,
) -> UpstreamRequest:
    """The request without its body. `reverse_target`: the server that direct requests are for; `helpers` replace
    patterns where that could take long.

    Raises TransformError and TooLong.
    """
    address, changes = exchange.effective_target, step.request
    protocol = _PLAIN.get(address.protocol, address.protocol)
    host, port = address.destination["hostname"], address.destination["port"]
    name = address.hostname.strip("[]")
    moved = False
    if isinstance(step, Forward):
        protocol = step.to_protocol or protocol
        host = name = step.to_host
        port = step.to_port or DEFAULT_PORTS[protocol]
        moved = True
    elif reverse_target is not None and not address.is_absolute and address.context.tunnel is None:
        protocol, host, port = reverse_target
        name = host
        moved = True
    if protocol not in DEFAULT_PORTS:
        raise TransformError(f"{protocol} is no protocol that can be passed on")
    if changes.protocol is not None:
        wanted = _PLAIN.get(changes.protocol, changes.protocol)
        if port == DEFAULT_PORTS[protocol]:
            port = DEFAULT_PORTS[wanted]
        protocol = wanted
    if helpers is None or replaces_quickly(changes.match_replace_host, name):
        new_name, new_port = changed_host(name, port, changes)
    else:
        where = f"{step.place.where}.request.matchReplaceHost"
        new_name, new_port = await in_helper(
            exchange, helpers, "matchReplaceHost", where, changed_host, name, port, changes
        )
    if new_name != name or new_port != port:
        host = name = new_name
        port = new_port or DEFAULT_PORTS[protocol]
        moved = True
    authority = f"[{name}]" if ":" in name else name
    if port != DEFAULT_PORTS[protocol]:
        authority += f":{port}"
    update = changes.update_host_header
    if update is None and exchange.edited is not None and exchange.edited.keeps_host:
        update = False
    if update is None:
        # A proxy obeys the URL, whatever Host says (RFC 9112, 3.2.2), or :authority (RFC 9113, 8.3.1).
        update = moved or (
            (address.is_absolute or bool(address.headers.get(":authority")))
            and not _names(address.headers.get("host", ""), address.host)
        )
    raw_headers = with_host(
        _for_servers(address, upgrades=exchange.websocket),
        update if isinstance(update, str) else authority,
        replace=bool(update),
    )
    pseudo = tuple(name for name, _ in address.raw_headers if name.startswith(":"))
    secure = protocol == "https"
    alpn = offered(
        options.settings.http2,
        secure=secure,
        http2=bool(pseudo),
        in_the_clear=address.context.protocol == "http",
        websocket=exchange.websocket,
    )
    route = Route(secure, host, port, name, options, alpn)
    method = changes.method or exchange.effective_method
    raw_headers = changed_headers(raw_headers, changes.headers)
    target = address.target.partition("#")[0]  # a fragment is not sent (RFC 9110, 7.1)
    if helpers is None or replaces_quickly(changes.match_replace_path + changes.match_replace_query, target):
        target = changed_path(target, changes)
    else:
        key = "matchReplacePath" if changes.match_replace_path else "matchReplaceQuery"
        where = f"{step.place.where}.request.{key}"
        target = await in_helper(exchange, helpers, key, where, changed_path, target, changes)
    return UpstreamRequest(
        route, protocol, method, target, _framed(exchange, raw_headers), odd=bool(exchange.head.odd), pseudo=pseudo
    )


def _for_servers(address: TargetUri, *, upgrades: bool) -> list[list[str]]:
    """The fields without those of this connection, and without the credentials for this proxy (RFC 9110, 11.7.2)."""
    fields = [pair for pair in address.raw_headers if not pair[0].startswith(":")]
    kept = with_upgrade(fields) if upgrades else end_to_end(fields)
    return kept if address.context.tunnel is not None else without(kept, "proxy-authorization")


def _names(field: str, host: str) -> bool:
    """Whether a Host field names this host, in any case of letters, with or without the default port."""
    return field.lower().removesuffix(":80").removesuffix(":443") == host.removesuffix(":80").removesuffix(":443")


def _framed(exchange: Exchange, raw_headers: list[list[str]]) -> list[list[str]]:
    """The fields with the framing of the body that the client sends, whatever a rule has made of the framing fields."""
    head = exchange.head
    if exchange.edited is not None and exchange.edited.body is not None:
        return with_length(raw_headers, len(exchange.edited.body))
    if exchange.websocket:
        return without(raw_headers, *FRAMING_NAMES)  # frames follow, not a body
    if head.chunked or (head.has_body and head.content_length is None):
        return with_chunks(raw_headers)
    framing = [value for name, value in raw_headers if name.lower() in FRAMING_NAMES]
    length = head.content_length
    if framing == ([] if length is None else [str(length)]):
        return raw_headers
    return without(raw_headers, *FRAMING_NAMES) if length is None else with_length(raw_headers, length)
