"""The walk over a record that both ways of redaction share: searching it for secrets (`records.py`), and replacing
those that are known already (`substitution.py`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

Record = dict[str, Any]

FIXED: Final = frozenset(
    {"seq", "type", "timestamp", "id", "connectionId", "streamId", "requestId", "exchangeId", "sessionId", "protocol"}
    | {"httpVersion", "direction", "initiator", "failureCause", "eventType", "file", "sha256", "contentEncoding"}
    | {"charset", "schemaVersion", "mockrecVersion", "rulesSha256", "events", "counts", "redaction", "protobuf"}
)
"""Fields whose values are mockrec's own words, which readers rely on. They stay, even if one is equal to a password."""


class RecordWalk(ABC):
    """Copies a record. Subclasses say which strings, bodies and objects become others in the copy.

    Containers are created empty and filled later, from a list of pending work: a deeply nested record needs no deep
    call stack.
    """

    def __init__(self, pending: list[Callable[[], None]] | None = None) -> None:
        """`pending`: the work of another walk, which fills the containers of this one too."""
        self._pending: list[Callable[[], None]] = [] if pending is None else pending

    def record(self, record: Mapping[str, Any]) -> Record:
        """Return the redacted copy of a record."""
        copy = self._record(record)
        while self._pending:
            self._pending.pop()()
        return copy

    # ── what the two ways differ in ────────────────────────────────────────────────────────────────

    @abstractmethod
    def _is_fixed(self, key: str, item: Any) -> bool:
        """Whether a field of the log's own stays as it is."""

    @abstractmethod
    def _string(self, key: str, text: str) -> str:
        """Redact the string in the field `key`."""

    @abstractmethod
    def _name(self, name: str) -> str:
        """Redact a name that does not come from mockrec."""

    @abstractmethod
    def _list(self, key: str, items: list[Any], parent: Mapping[str, Any]) -> list[Any]:
        """Redact the list in the field `key` of `parent`."""

    @abstractmethod
    def _body(self, key: str, body: Mapping[str, Any], parent: Mapping[str, Any]) -> Record:
        """Redact the body in the field `key` of `parent`."""

    @abstractmethod
    def _headers(self, fields: Mapping[str, Any]) -> Record:
        """Redact a table of headers or trailers."""

    @abstractmethod
    def _object(self, key: str, item: Mapping[str, Any]) -> Record:
        """Redact any other object."""

    # ── what they share ────────────────────────────────────────────────────────────────────────────

    def _record(self, record: Mapping[str, Any]) -> Record:
        """Copy an object whose names are mockrec's own."""
        copy: Record = {}

        def fill() -> None:
            for key, item in record.items():
                copy[key] = item if self._is_fixed(key, item) else self._value(key, item, record)

        self._pending.append(fill)
        return copy

    def _foreign(self, item: Mapping[str, Any]) -> Record:
        """Copy an object whose names may be anything, secrets too."""
        copy: Record = {}

        def fill() -> None:
            for name, value in item.items():
                copy[self._name(name)] = self._value(name, value, item)

        self._pending.append(fill)
        return copy

    def _items(self, items: Sequence[Any], redacted: Callable[[Any], Any]) -> list[Any]:
        """Copy a list, with each item redacted."""
        copy: list[Any] = []
        self._pending.append(lambda: copy.extend(map(redacted, items)))
        return copy

    def _value(self, key: str, item: Any, parent: Mapping[str, Any]) -> Any:
        if isinstance(item, str):
            return self._string(key, item)
        if isinstance(item, list):
            return self._list(key, item, parent)
        if not isinstance(item, Mapping):
            return item
        if key in ("headers", "trailers"):
            return self._headers(item)
        if "size" in item and ("text" in item or "base64" in item):
            return self._body(key, item, parent)
        return self._object(key, item)
