"""Compare two scalar values: exactly, or only by type if they are volatile."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from mockrec.formats.diff.compare.volatile import (
    MARK,
    Window,
    are_same_type,
    fits_mark,
    mask,
    mask_marks,
    may_be_in_value,
    shape_of,
)
from mockrec.formats.diff.model.options import AnyOrder

Number = (int, float, Decimal)

_MOST_HEADS = 2048
_LONGEST_HEAD = 4096
"""Masked header fields that are cached, and the characters of one."""
_ROUGHLY = 32


@dataclass
class HiddenText:
    """A pattern that is ignored in every text: `--ignore text:REGEX`."""

    pattern: Any
    """A compiled RE2 expression."""
    count: int = 0
    """Number of matches so far."""

    def remove_from(self, text: str) -> str:
        """Return the text with each match replaced."""
        text, count = self.pattern.subn("<ignored>", text)
        self.count += count
        return text


def _common_length(a: str, b: str) -> int:
    """Return the length of the common beginning of two texts, or at most `_ROUGHLY` characters less; by bisection."""
    low, high = 0, min(len(a), len(b))
    while high - low > _ROUGHLY:
        middle = (low + high) // 2
        if b.startswith(a[low:middle], low):
            low = middle
        else:
            high = middle
    return low


@lru_cache(maxsize=1024)
def _host(name: str) -> re.Pattern[str]:
    """Return a pattern for a host that is not part of a longer name or number; before it may be an escape like
    `%2F`."""
    return re.compile(rf"(?:(?<![\w.-])|(?<=%[0-9A-Fa-f]{{2}})){re.escape(name)}(?![\w-]|\.\w)")


class ValueComparer:
    """Compares scalar values, by the rules of one comparison of two sessions."""

    def __init__(
        self,
        window: Window,
        *,
        strict: bool = False,
        marks_comparable: bool = False,
        own: tuple[Sequence[str], Sequence[str]] = ((), ()),
        hidden: Sequence[HiddenText] = (),
        any_order: tuple[AnyOrder, ...] = (),
    ) -> None:
        self.strict = strict
        self.any_order = any_order
        """Predicates for the places of arrays whose order does not count."""
        self._window = window
        self._marks_comparable = marks_comparable
        self._own = own
        """Names of hosts in A and in B; names with the same index mean the same host."""
        self._hidden = tuple(hidden)
        self._in_parts = not self._hidden and '"' not in "".join((*own[0], *own[1]))
        self._by_type = not strict and not any(map(may_be_in_value, (*own[0], *own[1])))
        """Whether ids and times of a text need no comparison: no host's name is a part of one."""
        self._heads: dict[tuple[int, str], str] = {}
        self.with_hosts = lru_cache(maxsize=256)(self._with_hosts)

    def _with_hosts(self, a: str, b: str) -> ValueComparer:
        """Return a comparer for a pair of exchanges whose host is named `a` in A and `b` in B."""
        if a == b:
            return self
        own = ((a, *self._own[0]), (b, *self._own[1]))
        return ValueComparer(
            self._window,
            strict=self.strict,
            marks_comparable=self._marks_comparable,
            own=own,
            hidden=self._hidden,
            any_order=self.any_order,
        )

    def same_text(self, a: str, b: str) -> bool:
        """True if two texts are equal, apart from volatile values unless `strict`."""
        if a == b:
            return True
        masked_a, masked_b = self.masked(a, 0), self.masked(b, 1)
        if masked_a == masked_b:
            return True
        if not self.strict and (shape := shape_of(a)) and shape == shape_of(b):
            return True
        if bool(MARK.search(a)) == bool(MARK.search(b)):
            return False
        # The sessions were recorded with different redactions.
        marked, plain = (a, b) if MARK.search(a) else (b, a)
        return fits_mark(marked, plain)

    def same(self, a: Any, b: Any) -> bool:
        """True if two scalars of JSON are equal, see `same_text`. True and 1 have different types."""
        if isinstance(a, str) and isinstance(b, str):
            return self.same_text(a, b)
        if isinstance(a, bool) or isinstance(b, bool) or a is None or b is None:
            return a is b
        if not (isinstance(a, Number) and isinstance(b, Number)):
            return False
        return a == b or (not self.strict and self._both_times(a, b))

    def _both_times(self, a: Any, b: Any) -> bool:
        try:
            unit = self._window.unit(float(a))
            return unit != 0.0 and unit == self._window.unit(float(b))
        except (OverflowError, ValueError):
            return False

    def whole(self, text: str, side: int) -> str:
        """Return the comparable part of a whole value: like `masked`, but also ids that only their shape reveals are
        replaced."""
        return ("" if self.strict else shape_of(text)) or self.masked(text, side)

    def same_masked(self, a: str, b: str) -> bool:
        """True if a text of A and one of B are equal when masked.

        No volatile value contains a quotation mark, so texts are split at these marks, and only parts that differ are
        masked: in a long body that is a small share of it.
        """
        if not self._in_parts or (self._own[0] != self._own[1] and self._names_host(a, b)):
            return self.masked(a, 0) == self.masked(b, 1)
        # The parts of a common beginning are equal.
        start = a.rfind('"', 0, _common_length(a, b)) + 1
        parts_a, parts_b = a[start:].split('"'), b[start:].split('"')
        if len(parts_a) != len(parts_b):
            return False
        by_type = self._by_type
        for one, other in zip(parts_a, parts_b, strict=True):
            if one == other or (by_type and are_same_type(one, other)):
                continue
            if self.masked(one, 0) != self.masked(other, 1):
                return False
        return True

    def mask_both_sides_alike(self, a: str, b: str) -> bool:
        """True if `masked` makes the same of these texts for A and for B, and counts nothing."""
        own_a, own_b = self._own
        if self._hidden:
            return False
        return own_a == own_b or not any(name in text for text in (a, b) for name in (*own_a, *own_b))

    def _names_host(self, a: str, b: str) -> bool:
        """True if one text contains a host that has another name in the other session."""
        return any(name in text for text, names in ((a, self._own[0]), (b, self._own[1])) for name in names)

    def masked_head(self, text: str, side: int) -> str:
        """Like `masked`, but cached, for header fields, which are often the same."""
        if self._hidden or len(text) > _LONGEST_HEAD:
            return self.masked(text, side)  # hidden texts are counted each time
        cached = self._heads.get((side, text))
        if cached is None:
            if len(self._heads) >= _MOST_HEADS:
                self._heads.clear()
            cached = self._heads[side, text] = self.masked(text, side)
        return cached

    def masked(self, text: str, side: int) -> str:
        """Return the comparable form of a text: hosts, hidden texts and volatile values replaced. `side` is 0 for A, 1
        for B."""
        for number, name in enumerate(self._own[side]):
            if name in text:
                text = _host(name).sub(f"<host-{len(self._own[side]) - number}>", text)
        for hidden in self._hidden:
            text = hidden.remove_from(text)
        if not self._marks_comparable:
            text = mask_marks(text)
        return text if self.strict else mask(text, self._window)
