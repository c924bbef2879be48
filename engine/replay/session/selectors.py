"""Selectors: how a place in a request is named (`header:NAME`, `json:$.token`, …), and finding `=` behind one."""

from __future__ import annotations

from dataclasses import dataclass

from mockrec.engine.rules.json_paths import compile_path
from mockrec.engine.rules.language.names import SELECTOR
from mockrec.engine.rules.yaml.strings import MOST_STEPS
from mockrec.formats.text.regex import regex_fault


@dataclass(frozen=True, slots=True)
class RequestSelector:
    """A place, or several, in a message."""

    kind: str
    """One of `SELECTOR_KINDS`."""
    name: str
    """What is behind the colon: a name, a JSONPath or a regular expression; header names in lower case."""
    side: str = ""
    """`request` or `response` where only one of them is meant."""

    def __str__(self) -> str:
        return f"{f'{self.side}.' if self.side else ''}{self.kind}:{self.name}"

    @property
    def in_requests(self) -> bool:
        """Whether it may name something in a request."""
        return self.side != "response"


def parse_selector(text: str) -> RequestSelector:
    """Raises ValueError, with a sentence for the user."""
    found = SELECTOR.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"expected a selector such as header:NAME or json:$.path, got {text!r}")
    side, kind, name = found[1] or "", found[2], found[3]
    if kind == "json":
        _check_path(name)
    elif kind == "text":
        if fault := regex_fault(name):
            raise ValueError(f"{name!r}: {fault}")
    elif kind == "header":
        name = name.lower()
    return RequestSelector(kind, name, side)


def parse_setting(text: str) -> tuple[RequestSelector, str]:
    """`SELECTOR=VALUE`; an `=` inside brackets belongs to a JSONPath, any other ends the selector.

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


def _check_path(path: str) -> None:
    import jsonpath_rfc9535  # slow to import, and few commands use it

    try:
        steps = len(compile_path(path).segments)
    except (jsonpath_rfc9535.JSONPathError, RecursionError) as error:
        raise ValueError(f"{path!r} is no JSONPath: {error}") from None
    if steps > MOST_STEPS:
        raise ValueError(f"{path[:40]!r}… is a JSONPath of {steps} steps, of which there may be {MOST_STEPS}")
