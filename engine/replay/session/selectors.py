"""Parse selectors of request values (`header:NAME`, `json:$.token`, …) and `SELECTOR=VALUE` settings."""

from __future__ import annotations

from msgspec.structs import replace

from mockrec.engine.rules.language.names import SelectorType
from mockrec.formats.schema import vocabulary
from mockrec.formats.schema.vocabulary import VALUE_KINDS, Selector


def parse_selector(text: str) -> Selector:
    """Parse a selector; a header name becomes lower case. Raises ValueError with a message for the user."""
    text = text.strip()
    SelectorType().parse(text, plain=False)
    selector = vocabulary.parse_selector(text, VALUE_KINDS)
    return replace(selector, value=selector.value.lower()) if selector.kind == "header" else selector


def parse_setting(text: str) -> tuple[Selector, str]:
    """Split `SELECTOR=VALUE` at the first `=` outside brackets; an `=` inside brackets belongs to a JSONPath.

    Raises ValueError.
    """
    depth, quote = 0, ""
    for index, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "[(":
            depth += 1
        elif character in "])":
            depth -= 1
        elif depth and character in "'\"":
            quote = character
        elif character == "=" and not depth:
            return parse_selector(text[:index]), text[index + 1 :]
    raise ValueError(f"expected SELECTOR=VALUE such as json:$.token=abc, got {text!r}")
