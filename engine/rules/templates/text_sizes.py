"""Sizes of the results of operations on texts: `%`, `format`, `replace` and the methods of texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from string import whitespace
from typing import Any, Final

from jinja2.environment import Environment
from jinja2.sandbox import SandboxedFormatter
from markupsafe import EscapeFormatter

from mockrec.engine.rules.templates.budget import CHARS_A_STEP, SMALL, Budget, LimitError, is_small, measure, width

_CONVERSION = re.compile(r"%(?:\([^()]*\))?[#0\- +]*(\*|\d+)?(?:\.(\*|\d+)?)?")
_NESTED_NAME = re.compile(r"%\([^)]*\(")
_DIGITS = re.compile(r"\d+")
_CONVERSION_STEPS = 5
_CACHED_CHARS = 200
_WORD = 64
"""Bytes of a short text and its place in a list."""
_LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
_CHARSETS = frozenset({"utf-8", "utf8", "ascii", "us-ascii", "latin-1", "latin1", "iso-8859-1", "utf-16", "utf-32"})
"""Codecs that work in one pass; `punycode`, for one, does not."""


def line_count(text: str) -> int:
    """The most lines that `splitlines` finds."""
    return 1 + sum(map(text.count, _LINE_ENDS))


def replaced_size(budget: Budget, what: str, text: str, old: str, new: str) -> None:
    """Check that `text.replace(old, new)` fits the budget."""
    search_steps(budget, what, text, old)
    found = text.count(old)
    budget.spend(found // 4, what)
    budget.fits(width(text) + found * width(new) + (0 if text.isascii() and new.isascii() else 3 * len(text)), what)


def search_steps(budget: Budget, what: str, text: str | bytes, part: str | bytes, *, backwards: bool = False) -> None:
    """Take the steps of a search. Only backwards does Python take up to the product of both lengths."""
    length = len(part) if backwards else min(len(part), 100)
    budget.spend(len(text) * (1 + length) // CHARS_A_STEP, what)


def printf_size(budget: Budget, what: str, form: str | bytes, values: Any) -> None:
    """Check that `form % values` fits the budget."""
    text = form.decode("latin-1") if isinstance(form, bytes) else form
    analyse = _analysed if len(text) <= _CACHED_CHARS else _analysed.__wrapped__
    count, size, starred = analyse(text)
    budget.spend(_CONVERSION_STEPS * count + len(text) // CHARS_A_STEP, what)
    items = values if isinstance(values, tuple) else (values,)
    if isinstance(values, dict):
        # The text may hold each name, and the whole mapping, any number of times.
        largest = max((measure([item], budget, what) for item in values.values()), default=0)
        size += count * (largest if "(" in text else measure(values, budget, what))
    else:
        for item in items:
            size += SMALL if is_small(item) else measure([item], budget, what)
    if starred:
        size += starred * max((abs(item) for item in items if isinstance(item, int)), default=0)
    budget.fits(size, what)


@lru_cache(maxsize=256)
def _analysed(text: str) -> tuple[int, int, int]:
    """The number of conversions in a text for `%`, the bytes of the text and its widths, the number of `*` widths."""
    size = width(text)
    starred = text.count("*")
    if _NESTED_NAME.search(text):
        size += sum(_as_size(found) for found in _DIGITS.findall(text))
    else:
        size += sum(_as_size(found) for pair in _CONVERSION.findall(text) for found in pair if found not in ("", "*"))
    return text.count("%"), size, starred


def _as_size(digits: str) -> int:
    return int(digits) if len(digits) < 15 else 10**15


class _Formatter(SandboxedFormatter):
    """`str.format`, with a check of the budget for each field."""

    def __init__(self, env: Environment, budget: Budget, what: str, **kwargs: Any) -> None:
        super().__init__(env, **kwargs)
        self._budget = budget
        self._what = what

    def convert_field(self, value: Any, conversion: Any) -> Any:
        self._budget.spend(4 * _CONVERSION_STEPS, self._what)
        if conversion is not None:
            self._budget.fits(measure([value], self._budget, self._what), self._what)
            return self._budget.made(super().convert_field(value, conversion), self._what)
        return super().convert_field(value, conversion)

    def format_field(self, value: Any, format_spec: str) -> Any:
        size = measure(value, self._budget, self._what) + 256 * len(format_spec)
        size += sum(_as_size(found) for found in _DIGITS.findall(format_spec))
        self._budget.fits(size, self._what)
        return self._budget.made(super().format_field(value, format_spec), self._what)


class _EscapingFormatter(_Formatter, EscapeFormatter):
    """The formatter of texts that are marked as safe."""


class TextFormat:
    """The bound method `format` or `format_map` of a text; it gets the budget as an argument."""

    __slots__ = ("_environment", "_is_map", "_text")

    def __init__(self, environment: Environment, text: str, *, is_map: bool) -> None:
        self._environment = environment
        self._text = text
        self._is_map = is_map

    def __call__(self, budget: Budget, *args: Any, **kwargs: Any) -> str:
        what = ".format_map()" if self._is_map else ".format()"
        if self._is_map:
            if len(args) != 1 or kwargs:
                raise TypeError("format_map() takes one mapping")
            kwargs, args = args[0], ()
        budget.spend(len(self._text) // CHARS_A_STEP, what)
        kind = type(self._text)
        escape = getattr(self._text, "escape", None)
        formatter = (
            _Formatter(self._environment, budget, what)
            if escape is None
            else _EscapingFormatter(self._environment, budget, what, escape=escape)
        )
        return kind(formatter.vformat(self._text, args, kwargs))


# ── methods ────────────────────────────────────────────────────────────────────────────────────────


def _plain(growth: int) -> Callable[..., None]:
    def cost(budget: Budget, what: str, text: Any, *args: Any, **kwargs: Any) -> None:
        budget.fits(growth * _size(text), what)

    return cost


def _padded(budget: Budget, what: str, text: Any, width: Any = 0, fill: Any = "") -> None:
    budget.fits(4 * (len(text) + _number(width)), what)


def _expandtabs(budget: Budget, what: str, text: Any, tabsize: Any = 8) -> None:
    tabs = text.count("\t" if isinstance(text, str) else b"\t")
    budget.fits(4 * (len(text) + tabs * _number(tabsize)), what)


def _searched(budget: Budget, what: str, text: Any, part: Any = "", *args: Any) -> None:
    if isinstance(part, (str, bytes)):
        search_steps(budget, what, text, part, backwards=what.startswith(".r"))
    elif isinstance(part, tuple):
        budget.spend(sum(len(item) // CHARS_A_STEP + 1 for item in part if isinstance(item, (str, bytes))), what)


def _split(budget: Budget, what: str, text: Any, sep: Any = None, maxsplit: Any = -1) -> None:
    if isinstance(sep, (str, bytes)):
        search_steps(budget, what, text, sep, backwards=what.startswith(".r"))
        pieces = text.count(sep) if sep else 0
    elif isinstance(text, str) and text.isascii():
        pieces = sum(map(text.count, whitespace))
    else:
        pieces = len(text) // 2
    budget.spend(pieces // 2, what)
    budget.fits(_size(text) + _WORD * (pieces + 1), what)


def _splitlines(budget: Budget, what: str, text: Any, keepends: Any = False) -> None:
    lines = line_count(text) if isinstance(text, str) else len(text)
    budget.spend(lines // 2, what)
    budget.fits(_size(text) + _WORD * lines, what)


def _joined(budget: Budget, what: str, text: Any, items: Any = ()) -> list[Any]:
    listed: list[Any] = list(budget.each(items, what))
    size = sum(_size(item) for item in listed if isinstance(item, (str, bytes)))
    budget.fits(size + _size(text) * len(listed), what)
    return listed


def _replaced(budget: Budget, what: str, text: Any, old: Any = "", new: Any = "", count: Any = -1) -> None:
    if isinstance(text, str) and isinstance(old, str) and isinstance(new, str):
        replaced_size(budget, what, text, old, new)
    elif isinstance(text, bytes):
        raise LimitError(f"{what} cannot be called on bytes in a template")


def _stripped(budget: Budget, what: str, text: Any, chars: Any = None) -> None:
    budget.spend(len(text) * (1 + len(chars or "")) // CHARS_A_STEP, what)


def _translated(budget: Budget, what: str, text: Any, table: Any = None) -> None:
    values: Iterable[Any] = table.values() if isinstance(table, dict) else ()
    longest = max((len(item) for item in budget.each(values, what) if isinstance(item, str)), default=1)
    budget.spend(len(text) // 4, what)
    budget.fits(4 * len(text) * longest, what)


def _coded(budget: Budget, what: str, text: Any, encoding: Any = "utf-8", errors: Any = "strict") -> None:
    if str(encoding).lower() not in _CHARSETS or errors not in ("strict", "ignore", "replace"):
        raise LimitError(f"{what} knows UTF-8, ASCII, Latin-1, UTF-16 and UTF-32 in a template")
    budget.fits(4 * len(text) + 4, what)


METHODS: Final[dict[str, Callable[..., Any]]] = {
    **dict.fromkeys(("capitalize", "casefold", "lower", "swapcase", "title", "upper", "hex"), _plain(3)),
    **dict.fromkeys(("center", "ljust", "rjust", "zfill"), _padded),
    **dict.fromkeys(("count", "endswith", "find", "index", "rfind", "rindex", "startswith"), _searched),
    **dict.fromkeys(("partition", "rpartition", "removeprefix", "removesuffix"), _searched),
    **dict.fromkeys(("split", "rsplit"), _split),
    **dict.fromkeys(("strip", "lstrip", "rstrip"), _stripped),
    **dict.fromkeys(("encode", "decode"), _coded),
    **dict.fromkeys(
        (
            "isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier", "islower", "isnumeric",
            "isprintable", "isspace", "istitle", "isupper", "maketrans",
        ),
        _plain(1),
    ),
    "expandtabs": _expandtabs,
    "join": _joined,
    "replace": _replaced,
    "splitlines": _splitlines,
    "translate": _translated,
}  # fmt: skip
"""Methods of texts and bytes that templates may call → their cost beyond one scan of the text."""


def _size(text: Any) -> int:
    return width(text) if isinstance(text, str) else len(text)


def _number(value: Any) -> int:
    return abs(value) if isinstance(value, int) else 0
