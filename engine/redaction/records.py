"""Secrets in a record, searched field by field: headers by their names, bodies by their content type, everything else
as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from mockrec.engine.redaction.finder import SecretFinder
from mockrec.engine.redaction.raw_heads import raw_head
from mockrec.engine.redaction.record_walk import FIXED, Record, RecordWalk

RAW_HEAD: Final = "message/http"
"""The content type of heads that are kept as they were received (RFC 9112, 10.1)."""
_USER_OPTIONS = frozenset({"-u", "--user", "-U", "--proxy-user"})
_REQUESTS = (
    "request",
    "abort",
    "websocket-request",
    "websocket-message-received",
    "grpc-message-received",
    "passthrough-request",
)
_RESPONSES = ("response", "websocket-accepted", "websocket-message-sent", "grpc-message-sent", "passthrough-response")


def side_of(record: Mapping[str, Any]) -> str:
    """Return the side that a record describes: `request`, `response`, or empty for neither."""
    kind = record.get("type", "")
    kind = record.get("eventType", "") if kind == "rule-event" else kind
    if not isinstance(kind, str):
        return ""
    return "request" if kind.startswith(_REQUESTS) else "response" if kind.startswith(_RESPONSES) else ""


class RecordRedactor(RecordWalk):
    """Searches one record for secrets and puts placeholders in their place."""

    def __init__(
        self,
        finder: SecretFinder,
        body: Callable[[Record, str, SecretFinder], Record],
        finder_of: Callable[[str], SecretFinder],
        pending: list[Callable[[], None]] | None = None,
    ) -> None:
        """`body` redacts a body in the log's form, given its content type. `finder_of` returns the finder for a side:
        an object named `request` or `response` in a record of the other side is searched by a redactor of its own,
        which adds to the `pending` work of the whole."""
        super().__init__(pending)
        self._finder = finder
        self._redacted_body = body
        self._finder_of = finder_of

    def _is_fixed(self, key: str, item: Any) -> bool:
        return key in FIXED and isinstance(item, str)

    def _string(self, key: str, text: str) -> str:
        if key == "rawHead":
            return raw_head(text, self._finder)
        return self._finder.placeholder(text) if self._finder.is_secret("json", key) else self._finder.string(text)

    def _name(self, name: str) -> str:
        return self._finder.string(name)

    def _list(self, key: str, items: list[Any], parent: Mapping[str, Any]) -> list[Any]:
        if key in ("rawHeaders", "rawTrailers"):
            return [self._pair(pair) for pair in items]
        if key == "command":
            return self._command(items)
        return self._items(items, lambda item: self._value(key, item, parent))

    def _body(self, key: str, body: Mapping[str, Any], parent: Mapping[str, Any]) -> Record:
        return self._redacted_body(dict(body), RAW_HEAD if key == "rawHead" else content_type(parent), self._finder)

    def _headers(self, fields: Mapping[str, Any]) -> Record:
        return {name: self._header(name, value) for name, value in fields.items()}

    def _object(self, key: str, item: Mapping[str, Any]) -> Record:
        if key not in ("request", "response"):
            return self._foreign(item)
        if key == self._finder.side:
            return self._record(item)
        other = RecordRedactor(self._finder_of(key), self._redacted_body, self._finder_of, self._pending)
        return other._record(item)

    def _pair(self, pair: Any) -> Any:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
            return self._value("", pair, {})
        return [pair[0], self._finder.header(pair[0].lower(), pair[1])]

    def _header(self, name: str, value: Any) -> Any:
        if isinstance(value, str):
            return self._finder.header(name.lower(), value)
        if isinstance(value, list):
            return self._items(value, partial(self._header, name))
        return self._value(name, value, {})

    def _command(self, arguments: Sequence[Any]) -> list[Any]:
        """Redact a command line, also where name and value are two arguments: `--token abc`, `-u user:password`."""
        redacted: list[Any] = []
        before = ""
        for argument in arguments:
            if not isinstance(argument, str):
                redacted.append(argument)
                continue
            is_value = before.startswith("-") and "=" not in before and not argument.startswith("-")
            if is_value and self._finder.is_secret("", before.lstrip("-")):
                redacted.append(self._finder.placeholder(argument))
            elif is_value and before in _USER_OPTIONS and ":" in argument:
                user, _, password = argument.partition(":")
                redacted.append(f"{user}:{self._finder.placeholder(password)}")
            else:
                redacted.append(self._finder.string(argument))
            before = argument
        return redacted


def content_type(parent: Mapping[str, Any]) -> str:
    """Return the content type of the body in an object that has the headers too; empty if they name none."""
    headers = parent.get("headers")
    found = headers.get("content-type") if isinstance(headers, Mapping) else None
    return found if isinstance(found, str) else ""
