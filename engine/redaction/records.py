"""Secrets in a record, field by field: heads by their names, bodies by what they are, everything else as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from mockrec.engine.redaction.finder import SecretFinder
from mockrec.engine.redaction.raw_heads import raw_head

Record = dict[str, Any]

FIXED: Final = frozenset(
    {"seq", "type", "timestamp", "id", "connectionId", "streamId", "requestId", "exchangeId", "sessionId", "protocol"}
    | {"httpVersion", "direction", "initiator", "failureCause", "eventType", "file", "sha256", "contentEncoding"}
    | {"charset", "schemaVersion", "mockrecVersion", "rulesSha256", "events", "counts", "redaction"}
)
"""What we say ourselves, in words that readers rely on: also where a password happens to be one of them."""
RAW_HEAD: Final = "message/http"
"""The content type of heads that are kept as they came (RFC 9112, 10.1)."""
_USER_OPTIONS = frozenset({"-u", "--user", "-U", "--proxy-user"})
_REQUESTS = ("request", "abort", "websocket-request", "websocket-message-received", "passthrough-request")
_RESPONSES = ("response", "websocket-accepted", "websocket-message-sent", "passthrough-response")


def side_of(record: Mapping[str, Any]) -> str:
    """What a record tells of: `request`, `response`, or neither."""
    kind = record.get("type", "")
    kind = record.get("eventType", "") if kind == "rule-event" else kind
    if not isinstance(kind, str):
        return ""
    return "request" if kind.startswith(_REQUESTS) else "response" if kind.startswith(_RESPONSES) else ""


class RecordRedactor:
    """Goes through one record. `body` redacts a body in the log's form, given its content type.

    What contains something is made empty and filled later, so that no depth of a record is one of calls.
    """

    def __init__(
        self,
        finder: SecretFinder,
        body: Callable[[Record, str, SecretFinder], Record],
        side: Callable[[str], SecretFinder],
        later: list[Callable[[], None]] | None = None,
    ) -> None:
        """`side` gives the finder for one side; what a record says of its other side is in an object of its own, which
        is filled with what is `later` for the whole."""
        self._finder = finder
        self._body = body
        self._side = side
        self._later: list[Callable[[], None]] = [] if later is None else later

    def record(self, record: Mapping[str, Any]) -> Record:
        """A new record."""
        told = self._record(record)
        while self._later:
            self._later.pop()()
        return told

    def _record(self, record: Mapping[str, Any]) -> Record:
        told: Record = {}

        def fill() -> None:
            for key, item in record.items():
                told[key] = item if key in FIXED and isinstance(item, str) else self._field(key, item, record)

        self._later.append(fill)
        return told

    def _field(self, key: str, item: Any, owner: Mapping[str, Any]) -> Any:
        if isinstance(item, str):
            if key == "rawHead":
                return raw_head(item, self._finder)
            return self._finder.placeholder(item) if self._finder.is_secret("json", key) else self._finder.string(item)
        if isinstance(item, Mapping):
            return self._object(key, item, owner)
        if not isinstance(item, list):
            return item
        if key in ("rawHeaders", "rawTrailers"):
            return [self._pair(pair) for pair in item]
        if key == "command":
            return self._command(item)
        return self._list(item, lambda value: self._field(key, value, owner))

    def _list(self, items: Sequence[Any], made: Callable[[Any], Any]) -> list[Any]:
        told: list[Any] = []
        self._later.append(lambda: told.extend(map(made, items)))
        return told

    def _object(self, key: str, item: Mapping[str, Any], owner: Mapping[str, Any]) -> Any:
        if key in ("headers", "trailers"):
            return {name: self._header(name, value) for name, value in item.items()}
        if "size" in item and ("text" in item or "base64" in item):
            return self._body(dict(item), RAW_HEAD if key == "rawHead" else content_type(owner), self._finder)
        if key in ("request", "response") and key != self._finder.side:
            return RecordRedactor(self._side(key), self._body, self._side, self._later)._record(item)
        return self._record(item) if key in ("request", "response") else self._free(item)

    def _free(self, item: Mapping[str, Any]) -> Record:
        """An object of the user's, whose keys are names like any."""
        told: Record = {}

        def fill() -> None:
            for key, value in item.items():
                told[self._finder.string(key)] = self._field(key, value, item)

        self._later.append(fill)
        return told

    def _pair(self, pair: Any) -> Any:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
            return self._field("", pair, {})
        return [pair[0], self._finder.header(pair[0].lower(), pair[1])]

    def _header(self, name: str, value: Any) -> Any:
        if isinstance(value, str):
            return self._finder.header(name.lower(), value)
        if isinstance(value, list):
            return self._list(value, lambda one: self._header(name, one))
        return self._field(name, value, {})

    def _command(self, arguments: Sequence[Any]) -> list[Any]:
        """`--token abc` and `-u user:password` say in two words what `--token=abc` says in one."""
        told: list[Any] = []
        before = ""
        for argument in arguments:
            if not isinstance(argument, str):
                told.append(argument)
                continue
            is_value = before.startswith("-") and "=" not in before and not argument.startswith("-")
            if is_value and self._finder.is_secret("", before.lstrip("-")):
                told.append(self._finder.placeholder(argument))
            elif is_value and before in _USER_OPTIONS and ":" in argument:
                user, _, password = argument.partition(":")
                told.append(f"{user}:{self._finder.placeholder(password)}")
            else:
                told.append(self._finder.string(argument))
            before = argument
        return told


def content_type(owner: Mapping[str, Any]) -> str:
    """Of the body that stands in the same object."""
    headers = owner.get("headers")
    found = headers.get("content-type") if isinstance(headers, Mapping) else None
    return found if isinstance(found, str) else ""
