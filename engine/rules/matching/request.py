"""The view of a request that rules, templates and the user's handlers get.

Each request has one, so the constructor does next to nothing: everything beyond the path is computed at its first use,
and cached.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from mockrec.engine.wire.multipart import Part, header_parameter, parse_multipart
from mockrec.engine.wire.urls import DEFAULT_PORTS, normal_path
from mockrec.formats.text.charsets import codec_of
from mockrec.formats.text.json import parse

if TYPE_CHECKING:
    from mockrec.engine.rules.matching.deferral import Deferral

NO_PARAMS: Mapping[str, str] = MappingProxyType({})
FORM_TYPE = "application/x-www-form-urlencoded"

_NOT_READ: Any = object()


class RequestView:
    """A request, read-only.

    `method`       as sent, for example `GET`
    `protocol`     `http`, `https`, `ws` or `wss`
    `url`          absolute: lower-case host, no default port, dot segments collapsed, query included
    `hostname`     lower-case, without the port
    `port`         the port of the URL, or the protocol's default
    `target`       the request target as sent, query included
    `path`         the URL's path, without its query, percent-escapes in upper case
    `headers`      lower-case name → value; repeated ones joined with `, `, cookies with `; `
    `raw_headers`  `[name, value]` pairs as sent: case, order and repetitions
    `websocket`    True for a WebSocket upgrade
    `params`       name → decoded value for the `{name}` segments of the rule's `pathTemplate`

    The body is complete when `body_complete` is True, which it always is for a `python` step or matcher.
    """

    __slots__ = (
        "_body",
        "_body_error",
        "_cookies",
        "_form",
        "_header_values",
        "_json",
        "_multipart",
        "_query",
        "_read_body",
        "_text",
        "announced",
        "answers",
        "body_complete",
        "deferral",
        "headers",
        "hostname",
        "method",
        "params",
        "path",
        "port",
        "protocol",
        "raw_headers",
        "target",
        "url",
        "websocket",
    )

    def __init__(
        self,
        method: str,
        protocol: str,
        url: str,
        hostname: str,
        port: int,
        target: str,
        headers: Mapping[str, str | list[str]],
        raw_headers: Sequence[Sequence[str]],
        websocket: bool = False,
        read_body: Callable[[], bytes] | None = None,
    ) -> None:
        self.method = method
        self.protocol = protocol
        self.url = url
        self.hostname = hostname
        self.port = port
        self.target = target
        self.headers = headers
        self.raw_headers = raw_headers
        self.websocket = websocket
        self.body_complete = False
        self.deferral: Deferral | None = None
        """Collects the checks that are deferred; None: none is."""
        self.params = NO_PARAMS
        self.answers: dict[object, Any] | None = None
        """For the engine: results of `python` matchers; None: the check calls the function itself."""
        self.announced: int | None = None
        """For the engine: the size of the first message of a gRPC request; None until its prefix has arrived."""
        self._read_body = read_body
        self._body: bytes | None = None
        self._body_error: str | None = None
        self._text: str | None = None
        self._json: Any = _NOT_READ
        self._query: dict[str, list[str]] | None = None
        self._cookies: dict[str, list[str]] | None = None
        self._form: dict[str, list[str]] | None = None
        self._header_values: dict[str, list[str]] | None = None
        self._multipart: tuple[Part, ...] | None = None

        # Every selection starts with the path, so it is computed at once.
        start = url.find("/", url.find("://") + 3)
        path = url[start:] if start >= 0 else target
        mark = path.find("?")
        if mark >= 0:
            path = path[:mark]
        self.path = normal_path(path)

    def __repr__(self) -> str:
        return f"<RequestView {self.method} {self.url}>"

    @property
    def host(self) -> str:
        """`hostname`, with the port unless it is the protocol's default."""
        name = f"[{self.hostname}]" if ":" in self.hostname and self.hostname[0] != "[" else self.hostname
        return name if self.port == DEFAULT_PORTS.get(self.protocol) else f"{name}:{self.port}"

    @property
    def head_size(self) -> int:
        """Characters of the URL and the header fields."""
        return len(self.url) + sum(len(pair[0]) + len(pair[1]) for pair in self.raw_headers)

    @property
    def query_string(self) -> str:
        """The raw query with its `?`, or an empty text. A lone `?` counts as a query."""
        mark = self.url.find("?")
        return self.url[mark:] if mark >= 0 else ""

    @property
    def query(self) -> dict[str, list[str]]:
        """Decoded query parameters: name → values in order; `?a` and `?a=` both give an empty text."""
        if self._query is None:
            self._query = _pairs(self.query_string[1:])
        return self._query

    @property
    def cookies(self) -> dict[str, list[str]]:
        """Name → values, from the `Cookie` header (RFC 6265, 4.2); values are not decoded."""
        if self._cookies is None:
            self._cookies = _cookies(self.headers.get("cookie", ""))
        return self._cookies

    @property
    def content_type(self) -> str:
        """The `Content-Type` header as sent, or an empty text."""
        value = self.headers.get("content-type", "")
        return value if isinstance(value, str) else ", ".join(value)

    @property
    def body(self) -> bytes:
        """The body with its content-encodings undone.

        Raises ValueError, each time, if it cannot be decoded or is longer than the limit of kept bodies.
        """
        if self._body is None:
            if self._body_error is not None:
                raise ValueError(self._body_error)
            try:
                self._body = b"" if self._read_body is None else self._read_body()
            except ValueError as error:
                self._body_error = str(error) or "the body cannot be decoded"
                raise
        return self._body

    def arrived(self, size: int) -> bytes:
        """The first `size` bytes of the body, as many as have arrived; empty if the body cannot be read."""
        if self._body is not None or self.body_complete:
            return self.body[:size]
        try:
            return b"" if self._read_body is None else self._read_body()[:size]
        except ValueError:
            return b""

    @property
    def body_error(self) -> str | None:
        """The reason why the body could not be read; None if it could, or has not been read yet."""
        return self._body_error

    @property
    def text(self) -> str:
        """The body as text, in the declared charset or UTF-8; invalid bytes become U+FFFD.

        Raises ValueError as `body` does.
        """
        if self._text is None:
            self._text = self.body.decode(_charset(self.content_type), "replace")
        return self._text

    @property
    def json(self) -> Any:
        """The body parsed as JSON (RFC 8259), for any content type. Raises ValueError."""
        if self._json is _NOT_READ:
            self._json = parse(self.body)
        return self._json

    @property
    def form(self) -> dict[str, list[str]]:
        """Fields of an `application/x-www-form-urlencoded` body: name → values; empty for other types.

        Raises ValueError as `body` does.
        """
        if self._form is None:
            self._form = _pairs(self.text) if FORM_TYPE in self.content_type.lower() else {}
        return self._form

    @property
    def multipart(self) -> tuple[Part, ...]:
        """The parts of a `multipart/form-data` body (RFC 7578); empty for other types.

        Raises ValueError as `body` does.
        """
        if self._multipart is None:
            self._multipart = parse_multipart(self.body, self.content_type)
        return self._multipart

    def header_values(self, name: str) -> list[str]:
        """The values of a header, one for each field line; `name` in lower case."""
        joined = self.headers.get(name)
        if joined is None:
            return []
        if not isinstance(joined, str):
            return list(joined)
        if self._header_values is None:
            self._header_values = {}
        values = self._header_values.get(name)
        if values is None:
            values = [pair[1].strip() for pair in self.raw_headers if pair[0].lower() == name] or [joined]
            self._header_values[name] = values
        return values


def _pairs(text: str) -> dict[str, list[str]]:
    pairs: dict[str, list[str]] = {}
    encoded = "%" in text or "+" in text
    for pair in text.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            if encoded:
                name, value = _unquoted(name), _unquoted(value)
            found = pairs.get(name)
            if found is None:
                pairs[name] = [value]
            else:
                found.append(value)
    return pairs


def _unquoted(text: str) -> str:
    if "+" in text:
        text = text.replace("+", " ")
    return unquote(text, errors="replace") if "%" in text else text


def _cookies(header: str | list[str]) -> dict[str, list[str]]:
    cookies: dict[str, list[str]] = {}
    text = header if isinstance(header, str) else "; ".join(header)
    for crumb in text.split(";"):
        name, _, value = crumb.partition("=")
        if name.strip():
            cookies.setdefault(name.strip(), []).append(value.strip())
    return cookies


def _charset(content_type: str) -> str:
    name = header_parameter(content_type, "charset")
    return (codec_of(name) if name else None) or "utf-8"
