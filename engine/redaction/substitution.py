"""What has been found to be secret in one place, replaced wherever else it stands."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final

from mockrec.engine.redaction.records import FIXED
from mockrec.engine.redaction.secret_map import SecretMap

Record = dict[str, Any]

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})


class SecretReplacer:
    """Replaces what is known, once; nothing is learned. What contains something is made empty and filled later, so that
    no depth of a record is one of calls."""

    def __init__(self, known: SecretMap) -> None:
        self._known = known
        self._later: list[Callable[[], None]] = []
        self.count = 0
        """What was replaced."""

    def data(self, data: bytes) -> bytes:
        """Bytes without what is known to be secret."""
        data, count = self._known.replaced(data)
        self.count += count
        return data

    def text(self, text: str) -> str:
        """The same for a text."""
        data = text.encode("utf-8", "surrogatepass")
        redacted = self.data(data)
        return text if redacted is data else redacted.decode("utf-8", "surrogatepass")

    def record(self, record: Mapping[str, Any]) -> Record:
        """The same for a record, wherever in it they stand."""
        told = self._record(record)
        while self._later:
            self._later.pop()()
        return told

    def _record(self, record: Mapping[str, Any]) -> Record:
        told: Record = {}

        def fill() -> None:
            for key, item in record.items():
                told[key] = item if _is_fixed(key, item) else self._field(key, item)

        self._later.append(fill)
        return told

    def _field(self, key: str, item: Any) -> Any:
        if isinstance(item, str):
            return self.text(item)
        if isinstance(item, list):
            told: list[Any] = []
            self._later.append(lambda: told.extend(self._field("", value) for value in item))
            return told
        if not isinstance(item, Mapping):
            return item
        if "size" in item and ("text" in item or "base64" in item):
            return self._body(item)
        if key in ("request", "response", "error"):
            return self._record(item)
        return self._free(item, of_ours=key in ("timingEvents", "tlsMetadata", "counts"))

    def _free(self, item: Mapping[str, Any], of_ours: bool) -> Record:
        """An object: one whose names are of ours, or one whose names may be secret as well."""
        told: Record = {}

        def fill() -> None:
            for name, value in item.items():
                told[name if of_ours else self.text(name)] = self._field("" if of_ours else name, value)

        self._later.append(fill)
        return told

    def _body(self, body: Mapping[str, Any]) -> Record:
        told = {key: item for key, item in body.items() if key != "raw"}
        if isinstance(body.get("text"), str):
            told["text"] = self.text(body["text"])
        elif isinstance(body.get("base64"), str):
            try:
                data = base64.b64decode(body["base64"], validate=True)
            except (binascii.Error, ValueError):
                return dict(body)
            told["base64"] = base64.b64encode(self.data(data)).decode("ascii")
        if all(told[key] == body[key] for key in told):
            return dict(body)
        return told | {"redacted": True}


def _is_fixed(key: str, item: Any) -> bool:
    return (key in FIXED and not isinstance(item, Mapping)) or (key == "method" and item in _METHODS)
