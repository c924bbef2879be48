"""The rows of `table.py`: everything that the program knows about one matcher of the rule language.

The loader, the JSON Schema, the reference page, the compiler (`match.py`) and the explanations (`explain/`) are
derived from the rows. There are four kinds: a matcher of one value, one whose value is a mapping of entries that
match one by one (`headers`), one that combines other matchers (`not`), and the user's own function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, IntEnum
from typing import Any

import msgspec

from mockrec.engine.rules.matching.deferral import Check, Question
from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.wording import expected_words
from mockrec.engine.rules.yaml.types import ValueType


class PhraseSlot(IntEnum):
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
    """The importance of a matcher in the search for the rule nearest to an unmatched request (`explain/nearest.py`)."""

    PATH = "path"
    METHOD = "method"
    DETAIL = "detail"


def _itself(value: Any) -> Any:
    return value


class MatcherSpec(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The fields of all kinds."""

    key: str
    """The key of the rule language."""
    about: str
    """The meaning, for the JSON Schema and the reference page."""
    rank: int
    """Order of the checks and of explained mismatches; low for a cheap check that rules out most requests."""
    slot: PhraseSlot = PhraseSlot.DETAIL
    weight: Weight = Weight.DETAIL
    reads_body: bool = False
    """Whether the check needs the complete body. One that cannot be decoded or parsed (ValueError) does not match."""
    head_only: Callable[[Any], bool] = lambda _: False
    """With `reads_body`: expected value → whether this one needs only the head all the same."""
    expected_of: Callable[[Any], Any] = _itself
    """The value as loaded → the expected value; None where every request matches."""
    canonical: Callable[[Any], Any] = _itself
    """The expected value, or its plain YAML → a value that is equal for equal meanings."""
    warning: Callable[[Any], str | None] = lambda _: None
    """The value as loaded → a warning about a value that is valid, but hardly intended."""
    suggestion: Callable[[RequestView], Sequence[str]] | None = None
    """Request → keys and values in YAML that would match it: `exactQuery: "?a=1"`."""

    def needs_body(self, expected: Any) -> bool:
        """Whether the check of an expected value needs the complete body."""
        return self.reads_body and not self.head_only(expected)


class ValueSpec(MatcherSpec, frozen=True, kw_only=True, eq=False):
    """A matcher of one value."""

    type: ValueType[Any]
    check: Callable[[Any], Check]
    """Expected value → check."""
    early_check: Callable[[Any, Question], Check] | None = None
    """With `reads_body`: expected value → a check that may answer before the body is complete, and returns None until
    it can. It defers what takes long by itself."""
    is_pattern: bool = False
    """Whether the expected value is a regular expression."""
    quick_size: Callable[[Any], int] | None = None
    """Expected value → bytes of a body up to which the check takes some milliseconds at most, where that depends."""
    sets_params: bool = False
    """Whether a match sets `RequestView.params`."""
    phrase: Callable[[Any], str]
    """Expected value → its part of the sentence that explains a rule; may be empty."""
    expected: Callable[[Any], str] = expected_words
    """Expected value → the text after "expected" in the explanation of a mismatch."""
    found: Callable[[RequestView], str]
    """Request → the text after "found" there. May raise ValueError for a body that cannot be read."""


class EntriesSpec(MatcherSpec, frozen=True, kw_only=True, eq=False):
    """A matcher whose value is a mapping; each entry is checked, and explained, by itself."""

    slot: PhraseSlot = PhraseSlot.ENTRY
    type: ValueType[Any]
    check: Callable[[str, Any], Check]
    """An entry's name and expected value → check."""
    quick_size: Callable[[str], int] | None = None
    """An entry's name → as in `ValueSpec`."""
    noun: str
    """The name for an entry in the sentence: `header`."""
    values: Callable[[RequestView, str], Sequence[Any]]
    """The request's values of a name. May raise ValueError for a body that cannot be read."""
    can_match: Callable[[RequestView], bool] = lambda _: True
    """Whether a request can match at all, for suggestions."""


class NestedSpec(MatcherSpec, frozen=True, kw_only=True, eq=False):
    """A matcher that combines sets of matchers."""

    is_list: bool = False
    """Whether the value is a list of sets, and not one set."""
    combine: Callable[[tuple[Check, ...]], Check]
    """The check of each set → check."""
    sets_params: bool = False
    """Whether parameters of a set that matches count."""
    phrase: str
    """The matcher's part of the sentence that explains a rule, with `{}` for the sets."""
    expected: str
    """The text after "expected" in the explanation of a mismatch, with `{}` for the sets."""
    found: str
    """The text after "found" there."""


class UserSpec(MatcherSpec, frozen=True, kw_only=True, eq=False):
    """A function of the user, called when every other matcher of the rule matches."""

    type: ValueType[Any]
    phrase: Callable[[Any], str]


AnySpec = ValueSpec | EntriesSpec | NestedSpec | UserSpec
