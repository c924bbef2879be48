"""A request as it is sent to a server, in either protocol (RFC 9112; RFC 9113, 8.2.3 and 8.3)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mockrec.engine.upstream.errors import unsendable
from mockrec.engine.upstream.headers import without
from mockrec.engine.upstream.route import Route
from mockrec.engine.wire.parts import header_table
from mockrec.engine.wire.urls import DEFAULT_PORTS

if TYPE_CHECKING:
    from mockrec.engine.wire.http1.client import EncodedRequest
    from mockrec.engine.wire.http2.fields import Fields

_PSEUDO = (":method", ":scheme", ":authority", ":path")


@dataclass(slots=True)
class Http2Head:
    """The head of a request for servers that speak HTTP/2, which holds until the request is changed."""

    key: tuple[str, str, str]
    """The method, protocol and target that it was made of."""
    raw_headers: list[list[str]]
    """The fields that it was made of."""
    fields: list[list[str]]
    wire: Fields | None = None
    """The fields as they are encoded."""


@dataclass(slots=True)
class UpstreamRequest:
    """A request without its body."""

    route: Route
    protocol: str
    """`http` or `https`."""
    method: str
    target: str
    """Path and query."""
    raw_headers: list[list[str]]
    """Without pseudo-fields, with `Host`."""
    pseudo: tuple[str, ...] = ()
    """The pseudo-fields of a client that speaks HTTP/2, in its order."""
    odd: bool = False
    """Whether the client has sent field names that are not tokens, and they were accepted (`server.lenient`)."""
    encoded: EncodedRequest | None = field(default=None, compare=False, repr=False)
    """The head as it was sent last by HTTP/1."""
    http2: Http2Head | None = field(default=None, compare=False, repr=False)
    """The head as it was sent last by HTTP/2."""

    @property
    def url(self) -> str:
        """The URL of the request, for people and for proxies."""
        default = self.route.port == DEFAULT_PORTS[self.protocol]
        name = f"[{self.route.name}]" if ":" in self.route.name else self.route.name
        target = "" if self.target == "*" else self.target  # RFC 9112, 3.2.4
        return f"{self.protocol}://{name}{'' if default else f':{self.route.port}'}{target}"

    def for_http1(self) -> list[list[str]]:
        """The fields for a server that speaks HTTP/1: one `Cookie`, which HTTP/2 may split into several (8.2.3), and
        `TE` named by `Connection` (RFC 9110, 10.1.4)."""
        fields = self.raw_headers
        if not self.pseudo:
            return fields
        names = [name.lower() for name, _ in fields]
        if names.count("cookie") > 1:
            cookies = "; ".join(value for name, value in fields if name.lower() == "cookie")
            fields = [*without(fields, "cookie"), ["cookie", cookies]]
        if "te" in names and "connection" not in names:
            fields = [*fields, ["connection", "TE"]]
        return fields

    def for_http2(self) -> list[list[str]]:
        """The fields for a server that speaks HTTP/2: pseudo-fields first, in the client's order, no `Host`, and no
        fields of an HTTP/1 connection (8.2.2). They are shared, and must not be changed. Raises UpstreamError."""
        key, known = (self.method, self.protocol, self.target), self.http2
        if known is None or known.raw_headers is not self.raw_headers or known.key != key:
            known = self.http2 = Http2Head(key, self.raw_headers, self._fields_for_http2())
        return known.fields

    def _fields_for_http2(self) -> list[list[str]]:
        from mockrec.engine.wire.http2.fields import plain_fields

        values = {":method": self.method, ":scheme": self.protocol, ":authority": self.authority, ":path": self.target}
        order = [name for name in self.pseudo if name in values]
        order += [name for name in _PSEUDO if name not in order]
        try:
            fields = plain_fields(without(self.raw_headers, "host"), odd=self.odd)
        except ValueError as error:
            raise unsendable(error) from None
        return [*([name, values[name]] for name in order), *fields]

    def websocket_for_http1(self) -> list[list[str]]:
        """The fields of a WebSocket's opening handshake over HTTP/1 (RFC 6455, 4.1), in the client's order if it speaks
        HTTP/1 too."""
        table = header_table(self.raw_headers)
        if table.get("upgrade", "").lower() == "websocket" and "upgrade" in table.get("connection", "").lower():
            return self.raw_headers
        raw = without(self.raw_headers, "connection", "upgrade")
        return [*raw, ["Connection", "Upgrade"], ["Upgrade", "websocket"]]

    def websocket_for_http2(self) -> list[list[str]]:
        """The fields of a WebSocket's opening handshake over HTTP/2 (RFC 8441, 5). Raises UpstreamError."""
        asked = replace(self, method="CONNECT", raw_headers=without(self.raw_headers, "sec-websocket-key"))
        return [[":protocol", "websocket"], *asked.for_http2()]

    @property
    def authority(self) -> str:
        """The value of `Host`."""
        return next((value for name, value in self.raw_headers if name.lower() == "host"), str(self.route))
