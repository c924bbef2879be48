"""Selectors: `header:NAME`, `cookie:NAME`, `query:NAME`, `form:NAME`, `name:NAME`, `json:PATH`, `xml:PATH`,
`text:REGEX`, words.

The ones that take messages apart are those of redaction and replay; the words (`status`, `body`, `count`,
`timing`, `error`, …) name what only a comparison knows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mockrec.formats.diff.model.finding import Item, Location, Subject
from mockrec.formats.schema.errors import FormatError
from mockrec.formats.text.regex import compile_regex, regex_fault

_NAMED = ("header", "cookie", "query", "form", "trailer", "name")
_WORDS = ("status", "body", "count", "timing", "error", "close", "event", "interim", "version", "reason")
_FORM = re.compile(r"(?:(request|response)\.)?([a-z]+)(?::(.*))?", re.DOTALL)
_SHOWN_KEY = re.compile(r"\[\?@\.(\w+==(?:\"(?:[^\"\\]|\\.)*\"|-?\d+))\]")
"""How reports tell the items of an array apart, and the only filter that is taken here."""
_ITEM = "\x01"
"""Begins the name that stands for such a filter while a path is read."""

_XML_STEP = re.compile(r"(//?)(@?[^/\[\]@]+)(?:\[(\d+|\*)\])?")

_Step = tuple[bool, tuple[str | int | tuple[str, int] | None, ...]]
"""Whether it may lie deeper, and the names or indexes it takes; None is any."""


class SelectorError(FormatError):
    """A selector that cannot be understood."""


@dataclass(frozen=True)
class DiffSelector:
    """What to look at."""

    text: str
    """As it was written."""
    message: str
    """`request`, `response`, or empty for both."""
    area: str
    name: str = ""
    pattern: Any = None
    """Of `text:`: an expression of RE2."""
    steps: tuple[_Step, ...] = field(default=())
    """Of `json:` and `xml:`."""

    def matches(self, subject: Subject) -> bool:
        """Whether it names what a finding is about, or something that holds it."""
        if self.message and subject.message and self.message != subject.message:
            return False
        if self.area in ("json", "xml"):
            return subject.area == self.area and any(
                _covers(self.steps, location) for location in subject.locations if location is not None
            )
        if self.area == "name":
            return self._named(subject)
        if self.area == "body":
            return subject.area in ("body", "json", "xml", "text", "form", "event")
        if self.area != subject.area:
            return False
        return not self.name or self.name.lower() == subject.name.lower()

    def _named(self, subject: Subject) -> bool:
        if subject.name:
            return subject.name.lower() == self.name.lower()
        return any(
            str(part[0] if isinstance(part, tuple) else part).removeprefix("@").lower() == self.name.lower()
            for location in subject.locations
            for part in location or ()
            if not isinstance(part, int)
        )


def parse_selector(text: str) -> DiffSelector:
    """Read a selector. `SelectorError` says what was expected."""
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise SelectorError(f"{text!r}: {_expected()}")
    message, area, name = match[1] or "", match[2], match[3]
    if area in _WORDS and name is None:
        return DiffSelector(text, message, area)
    if not name or area not in (*_NAMED, "json", "xml", "text"):
        raise SelectorError(f"{text!r}: {_expected()}")
    if area == "json":
        return DiffSelector(text, message, area, steps=_steps(text, name))
    if area == "xml":
        return DiffSelector(text, message, area, steps=_xml_steps(text, name))
    if area == "text":
        if fault := regex_fault(name):
            raise SelectorError(f"{text!r}: {fault}")
        return DiffSelector(text, message, area, pattern=compile_regex(name, captures=True))
    return DiffSelector(text, message, area, name)


def parse_place(path: str) -> Callable[[Location], bool]:
    """Whether a place is the one, or one of those, that a JSONPath names. Raises `SelectorError`."""
    steps = _steps(path, path)
    return lambda location: _leads_to(steps, location)


def _expected() -> str:
    named = ", ".join(f"{area}:NAME" for area in _NAMED)
    return f"expected one of {named}, json:PATH, xml:PATH, text:REGEX, or a word: {', '.join(_WORDS)}"


def _steps(text: str, path: str) -> tuple[_Step, ...]:
    # Imported here: only a path needs them, and they take a tenth of a second.
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
                # Other filters and slices would have to see the documents.
                raise SelectorError(f"{text!r}: only names, indexes, [*], .. and [?@.id==…] can be used here")
        steps.append((isinstance(segment, JSONPathRecursiveDescentSegment), tuple(taken)))
    return tuple(steps)


def _xml_steps(text: str, path: str) -> tuple[_Step, ...]:
    """The steps of `/order/item[2]/@price`; `//` and `*` as in XPath, and `[*]` is every one."""
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
    """Whether the steps lead to a place on the way to a location, or to the location itself."""
    return bool(_reached(steps, location))


def _leads_to(steps: tuple[_Step, ...], location: Location) -> bool:
    """Whether the steps lead to a location itself."""
    return len(location) in _reached(steps, location)


def _reached(steps: tuple[_Step, ...], location: Location) -> set[int]:
    """How many parts of a location the steps may take."""
    # All ways at once: with several `..` there are far more of them than places.
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
        return isinstance(part, Item) and part.told == want[1:]
    return want == (part[0] if isinstance(part, tuple) else part)
