"""A request or response as protocols see it: head, and a body that is read and parsed at its first use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from mockrec.formats.schema.body import Body
from mockrec.formats.schema.errors import FormatError

Headers = Mapping[str, Any]
"""Lower-case name → value, or the list of values of a repeated field."""

_UNREAD: Final = object()
_CUT: Final = ("truncated", "incomplete", "undecodable")


class MalformedMessageError(ValueError):
    """A message breaks its protocol; the text is a finding for people."""


class OperationMessage:
    """One request or response. `data` and `json` are computed once."""

    __slots__ = ("_data", "_json", "_read", "headers", "method", "trailers", "url")

    def __init__(
        self, method: str, url: str, headers: Headers, read: Callable[[], bytes | None], trailers: Headers | None = None
    ) -> None:
        """`url` is absolute or a request target; of a response, `method` and `url` are those of its request. `read`
        returns the decoded body, None if it is not known as a whole."""
        self.method = method
        self.url = url
        self.headers = headers
        self.trailers = trailers or {}
        self._read = read
        self._data: Any = _UNREAD
        self._json: Any = _UNREAD

    @property
    def path(self) -> str:
        """The path of the URL, without its query."""
        return path_of(self.url)

    @property
    def target(self) -> str:
        """Path and query of the URL."""
        query = self.query
        return f"{self.path}?{query}" if query else self.path

    @property
    def query(self) -> str:
        """The query of the URL, without `?`; may be empty."""
        return self.url.partition("#")[0].partition("?")[2]

    @property
    def media_type(self) -> str:
        """The media type in lower case, without parameters; empty if there is no Content-Type."""
        return media_type(self.headers)

    @property
    def data(self) -> bytes | None:
        """The body; None if it was cut, could not be decoded, or cannot be read."""
        if self._data is _UNREAD:
            self._data = self._read()
        data: bytes | None = self._data
        return data

    @property
    def text(self) -> str:
        """The body as text; wrong bytes of UTF-8 are replaced."""
        return (self.data or b"").decode("utf-8", "replace")

    @property
    def json(self) -> Any:
        """The body as JSON. Raises `MalformedMessageError`."""
        if self._json is _UNREAD:
            self._json = parse_json(self.data or b"")
        return self._json

    @property
    def json_or_none(self) -> Any:
        """The body as JSON; None if it is none."""
        try:
            return self.json
        except MalformedMessageError:
            return None


def parse_json(data: bytes | str) -> Any:
    """Parse JSON of at most 254 levels. Raises `MalformedMessageError`."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise MalformedMessageError(f"the body is not JSON: {error}") from None


def path_of(url: str) -> str:
    """Return the path of a URL or of a request target."""
    if url.startswith("/"):
        return url.partition("?")[0].partition("#")[0]
    try:
        return urlsplit(url).path or "/"
    except ValueError:  # a bracket in the host, for example
        return "/"


def header(headers: Headers, name: str) -> str:
    """Return the value of a field, the first one of a repeated field; empty if there is none."""
    value = headers.get(name)
    if type(value) is list:
        value = value[0] if value else ""
    return value if type(value) is str else ""


def media_type(headers: Headers) -> str:
    """Return the media type of `Content-Type` in lower case, without parameters (RFC 9110, 8.3)."""
    return header(headers, "content-type").partition(";")[0].strip().lower()


def body_reader(body: Any, folder: Path | None) -> Callable[[], bytes | None]:
    """Return a function that reads the log's form of a body: None for one that was cut, has no bytes, or is damaged."""

    def read() -> bytes | None:
        if not isinstance(body, Mapping) or any(body.get(key) for key in _CUT):
            return None
        try:
            text = body.get("text")
            # The text is what the body means, whatever its charset.
            return text.encode() if isinstance(text, str) else Body.from_record(body, folder).bytes
        except (FormatError, ValueError, TypeError, AttributeError):
            return None

    return read


def message_of(record: Mapping[str, Any], folder: Path | None) -> OperationMessage:
    """Return the message of a `request` or `response` record (or any with their keys)."""
    headers, trailers = record.get("headers"), record.get("trailers")
    method, url = record.get("method"), record.get("url")
    return OperationMessage(
        method if isinstance(method, str) else "",
        url if isinstance(url, str) else "",
        headers if isinstance(headers, Mapping) else {},
        body_reader(record.get("body"), folder),
        trailers if isinstance(trailers, Mapping) else {},
    )
