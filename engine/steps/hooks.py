"""Hooks: functions of the user's that get a request before it is passed on, or a response before it is sent.

A hook returns None (nothing changes), a mapping of its changes, or the word `close` or `reset`. Keys for both are
`headers` (all of them, in place of the message's) and one of `body`, `json` and `base64`; for requests also `method`,
`url`, and `response`, which is sent instead of the request being passed on; for responses also `status` and
`statusMessage`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.model import BodyChange, HeaderChanges, RequestChanges, ResponseChanges
from mockrec.engine.rules.yaml.scalars import double_quoted
from mockrec.engine.rules.yaml.types import nearest_hint
from mockrec.engine.steps.python import body_of, is_token, pairs_of, to_response
from mockrec.engine.steps.python_stream import Streamed
from mockrec.engine.usercode.calls import call
from mockrec.engine.usercode.failure import Failure
from mockrec.engine.wire.urls import split_host
from mockrec.formats.content import codings as content
from mockrec.formats.text.json import parse

_BODY_KEYS = ("body", "json", "base64")
_REQUEST_KEYS = ("method", "url", "headers", *_BODY_KEYS, "response")
_RESPONSE_KEYS = ("status", "statusMessage", "headers", *_BODY_KEYS)


class Hook(msgspec.Struct, frozen=True):
    """A function of the user's for requests or responses."""

    function: Callable[..., Any]
    report: Callable[[Failure], None]
    """Called with each failure of the function."""

    async def of_request(self, view: RequestView) -> RequestEdit | PreparedResponse | Streamed | str | None:
        """The function's changes of a request, or its response. Raises UserError."""
        edit: RequestEdit | PreparedResponse | Streamed | str | None = await call(
            self.function, view, then=_request_edit
        )
        return edit

    async def of_response(self, response: ResponseView, view: RequestView) -> ResponseEdit | str | None:
        """The function's changes of a response. Raises UserError."""
        arguments = (response, view) if _takes_two(self.function) else (response,)
        edit: ResponseEdit | str | None = await call(self.function, *arguments, then=_response_edit)
        return edit


class RequestEdit(msgspec.Struct, frozen=True):
    """A hook's changes of a request."""

    changes: RequestChanges
    path: str | None = None
    """Path and query; None: unchanged."""


class ResponseEdit(msgspec.Struct, frozen=True):
    """A hook's changes of a response."""

    changes: ResponseChanges
    reason: str | None = None
    """The reason phrase; None: the usual one of a new status, or the unchanged one."""


class ResponseView:
    """A response as a hook gets it, read-only.

    `status`, `status_message`, `headers` (lower-case name → value), `raw_headers` (pairs as they will be sent), `body`
    (content codings undone), `text`, `json`. The last three raise ValueError for a body that cannot be read.
    """

    __slots__ = ("_limit", "_wire", "headers", "raw_headers", "status", "status_message")

    def __init__(
        self, response: PreparedResponse, fields: list[list[str]], status: int, body: bytes, limit: int
    ) -> None:
        self.status = status
        self.status_message = response.reason
        self.raw_headers = fields
        self.headers: dict[str, str] = {}
        for name, value in fields:
            known = self.headers.get(name.lower())
            self.headers[name.lower()] = value if known is None else f"{known}, {value}"
        self._wire = body
        self._limit = limit

    @property
    def body(self) -> bytes:
        coding = self.headers.get("content-encoding", "")
        return content.decoded_whole(self._wire, content.codings_of(coding), self._limit)

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def json(self) -> Any:
        """The body parsed as JSON. Raises ValueError."""
        return parse(self.body)

    def __repr__(self) -> str:
        return f"<ResponseView {self.status}>"


def _takes_two(function: Callable[..., Any]) -> bool:
    """Whether a function takes the request after the response."""
    try:
        inspect.signature(function).bind(None, None)
    except (TypeError, ValueError):
        return False
    return True


def _request_edit(result: Any) -> RequestEdit | PreparedResponse | Streamed | str | None:
    """A hook's result for a request. Raises TypeError and ValueError for another result."""
    if result is None or (isinstance(result, str) and result in ("close", "reset")):
        return result
    given = _mapping(result, _REQUEST_KEYS, 'a mapping, "close", "reset" or None')
    if "response" in given:
        if len(given) > 1:
            raise ValueError("response answers, so nothing else can be changed beside it")
        return to_response(given["response"])
    method = given.get("method")
    if method is not None and not is_token(method):
        raise ValueError(f"method: expected a method such as POST, got {method!r}")
    protocol = host = path = None
    if (url := given.get("url")) is not None:
        protocol, host, path = _read_url(url)
    headers = _headers(given)
    changes = RequestChanges(method=method, protocol=protocol, host=host, headers=headers, body=_body(given))
    return RequestEdit(changes, path)


def _read_url(url: Any) -> tuple[str, str, str]:
    """Protocol, `name[:port]`, and path with query."""
    parts = urlsplit(url) if isinstance(url, str) else None
    protocol = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme) if parts is not None else ""
    if parts is None or protocol not in ("http", "https") or not parts.netloc:
        raise ValueError(f"url: expected an absolute URL such as http://host/path, got {url!r}")
    host = parts.netloc.rpartition("@")[2]
    name, port = split_host(host)
    named = f"[{name}]" if ":" in name else name
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return protocol, f"{named}:{port or (443 if protocol == 'https' else 80)}", path


def _response_edit(result: Any) -> ResponseEdit | str | None:
    """A hook's result for a response. Raises TypeError and ValueError for another result."""
    if result is None or (isinstance(result, str) and result in ("close", "reset")):
        return result
    given = _mapping(result, _RESPONSE_KEYS, 'a mapping, "close", "reset" or None')
    status, reason = given.get("status"), given.get("statusMessage")
    if status is not None and (type(status) is not int or not 200 <= status <= 599):
        raise ValueError(f"status: expected 200 to 599, got {status!r}")
    if reason is not None and not isinstance(reason, str):
        raise TypeError(f"statusMessage: expected text, got {reason!r}")
    return ResponseEdit(ResponseChanges(status, _headers(given), _body(given)), reason)


def _mapping(result: Any, keys: tuple[str, ...], expected: str) -> Mapping[str, Any]:
    if not isinstance(result, Mapping):
        shown = f" {double_quoted(result[:40])}" if isinstance(result, str) else ""
        raise TypeError(f"expected {expected}, not {type(result).__name__}{shown}")
    for key in result:
        if key not in keys:
            raise ValueError(nearest_hint(str(key), keys, "unknown key"))
    return result


def _headers(given: Mapping[str, Any]) -> HeaderChanges:
    if given.get("headers") is None:
        return HeaderChanges()
    return HeaderChanges(replace=pairs_of(given["headers"], "headers"))


def _body(given: Mapping[str, Any]) -> BodyChange | None:
    if not any(key in given for key in _BODY_KEYS):
        return None
    data, is_json = body_of(given)
    return BodyChange(data=data, is_json=is_json)
