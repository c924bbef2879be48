"""The words of the log in rule files: event types, and selectors of values in messages."""

from __future__ import annotations

from typing import Any, Final

from mockrec.engine.rules.yaml.context import quoted
from mockrec.engine.rules.yaml.strings import HEADER_NAME, JsonPath, RegexType
from mockrec.engine.rules.yaml.types import InvalidValue, ScalarType, Schema, nearest_hint
from mockrec.formats.schema.lifecycle import EVENT_TYPES
from mockrec.formats.schema.vocabulary import VALUE_KINDS, SelectorError, parse_selector, selector_pattern


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


class SelectorType(ScalarType[str]):
    """`header:NAME`, `json:PATH`, `text:REGEX`, …, also after `request.` or `response.`."""

    expects = "a selector such as header:authorization or json:$.token"

    def parse(self, text: str, plain: bool) -> str:
        try:
            selector = parse_selector(text, VALUE_KINDS)
        except SelectorError as error:
            raise InvalidValue(str(error)) from None
        if selector.kind in _VALUES:
            _check(_VALUES[selector.kind], selector.value)
        return text

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return {"type": "string", "pattern": selector_pattern(VALUE_KINDS)}


_VALUES: Final[dict[str, ScalarType[Any]]] = {
    "header": HEADER_NAME,
    "json": JsonPath(),
    "text": RegexType(python_allowed=False),
}
"""Kind of selector → the type of its value, where it is not any text."""


def _check(type_of_value: ScalarType[Any], text: str) -> None:
    try:
        type_of_value.parse(text, False)
    except InvalidValue as fault:
        raise InvalidValue(str(fault) or f"expected {type_of_value.expects}, got {quoted(text)}") from None
