"""Secrets that were found in one place, replaced wherever else they appear."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from mockrec.engine.redaction.record_walk import FIXED, Record, RecordWalk
from mockrec.engine.redaction.secret_map import SecretMap

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
_OWN_NAMES: Final = ("timingEvents", "tlsMetadata", "counts")
"""Objects whose names are mockrec's own: they stay, even if one is equal to a password."""


class SecretReplacer(RecordWalk):
    """Replaces known secrets, and searches for no others."""

    def __init__(self, known: SecretMap) -> None:
        super().__init__()
        self._known = known
        self.count = 0
        """Secrets that were replaced."""

    def data(self, data: bytes) -> bytes:
        """Return bytes with the known secrets replaced; the same object if there are none."""
        data, count = self._known.replaced(data)
        self.count += count
        return data

    def text(self, text: str) -> str:
        """Return a text with the known secrets replaced; the same object if there are none."""
        data = text.encode("utf-8", "surrogatepass")
        redacted = self.data(data)
        return text if redacted is data else redacted.decode("utf-8", "surrogatepass")

    def _is_fixed(self, key: str, item: Any) -> bool:
        return (key in FIXED and not isinstance(item, Mapping)) or (key == "method" and item in _METHODS)

    def _string(self, key: str, text: str) -> str:
        return self.text(text)

    def _name(self, name: str) -> str:
        return self.text(name)

    def _list(self, key: str, items: list[Any], parent: Mapping[str, Any]) -> list[Any]:
        return self._items(items, lambda item: self._value("", item, parent))

    def _body(self, key: str, body: Mapping[str, Any], parent: Mapping[str, Any]) -> Record:
        redacted = {name: item for name, item in body.items() if name != "raw"}
        if isinstance(body.get("text"), str):
            redacted["text"] = self.text(body["text"])
        elif isinstance(body.get("base64"), str):
            try:
                data = base64.b64decode(body["base64"], validate=True)
            except (binascii.Error, ValueError):
                return dict(body)
            redacted["base64"] = base64.b64encode(self.data(data)).decode("ascii")
        if all(redacted[name] == body[name] for name in redacted):
            return dict(body)
        return redacted | {"redacted": True}

    def _headers(self, fields: Mapping[str, Any]) -> Record:
        return self._foreign(fields)

    def _object(self, key: str, item: Mapping[str, Any]) -> Record:
        if key in ("request", "response", "error"):
            return self._record(item)
        if key in _OWN_NAMES:
            return {name: self._value("", value, item) for name, value in item.items()}
        return self._foreign(item)
