"""The budget of one rendering: steps of work, and bytes of the text and values that it makes.

Templates are rendered in the event loop that serves all clients, with values that clients send. So each operation whose
result can be much larger than its input asks the budget *before* it begins. The budget has two parts:

* `steps`: one is about 0.1 µs of work: an operation, an item that is visited, 128 characters that are scanned.
* `size`: bytes of texts and lists, including intermediate ones that are discarded.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, ValuesView
from typing import Any, Final

from jinja2.runtime import Undefined
from jinja2.utils import Namespace

MAX_DEPTH: Final = 100
"""Depth of nested lists, of macro calls, and of a recursive loop."""
MAX_BITS: Final = 16_384
"""Bits of a whole number; Python converts no longer ones to text."""

CHARS_A_STEP: Final = 128
_VISIT_STEPS = 3
"""Cost of visiting a value inside another."""
_MADE_STEPS = 5
"""Cost of an item that a filter makes lazily."""
_ITEM = 8
"""Bytes of a place in a list."""
_ENTRY = 100
"""Bytes of an entry in a mapping."""
SMALL: Final = 26
"""Largest size of the text of an ordinary number, of true, false and none."""
_SHORT = 512
"""More than the text of any value that is neither a text, nor a number, nor a container."""

_VIEWS: tuple[type, ...] = (KeysView, ValuesView, ItemsView)
_CONTAINERS = (list, tuple, dict, set, frozenset, Namespace, *_VIEWS)


class LimitError(ValueError):
    """A template exceeds a limit. The text names the operation, the limit, and the setting that raises it."""


class Budget:
    """The remaining budget of one rendering: all templates of a step, for one request."""

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
        """Raise LimitError if fewer than `size` bytes are left. They are taken once they have been made."""
        if size > self.size:
            raise self.too_large(what)

    def take(self, size: int, what: str) -> None:
        """Take bytes. Raises LimitError."""
        self.size -= size
        if self.size < 0:
            raise self.too_large(what)

    def enter(self, what: str) -> None:
        """Begin a nested call; the caller decrements `depth` afterwards. Raises LimitError."""
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
        """Take the bytes of a new value. Returns the value, or for an iterator one that counts its items."""
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
        """Take the cost of every item of `value`: now if it has a length, else as they are taken from the result."""
        try:
            count = len(value)
        except TypeError:
            return Counted(value, self, steps, what, size) if isinstance(value, Iterable) else value
        self.spend(count * steps, what)
        self.take(count * size, what)
        return value


class Counted:
    """An iterator that takes the cost of each item from the budget."""

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
        # The consumer may keep the items.
        self._budget.take(self._size + _ITEM, self._what)
        return next(self._items)


def width(text: str) -> int:
    """The largest size of a text, in bytes."""
    return len(text) if text.isascii() else 4 * len(text)


def measure(value: Any, budget: Budget, what: str) -> int:
    """The largest size of a value's text, in bytes, as `str` or JSON writes it. Takes steps for every value inside.

    A list may hold the same list many times, so its text may be far larger than the list. Raises LimitError as soon as
    there are no steps left, and for values that are nested too deeply: some of Python's functions recurse in C.
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
    """Whether a value is always small: an ordinary number, a boolean, none."""
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
