"""What one rendering may cost: steps of work, and bytes of text and values that it makes.

A template is written by one person, rendered in the event loop that serves everybody, and fed with what clients
send. So each operation that can make much out of little asks the budget *before* it begins. Two sizes are kept:

* `steps`: one is about 0.1 µs of work: an operation, an item that is looked at, 128 characters that are passed over.
* `size`: bytes of texts and lists, intermediate ones included; what is thrown away again counts too.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, ValuesView
from typing import Any, Final

from jinja2.runtime import Undefined
from jinja2.utils import Namespace

MAX_DEPTH: Final = 100
"""Lists inside one another, macros that call one another, levels of a recursive loop."""
MAX_BITS: Final = 16_384
"""Bits of a whole number; Python writes no longer one as text."""

CHARS_A_STEP: Final = 128
_VISIT_STEPS = 3
"""What looking at a value inside another costs."""
_MADE_STEPS = 5
"""What an item costs that a filter makes when it is asked for."""
_ITEM = 8
"""Bytes of a place in a list."""
_ENTRY = 100
"""Bytes of an entry in a mapping."""
SMALL: Final = 26
"""The most that a number of ordinary size takes as text, or true, false and none do."""
_SHORT = 512
"""More than the text of anything that is neither text, nor number, nor made of other values."""

_VIEWS: tuple[type, ...] = (KeysView, ValuesView, ItemsView)
_CONTAINERS = (list, tuple, dict, set, frozenset, Namespace, *_VIEWS)


class LimitError(ValueError):
    """A template wants more than it may have. The text says what does, how much is allowed, and what raises it."""


class Budget:
    """What is left for one rendering: all templates of a step for one request."""

    __slots__ = ("_max_size", "_max_steps", "depth", "size", "steps")

    def __init__(self, steps: int, size: int) -> None:
        self.steps = self._max_steps = steps
        self.size = self._max_size = size
        self.depth = 0

    @property
    def used(self) -> int:
        """Steps that were spent."""
        return self._max_steps - self.steps

    def spend(self, steps: int, what: str) -> None:
        """Take steps. Raises LimitError."""
        self.steps -= steps
        if self.steps < 0:
            raise self.too_long(what)

    def fits(self, size: int, what: str) -> None:
        """Raise LimitError unless so many bytes may still be made; they are taken when they have been."""
        if size > self.size:
            raise self.too_large(what)

    def take(self, size: int, what: str) -> None:
        """Take bytes. Raises LimitError."""
        self.size -= size
        if self.size < 0:
            raise self.too_large(what)

    def enter(self, what: str) -> None:
        """One call inside another; `depth` is to be counted down afterwards. Raises LimitError."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise LimitError(f"{what} calls itself more than {MAX_DEPTH} levels deep")

    def too_long(self, what: str) -> LimitError:
        return LimitError(
            f"{what} needs more than the {self._max_steps:,} steps of work that a template may take "
            "(server.limits.templateSteps raises that)"
        )

    def too_large(self, what: str) -> LimitError:
        return LimitError(
            f"{what} makes more than the {self._max_size:,} bytes of text and values that a template may make "
            "(server.limits.templateSize raises that)"
        )

    def made(self, value: Any, what: str) -> Any:
        """Take what a new value holds, and give it back; an iterator as one that counts."""
        kind = type(value)
        if kind is str:
            self.size -= len(value) if value.isascii() else 4 * len(value)
            if self.size < 0:
                raise self.too_large(what)
        elif isinstance(value, str):
            self.take(width(value), what)
        elif isinstance(value, (list, tuple, set, frozenset)):
            self.take(_ITEM * len(value), what)
        elif isinstance(value, dict):
            self.take(_ENTRY * len(value), what)
        elif isinstance(value, (bytes, bytearray)):
            self.take(len(value), what)
        elif kind is int:
            if value.bit_length() > MAX_BITS:
                raise LimitError(f"{what} makes a number of more than {MAX_BITS:,} bits")
        elif isinstance(value, Iterator) and kind is not Counted:
            return Counted(value, self, _MADE_STEPS, what)
        return value

    def each(self, value: Any, what: str, steps: int = 2, size: int = 0) -> Any:
        """`value` to be gone through, with what each item costs: at once where they can be counted, or as they come."""
        try:
            count = len(value)
        except TypeError:
            return Counted(value, self, steps, what, size) if isinstance(value, Iterable) else value
        self.spend(count * steps, what)
        self.take(count * size, what)
        return value


class Counted:
    """An iterator whose items cost steps as they are taken."""

    __slots__ = ("_budget", "_items", "_size", "_steps", "_what")

    def __init__(self, items: Iterable[Any], budget: Budget, steps: int, what: str, size: int = 0) -> None:
        self._items = iter(items)
        self._budget = budget
        self._steps = steps
        self._size = size
        self._what = what

    def __iter__(self) -> Counted:
        return self

    def __next__(self) -> Any:
        self._budget.spend(self._steps, self._what)
        # Whoever takes items may keep them.
        self._budget.take(self._size + _ITEM, self._what)
        return next(self._items)


def width(text: str) -> int:
    """The most bytes that a text takes."""
    return len(text) if text.isascii() else 4 * len(text)


def measure(value: Any, budget: Budget, what: str) -> int:
    """The most bytes that a value's text takes, as `str` or JSON write it. What is inside costs steps.

    A list may hold the same list many times, so its text may be far larger than it is itself. Raises LimitError
    as soon as there are no steps left, and for values that are too deep: some of Python's functions recurse in C.
    """
    if isinstance(value, str):
        return width(value)
    if not isinstance(value, _CONTAINERS):
        return _scalar(value)
    total = 0
    steps = budget.steps
    stack = [_children(value)]
    while stack:
        for item in stack[-1]:
            steps -= _VISIT_STEPS
            if isinstance(item, str):
                total += 12 * len(item) + 4  # "\\U0001f600" takes the most; JSON's surrogates are no longer
                steps -= len(item) // CHARS_A_STEP
            elif isinstance(item, _CONTAINERS):
                total += 16
                if len(stack) >= MAX_DEPTH:
                    raise LimitError(f"{what} gets a value that is more than {MAX_DEPTH} levels deep")
                stack.append(_children(item))
                break
            else:
                total += _scalar(item)
            if steps < 0:
                raise budget.too_long(what)
        else:
            stack.pop()
    budget.spend(budget.steps - steps, what)
    return total + 16


def is_small(value: Any) -> bool:
    """Whether a value is one that nothing can make large: a number, a boolean, none."""
    return value is None or isinstance(value, (bool, float)) or (type(value) is int and value.bit_length() < 64)


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, Namespace):
        value = value._Namespace__attrs
    if isinstance(value, dict):
        return _flat(value)
    return iter(value)


def _flat(value: dict[Any, Any]) -> Iterator[Any]:
    for key, item in value.items():
        yield key
        yield item


def _scalar(value: Any) -> int:
    if type(value) is int:
        return 4 + value.bit_length() // 3
    if isinstance(value, (bytes, bytearray)):
        return 4 * len(value) + 4
    if value is None or isinstance(value, (bool, float)):
        return SMALL
    return 0 if isinstance(value, Undefined) else _SHORT
