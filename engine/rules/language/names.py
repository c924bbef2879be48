"""The names that rule files use for things of the log: event types, and selectors of values in them."""

from __future__ import annotations

import re
from typing import Any

from mockrec.engine.rules.yaml.context import quoted
from mockrec.engine.rules.yaml.strings import HEADER_NAME, JsonPath, RegexType
from mockrec.engine.rules.yaml.types import InvalidValue, ScalarType, Schema, nearest_hint
from mockrec.formats.schema.lifecycle import EVENT_TYPES

SELECTOR_KINDS = "header|cookie|query|form|json|name|text"
"""What a selector can name, as an expression."""
SELECTOR = re.compile(rf"(?:(request|response)\.)?({SELECTOR_KINDS}):(.+)", re.DOTALL)
"""A selector: its side, if it has one, its kind, and what is behind the colon."""


class EventType(ScalarType[str]):
    """The name of an event type."""

    expects = "an event type"

    def __init__(self, *, without: tuple[str, ...] = ()) -> None:
        self._known = tuple(name for name in EVENT_TYPES if name not in without)

    def parse(self, text: str, plain: bool) -> str:
        if text not in self._known:
            raise InvalidValue(nearest_hint(text, self._known, "unknown event type"))
        return text

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return {"enum": list(self._known)}


class Selector(ScalarType[str]):
    """`header:NAME`, `json:PATH`, `text:REGEX`, …, also after `request.` or `response.`."""

    expects = "a selector such as header:authorization or json:$.token"

    def parse(self, text: str, plain: bool) -> str:
        found = SELECTOR.fullmatch(text)
        if found is None:
            raise InvalidValue
        _, kind, value = found.groups()
        if kind == "header":
            _as(HEADER_NAME, value)
        elif kind == "json":
            _as(JsonPath(), value)
        elif kind == "text":
            _as(RegexType(python_allowed=False), value)
        return text

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return {
            "type": "string",
            "pattern": rf"^(?:(?:request|response)\.)?(?:{SELECTOR_KINDS}):",
        }


def _as(shape: ScalarType[Any], text: str) -> None:
    try:
        shape.parse(text, False)
    except InvalidValue as fault:
        raise InvalidValue(str(fault) or f"expected {shape.expects}, got {quoted(text)}") from None
