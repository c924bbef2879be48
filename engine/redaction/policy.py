"""Which values are secret: the default list of names, and the selectors of `record.redact`, which take precedence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from mockrec.engine.bounded_cache import remember
from mockrec.engine.redaction.names import is_secret_name
from mockrec.engine.rules.json_paths import compile_path
from mockrec.formats.schema.vocabulary import VALUE_KINDS, Selector, parse_selector
from mockrec.formats.text.late_regex import late_regex
from mockrec.formats.text.regex import compile_regex

_MOST_REMEMBERED = 8192
_SURROGATE = late_regex("[\ud800-\udfff]")

ANYWHERE: Final = ""
"""The place of a name that is in no known part of a message: a field of an event, or `name=value` in a text."""


def _names(selector: Selector, place: str, name: str, side: str) -> bool:
    """Return whether a selector names a value with this (lower-case) name at a place."""
    if selector.value.lower() != name or not selector.is_about(side):
        return False
    kind = selector.kind
    return kind == "name" or kind == place or (place == ANYWHERE and kind in ("query", "form"))


class Policy:
    """Decides which values are secret. `add` takes precedence over the default list, `keep` over both."""

    def __init__(self, add: Iterable[str] = (), keep: Iterable[str] = ()) -> None:
        """Raises ValueError for a text that is not a selector."""
        self.add = tuple(add)
        self.keep = tuple(keep)
        added, kept = ([parse_selector(text, VALUE_KINDS) for text in texts] for texts in (self.add, self.keep))
        self._add = [one for one in added if one.kind not in ("json", "text")]
        self._keep = [one for one in kept if one.kind not in ("json", "text")]
        self.names = tuple(one.value for one in self._add)
        """Names beyond the default list."""
        self.texts = _expressions(added)
        """Expressions whose matches are replaced everywhere."""
        self.kept_texts = _expressions(kept)
        """Expressions of values that are kept: those that one of them matches as a whole."""
        self.paths = _paths(added)
        self.kept_paths = _paths(kept)
        self._judged: dict[tuple[str, str, str], bool] = {}

    def is_secret(self, place: str, name: str, side: str) -> bool:
        """Return whether a value of this name is secret at a place: header, cookie, query, form, json, or anywhere."""
        key = (place, side, name)
        judged = self._judged.get(key)
        if judged is None:
            judged = remember(self._judged, key, self._judge(place, name, side), _MOST_REMEMBERED)
        return judged

    def keeps(self, place: str, name: str, side: str) -> bool:
        """Return whether a selector of `keep` names the value."""
        return any(_names(one, place, name.lower(), side) for one in self._keep)

    def keeps_value(self, value: str, side: str) -> bool:
        """Return whether a `text:` of `keep` matches the whole value."""
        if not self.kept_texts or _SURROGATE.search(value) is not None:  # RE2 takes no text that is not UTF-8
            return False
        return any(one.is_about(side) and expression.fullmatch(value) for one, expression in self.kept_texts)

    def _judge(self, place: str, name: str, side: str) -> bool:
        if self.keeps(place, name, side):
            return False
        lower = name.lower()
        if place == "cookie" or is_secret_name(name, place):
            return True
        return any(_names(one, place, lower, side) for one in self._add)

    @property
    def description(self) -> dict[str, list[str]]:
        """The selectors as `session-started` has them: without expressions, which may contain a secret."""
        given = {"add": self.add, "keep": self.keep}
        return {key: [_shown(text) for text in texts] for key, texts in given.items() if texts}


def _shown(text: str) -> str:
    one = parse_selector(text, VALUE_KINDS)
    return text.removesuffix(one.value) + "…" if one.kind == "text" else text


def _expressions(selectors: Sequence[Selector]) -> list[tuple[Selector, Any]]:
    return [(one, compile_regex(one.value, captures=True)) for one in selectors if one.kind == "text"]


def _paths(selectors: Sequence[Selector]) -> list[tuple[Selector, Any]]:
    if not any(one.kind == "json" for one in selectors):
        return []
    return [(one, compile_path(one.value)) for one in selectors if one.kind == "json"]
