"""Selectors of differences: every kind of the vocabulary, and words for what only a comparison knows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

from mockrec.formats.diff.model.finding import Item, Location, Subject
from mockrec.formats.schema import vocabulary
from mockrec.formats.schema.vocabulary import SELECTOR_KINDS, Selector, SelectorError
from mockrec.formats.text.regex import compile_regex, regex_fault

WORDS: Final = ("status", "reason", "error", "path", "body", "event", "interim", "close", "count", "timing")
"""What only a comparison knows: areas of differences that have no name or path."""
_SHOWN_KEY = re.compile(r"\[\?@\.(\w+==(?:\"(?:[^\"\\]|\\.)*\"|-?\d+))\]")
"""How reports name an item of an array, and the only filter that is allowed here."""
_ITEM = "\x01"
"""Begins the name that replaces such a filter while a path is parsed."""

_XML_STEP = re.compile(r"(//?)(@?[^/\[\]@]+)(?:\[(\d+|\*)\])?")

_Step = tuple[bool, tuple[str | int | tuple[str, int] | None, ...]]
"""Whether it selects at any depth, and the names or indexes it selects; None is any."""


class DiffSelector(Selector, frozen=True):
    """Differences to look at."""

    text: str = ""
    """The selector as it was written."""
    pattern: Any = None
    """Of `text:`: the compiled expression."""
    steps: tuple[_Step, ...] = ()
    """Of `json:` and `xml:`: the path."""

    def matches(self, subject: Subject) -> bool:
        """Return whether it selects the subject of a finding, or an object that contains it."""
        if not self.is_about(subject.message):
            return False
        if self.kind in ("json", "xml"):
            return subject.area == self.kind and any(
                _covers(self.steps, location) for location in subject.locations if location is not None
            )
        if self.kind == "name":
            return self._named(subject)
        if self.kind == "body":
            return subject.area in ("body", "json", "xml", "text", "form", "event")
        if self.kind != subject.area:
            return False
        return not self.value or self.value.lower() == subject.name.lower()

    def _named(self, subject: Subject) -> bool:
        if subject.name:
            return subject.name.lower() == self.value.lower()
        return any(
            str(part[0] if isinstance(part, tuple) else part).removeprefix("@").lower() == self.value.lower()
            for location in subject.locations
            for part in location or ()
            if not isinstance(part, int)
        )


def parse_selector(text: str) -> DiffSelector:
    """Return the selector that a text has. Raises `SelectorError`."""
    found = vocabulary.parse_selector(text.strip(), SELECTOR_KINDS, WORDS)
    kind, value, side = found.kind, found.value, found.side
    if kind == "json":
        return DiffSelector(kind, value, side, text, steps=_steps(text, value))
    if kind == "xml":
        return DiffSelector(kind, value, side, text, steps=_xml_steps(text, value))
    if kind == "text":
        if fault := regex_fault(value):
            raise SelectorError(f"{text!r}: {fault}")
        return DiffSelector(kind, value, side, text, compile_regex(value, captures=True))
    return DiffSelector(kind, value, side, text)


def parse_place(path: str) -> Callable[[Location], bool]:
    """Return a predicate of locations: does a JSONPath lead to one? Raises `SelectorError`."""
    steps = _steps(path, path)
    return lambda location: _leads_to(steps, location)


def _steps(text: str, path: str) -> tuple[_Step, ...]:
    # Imported here: only a path needs them, and the import takes a tenth of a second.
    from jsonpath_rfc9535 import compile as compile_path
    from jsonpath_rfc9535.exceptions import JSONPathError
    from jsonpath_rfc9535.segments import JSONPathRecursiveDescentSegment
    from jsonpath_rfc9535.selectors import IndexSelector, NameSelector, WildcardSelector

    try:
        query = compile_path(_SHOWN_KEY.sub(lambda match: f"[{json.dumps(_ITEM + match[1])}]", path))
    except JSONPathError as error:
        raise SelectorError(f"{text!r}: not a JSONPath: {str(error).splitlines()[0]}") from None
    steps: list[_Step] = []
    for segment in query.segments:
        taken: list[str | int | None] = []
        for selector in segment.selectors:
            if isinstance(selector, NameSelector):
                taken.append(selector.name)
            elif isinstance(selector, IndexSelector) and selector.index >= 0:
                taken.append(selector.index)
            elif isinstance(selector, WildcardSelector):
                taken.append(None)
            else:
                # Other filters and slices depend on the documents.
                raise SelectorError(f"{text!r}: only names, indexes, [*], .. and [?@.id==…] can be used here")
        steps.append((isinstance(segment, JSONPathRecursiveDescentSegment), tuple(taken)))
    return tuple(steps)


def _xml_steps(text: str, path: str) -> tuple[_Step, ...]:
    """Return the steps of `/order/item[2]/@price`; `//` and `*` as in XPath, and `[*]` is every element."""
    steps: list[_Step] = []
    end = 0
    while end < len(path):
        match = _XML_STEP.match(path, end)
        if match is None:
            raise SelectorError(f"{text!r}: expected a path such as /order/item[2]/@price, with //, * and [*]")
        end = match.end()
        name, number = match[2], match[3]
        want = None if name == "*" else name if number in (None, "*") else (name, int(number))
        steps.append((match[1] == "//", (want,)))
    return tuple(steps)


def _covers(steps: tuple[_Step, ...], location: Location) -> bool:
    """Return whether the steps lead to a location, or to an object that contains it."""
    return bool(_reached(steps, location))


def _leads_to(steps: tuple[_Step, ...], location: Location) -> bool:
    """Return whether the steps lead to the location itself."""
    return len(location) in _reached(steps, location)


def _reached(steps: tuple[_Step, ...], location: Location) -> set[int]:
    """Return the lengths of the beginnings of a location that the steps lead to."""
    # All ways at once: with several `..` there are far more ways than beginnings.
    reached = {0}
    for deep, taken in steps:
        starts = range(min(reached), len(location)) if deep else reached
        reached = {
            start + 1
            for start in starts
            if start < len(location) and any(_takes(want, location[start]) for want in taken)
        }
        if not reached:
            break
    return reached


def _takes(want: str | int | tuple[str, int] | None, part: str | int | tuple[str, int]) -> bool:
    if want is None:
        return True
    if isinstance(want, tuple):
        return part == want or (want[1] == 1 and part == want[0])
    if isinstance(want, str) and want.startswith(_ITEM):
        return isinstance(part, Item) and part.expression == want[1:]
    return want == (part[0] if isinstance(part, tuple) else part)
