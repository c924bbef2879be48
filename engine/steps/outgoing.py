"""A request as it goes on to a server: where to, with which head, after the changes of the rule."""

from __future__ import annotations

from dataclasses import dataclass

from mockrec.engine.exchange.address import Address
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.rules.model import Forward, Passthrough
from mockrec.engine.rules.urls import DEFAULT_PORTS
from mockrec.engine.steps.transform import TransformError, changed_headers, changed_host, changed_path
from mockrec.engine.upstream.dial import Route
from mockrec.engine.upstream.headers import RawHeaders, end_to_end, with_chunks, with_host, with_length, without
from mockrec.engine.upstream.options import Options

_PLAIN = {"ws": "http", "wss": "https"}


@dataclass(slots=True)
class Outgoing:
    """What the server will be asked."""

    route: Route
    protocol: str
    """`http` or `https`."""
    method: str
    target: str
    """Path and query."""
    raw_headers: list[list[str]]

    @property
    def url(self) -> str:
        """For people."""
        default = self.route.port == DEFAULT_PORTS[self.protocol]
        name = f"[{self.route.name}]" if ":" in self.route.name else self.route.name
        target = "" if self.target == "*" else self.target  # RFC 9112, 3.2.4
        return f"{self.protocol}://{name}{'' if default else f':{self.route.port}'}{target}"


Server = tuple[str, str, int]
"""Protocol, host and port."""


def outgoing(exchange: Exchange, step: Passthrough, options: Options, before: Server | None = None) -> Outgoing:
    """The request without its body. `before`: the server that we stand before, which direct requests are for.

    Raises TransformError.
    """
    address, changes = exchange.address, step.request
    protocol = _PLAIN.get(address.protocol, address.protocol)
    host, port = address.destination["hostname"], address.destination["port"]
    name = address.hostname.strip("[]")
    moved = False
    if isinstance(step, Forward):
        protocol = step.to_protocol or protocol
        host = name = step.to_host
        port = step.to_port or DEFAULT_PORTS[protocol]
        moved = True
    elif before is not None and not address.is_absolute and address.origin.tunnel is None:
        protocol, host, port = before
        name = host
        moved = True
    if protocol not in DEFAULT_PORTS:
        raise TransformError(f"{protocol} is no protocol that can be passed on")
    if changes.protocol is not None:
        wanted = _PLAIN.get(changes.protocol, changes.protocol)
        if port == DEFAULT_PORTS[protocol]:
            port = DEFAULT_PORTS[wanted]
        protocol = wanted
    new_name, new_port = changed_host(name, port, changes)
    if new_name != name or new_port != port:
        host = name = new_name
        port = new_port or DEFAULT_PORTS[protocol]
        moved = True
    authority = f"[{name}]" if ":" in name else name
    if port != DEFAULT_PORTS[protocol]:
        authority += f":{port}"
    update = changes.update_host_header
    if update is None:
        # RFC 9112, 3.2.2: a proxy goes by the URL, whatever Host says beside it.
        update = moved or (address.is_absolute and not _names(address.headers.get("host", ""), address.host))
    raw_headers = with_host(
        _for_servers(address),
        update if isinstance(update, str) else authority,
        replace=bool(update),
    )
    route = Route(protocol == "https", host, port, name, options)
    method = changes.method or exchange.head.method
    raw_headers = changed_headers(raw_headers, changes.headers)
    target = changed_path(address.path.partition("#")[0], changes)  # a fragment is the client's own affair
    return Outgoing(route, protocol, method, target, _framed(exchange, raw_headers))


def _for_servers(address: Address) -> list[list[str]]:
    """The fields without those of this connection, and without a password for us (RFC 9110, 11.7.2)."""
    kept = end_to_end(_for_http1(address.raw_headers))
    return kept if address.origin.tunnel is not None else without(kept, "proxy-authorization")


def _for_http1(raw_headers: RawHeaders) -> RawHeaders:
    """The fields of an HTTP/2 request as HTTP/1 has them: no pseudo-fields, one Cookie (RFC 9113, 8.2.3 and 8.3)."""
    if not raw_headers or not any(name.startswith(":") for name, _ in raw_headers):
        return raw_headers
    cookies = [value for name, value in raw_headers if name == "cookie"]
    kept = [pair for pair in raw_headers if not pair[0].startswith(":") and pair[0] != "cookie"]
    return [*kept, ["cookie", "; ".join(cookies)]] if cookies else kept


def _names(field: str, host: str) -> bool:
    """Whether a Host field means this host; it may be written in capitals or tell the default port."""
    return field.lower().removesuffix(":80").removesuffix(":443") == host.removesuffix(":80").removesuffix(":443")


def _framed(exchange: Exchange, raw_headers: list[list[str]]) -> list[list[str]]:
    """The framing of the body that the client sends, whatever a rule has made of the fields that told it."""
    head = exchange.head
    if head.chunked or (head.has_body and head.content_length is None):
        return with_chunks(raw_headers)
    framing = [value for name, value in raw_headers if name.lower() in ("content-length", "transfer-encoding")]
    length = head.content_length
    if framing == ([] if length is None else [str(length)]):
        return raw_headers
    return (
        without(raw_headers, "content-length", "transfer-encoding")
        if length is None
        else with_length(raw_headers, length)
    )
