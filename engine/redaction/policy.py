"""Which values are secret: the default list of names, changed by the selectors of `record.redact`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mockrec.engine.bounded_cache import remember
from mockrec.engine.redaction.names import is_secret_name
from mockrec.engine.rules.json_paths import compile_path
from mockrec.engine.rules.language.names import SELECTOR
from mockrec.formats.text.regex import compile_regex

_MOST_REMEMBERED = 8192

ANYWHERE: Final = ""
"""The place of a name that stands in an event's data or in a text (`name=value`), not in a known part of a message."""


@dataclass(frozen=True, slots=True)
class SecretSelector:
    """One selector of `record.redact`."""

    kind: str
    value: str
    side: str
    """`request`, `response`, or empty for both."""

    def means(self, place: str, name: str, side: str) -> bool:
        """Return whether it selects the value of this name (in lower case) at a place of a side."""
        if self.value.lower() != name or not self.of(side):
            return False
        return self.kind == "name" or self.kind == place or (place == ANYWHERE and self.kind in ("query", "form"))

    def of(self, side: str) -> bool:
        """Return whether it applies to a side. Data of neither side (an event's) is selected for both."""
        return not (self.side and side) or self.side == side


def read_selector(text: str) -> SecretSelector:
    """Parse a selector. Raises ValueError."""
    found = SELECTOR.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a selector such as header:authorization or json:$.token")
    return SecretSelector(found[2], found[3], found[1] or "")


class Policy:
    """Decides what is secret. `add` overrides the default list, `keep` overrides both."""

    def __init__(self, add: Iterable[str] = (), keep: Iterable[str] = ()) -> None:
        """Raises ValueError for an invalid selector."""
        self.add = tuple(add)
        self.keep = tuple(keep)
        added, kept = [read_selector(text) for text in self.add], [read_selector(text) for text in self.keep]
        self._add = [one for one in added if one.kind not in ("json", "text")]
        self._keep = [one for one in kept if one.kind not in ("json", "text")]
        self.names = tuple(one.value for one in self._add)
        """Names beyond the default list."""
        self.texts = _expressions(added)
        """Expressions whose matches are replaced everywhere."""
        self.kept_texts = _expressions(kept)
        """Expressions of values that are kept: the whole value has to match."""
        self.paths = _paths(added)
        self.kept_paths = _paths(kept)
        self._judged: dict[tuple[str, str, str], bool] = {}

    def is_secret(self, place: str, name: str, side: str) -> bool:
        """Return whether the value of a name is secret at a place: header, cookie, query, form, json, or ANYWHERE."""
        key = (place, side, name)
        judged = self._judged.get(key)
        if judged is None:
            judged = remember(self._judged, key, self._judge(place, name, side), _MOST_REMEMBERED)
        return judged

    def keeps(self, place: str, name: str, side: str) -> bool:
        """Return whether `keep` selects the value of this name."""
        return any(one.means(place, name.lower(), side) for one in self._keep)

    def keeps_value(self, value: str, side: str) -> bool:
        """Return whether a `text:` selector of `keep` matches the whole value."""
        return any(one.of(side) and expression.fullmatch(value) for one, expression in self.kept_texts)

    def _judge(self, place: str, name: str, side: str) -> bool:
        if self.keeps(place, name, side):
            return False
        lower = name.lower()
        if place == "cookie" or is_secret_name(name, place):
            return True
        return any(one.means(place, lower, side) for one in self._add)

    @property
    def description(self) -> dict[str, list[str]]:
        """The selectors, as the first record lists them: without the expressions, which may contain a secret."""
        given = {"add": self.add, "keep": self.keep}
        return {key: [_shown(text) for text in texts] for key, texts in given.items() if texts}


def _shown(text: str) -> str:
    one = read_selector(text)
    return text.removesuffix(one.value) + "…" if one.kind == "text" else text


def _expressions(selectors: Sequence[SecretSelector]) -> list[tuple[SecretSelector, Any]]:
    return [(one, compile_regex(one.value, captures=True)) for one in selectors if one.kind == "text"]


def _paths(selectors: Sequence[SecretSelector]) -> list[tuple[SecretSelector, Any]]:
    if not any(one.kind == "json" for one in selectors):
        return []
    return [(one, compile_path(one.value)) for one in selectors if one.kind == "json"]
