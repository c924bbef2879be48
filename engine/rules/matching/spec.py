"""What there is to know about one matcher of the rule language: the row of `table.py`.

The loader, the JSON Schema, the reference page, the compiler (`match.py`) and the explanations (`explain/`) are
derived from the rows. There are four kinds: a matcher of one value, one whose value is a mapping of entries that
match one by one (`headers`), one that combines other matchers (`not`), and the user's own function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any

from mockrec.engine.rules.matching.deferral import Check
from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.wording import expected_words
from mockrec.engine.rules.yaml.types import ValueType


class Slot(IntEnum):
    """The place of a matcher's phrase in the sentence that explains a rule: `GET /a with header x-a "1"`."""

    METHOD = 0
    PATH = 1
    URL = 2
    PATTERN = 3
    """The last of the words that name the request; the phrases from here on are joined with "and"."""
    SERVER = 4
    ENTRY = 5
    DETAIL = 6


class Weight(Enum):
    """What a matcher counts when the rule nearest to an unmatched request is chosen (`explain/nearest.py`)."""

    PATH = "path"
    METHOD = "method"
    DETAIL = "detail"


def _itself(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MatcherSpec:
    """What all kinds have."""

    key: str
    """The key of the rule language."""
    about: str
    """The meaning, for the JSON Schema and the reference page."""
    rank: int
    """Order of the checks and of explained mismatches; low for a cheap check that rules out most requests."""
    slot: Slot = Slot.DETAIL
    weight: Weight = Weight.DETAIL
    reads_body: bool = False
    """Whether the check needs the complete body. One that cannot be decoded or parsed (ValueError) does not match."""
    expected_of: Callable[[Any], Any] = _itself
    """The value as loaded → the expected value; None where every request matches."""
    canonical: Callable[[Any], Any] = _itself
    """The expected value, or its plain YAML → a value that is equal where the meaning is."""
    warning: Callable[[Any], str | None] = lambda _: None
    """The value as loaded → what `check` says about one that is allowed, but hardly meant."""
    suggestion: Callable[[RequestView], Sequence[str]] | None = None
    """Keys and values in YAML that would match the request: `exactQuery: "?a=1"`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ValueSpec(MatcherSpec):
    """A matcher of one value."""

    type: ValueType[Any]
    check: Callable[[Any], Check]
    """Expected value → check."""
    is_pattern: bool = False
    """Whether the expected value is a regular expression."""
    quick_size: Callable[[Any], int] | None = None
    """Expected value → bytes of a body up to which the check takes some milliseconds at most, where that depends."""
    sets_params: bool = False
    """Whether a match sets `RequestView.params`."""
    phrase: Callable[[Any], str]
    """Expected value → its part of the sentence that explains a rule; may be empty."""
    expected: Callable[[Any], str] = expected_words
    """Expected value → what follows "expected" where it did not match."""
    found: Callable[[RequestView], str]
    """What follows "found" where it did not match. May raise ValueError for a body that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EntriesSpec(MatcherSpec):
    """A matcher whose value is a mapping; each entry is checked, and explained, by itself."""

    slot: Slot = Slot.ENTRY
    type: ValueType[Any]
    check: Callable[[str, Any], Check]
    """An entry's name and expected value → check."""
    quick_size: Callable[[str], int] | None = None
    """An entry's name → as in `ValueSpec`."""
    noun: str
    """What an entry is: `header`."""
    values: Callable[[RequestView, str], Sequence[Any]]
    """The request's values of a name. May raise ValueError for a body that cannot be read."""
    can_match: Callable[[RequestView], bool] = lambda _: True
    """Whether a request can match at all, for suggestions."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NestedSpec(MatcherSpec):
    """A matcher that combines sets of matchers."""

    is_list: bool = False
    """Whether the value is a list of sets, and not one set."""
    combine: Callable[[tuple[Check, ...]], Check]
    """The check of each set → check."""
    sets_params: bool = False
    """Whether parameters of a set that matches count."""
    phrase: str
    """Its part of the sentence that explains a rule, with `{}` for the sets."""
    expected: str
    """What follows "expected" where it did not match, with `{}` for the sets."""
    found: str
    """What follows "found" where it did not match."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UserSpec(MatcherSpec):
    """A function of the user, called when every other matcher of the rule matches."""

    type: ValueType[Any]
    phrase: Callable[[Any], str]


AnySpec = ValueSpec | EntriesSpec | NestedSpec | UserSpec
