"""Jinja2's filters and tests, each with a cost that is taken before it begins.

A function in `_COSTS` has the filter's parameters after the budget. It takes the steps of the work, checks that the
result fits, and returns the value for the filter. The bytes of the actual result are taken afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, Final

from jinja2 import pass_context
from jinja2.filters import FILTERS
from jinja2.tests import TESTS
from jinja2.utils import _PassArg
from markupsafe import Markup, soft_str

from mockrec.engine.rules.templates.budget import CHARS_A_STEP, Budget, LimitError, is_small, measure, width
from mockrec.engine.rules.templates.text_sizes import line_count, printf_size, replaced_size

_FILTER_STEPS = 10
"""Cost of the call of a filter."""
_WORD = 64
"""Bytes of a short text and its place in a list."""
_MAX_PRECISION = 1000
_MAX_DIGITS = 4300

Cost = Callable[..., Any]


def guarded(name: str, function: Callable[..., Any], cost: Cost | None, kind: str = "filter") -> Callable[..., Any]:
    """A filter or test that asks the budget first, and takes the bytes of its result from it."""
    passed = _PassArg.from_obj(function)
    what = f"the {kind} {name}"

    @pass_context
    @wraps(function)
    def asking(context: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        budget: Budget = context.budget
        budget.steps -= _FILTER_STEPS
        if args or kwargs:
            for argument in (*args, *kwargs.values()):
                budget.steps -= 1 + len(argument) // CHARS_A_STEP if isinstance(argument, str) else 1
        if budget.steps < 0:
            raise budget.too_long(what)
        if cost is not None:
            value = cost(budget, what, value, *args, **kwargs)
        if passed is None:
            return budget.made(function(value, *args, **kwargs), what)
        first = context
        if passed is _PassArg.eval_context:
            first = context.eval_ctx
        elif passed is _PassArg.environment:
            first = context.environment
        return budget.made(function(first, value, *args, **kwargs), what)

    # `wraps` has copied the value of the wrapped function.
    asking.jinja_pass_arg = _PassArg.context  # type: ignore[attr-defined]
    return asking


# ── texts ──────────────────────────────────────────────────────────────────────────────────────────


def text_of(budget: Budget, what: str, value: Any) -> str:
    """The text of any value, as filters get it."""
    if not isinstance(value, str):
        budget.fits(measure(value, budget, what), what)
        value = soft_str(value)
        budget.take(width(value), what)
    return value  # type: ignore[no-any-return]


def _text(growth: int = 1, chars_a_step: int = CHARS_A_STEP) -> Cost:
    """The cost of a filter whose work and result are in proportion to the text."""

    def cost(budget: Budget, what: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = text_of(budget, what, value)
        budget.spend(len(text) // chars_a_step, what)
        budget.fits(growth * width(text), what)
        return text

    return cost


def _markup(budget: Budget, what: str, value: Any) -> Any:
    """The cost of filters that keep the mark of safe texts."""
    return value if hasattr(value, "__html__") and not isinstance(value, str) else _text(6)(budget, what, value)


def _center(budget: Budget, what: str, value: Any, width: int = 80) -> Any:
    text = text_of(budget, what, value)
    budget.fits(4 * (len(text) + _number(width)), what)
    return text


def _indent(budget: Budget, what: str, s: Any, width: int | str = 4, first: bool = False, blank: bool = False) -> Any:
    text = text_of(budget, what, s)
    lines = line_count(text)
    prefix = 4 * len(width) if isinstance(width, str) else _number(width)
    budget.spend(len(text) // CHARS_A_STEP + lines, what)
    budget.fits(4 * len(text) + lines * (prefix + _WORD), what)
    return text


def _wordwrap(
    budget: Budget,
    what: str,
    s: Any,
    width: int = 79,
    break_long_words: bool = True,
    wrapstring: str | None = None,
    break_on_hyphens: bool = True,
) -> Any:
    text = text_of(budget, what, s)
    # A word that is far longer than a line is copied once for each of its lines.
    lines = len(text) // max(1, _number(width)) + line_count(text)
    budget.spend(2 * len(text) + 20 * lines + lines * len(text) // 8192, what)
    budget.fits(4 * len(text) + lines * (_WORD + 4 * len(wrapstring or "")), what)
    return text


def _urlize(
    budget: Budget,
    what: str,
    value: Any,
    trim_url_limit: int | None = None,
    nofollow: bool = False,
    target: str | None = None,
    rel: str | None = None,
    extra_schemes: Iterable[str] | None = None,
) -> Any:
    text = text_of(budget, what, value)
    budget.spend(len(text) // 4, what)
    words = text.split()
    # The trailing punctuation of a word is tried sign by sign, and brackets are balanced one at a time.
    schemes = len(list(extra_schemes)) if extra_schemes is not None else 0
    budget.spend(sum(40 + schemes + len(word) * len(word) // 4 for word in words), what)
    attributes = 64 + 6 * len(target or "") + 6 * len(rel or "")
    budget.fits((12 + 12 * schemes) * width(text) + len(words) * (1 + schemes) * attributes, what)
    return text


def _urlencode(budget: Budget, what: str, value: Any) -> Any:
    if not isinstance(value, str):
        budget.fits(3 * measure(value, budget, what), what)
        return budget.each(value, what, 40)
    return _text(12, chars_a_step=1)(budget, what, value)


def _replace(budget: Budget, what: str, s: Any, old: Any, new: Any, count: int | None = None) -> Any:
    text = text_of(budget, what, s)
    old, new = text_of(budget, what, old), text_of(budget, what, new)
    replaced_size(budget, what, text, old, new)
    return text


def _format(budget: Budget, what: str, value: Any, *args: Any, **kwargs: Any) -> Any:
    text = text_of(budget, what, value)
    printf_size(budget, what, text, kwargs or args)
    return text


def _truncate(budget: Budget, what: str, s: Any, *args: Any, **kwargs: Any) -> Any:
    return _text(2)(budget, what, s)


def _trim(budget: Budget, what: str, value: Any, chars: str | None = None) -> Any:
    text = text_of(budget, what, value)
    budget.spend(len(text) * (1 + len(chars or "")) // CHARS_A_STEP, what)
    return text


def _join(budget: Budget, what: str, value: Any, d: Any = "", attribute: Any = None) -> Any:
    items = _items(budget, what, value, attribute)
    separator = text_of(budget, what, d)
    size = 0
    for item in items if attribute is None else ():
        size += width(item) if isinstance(item, str) else measure(item, budget, what)
    if attribute is not None:
        size = measure(items, budget, what)
    budget.fits(6 * size if isinstance(separator, Markup) else size, what)
    budget.fits(size + width(separator) * len(items), what)
    return items


def _xmlattr(budget: Budget, what: str, d: Any, autospace: bool = True) -> Any:
    budget.fits(6 * measure(d, budget, what), what)
    return budget.each(d, what, 40)


def _tojson(budget: Budget, what: str, value: Any, indent: Any = None) -> Any:
    before = budget.steps
    size = measure(value, budget, what)
    nodes = before - budget.steps
    if indent is not None:
        size += nodes * 101 * (4 * len(indent) if isinstance(indent, str) else _number(indent) + 1)
        budget.spend(10 * nodes, what)
    budget.spend(size // CHARS_A_STEP, what)
    budget.fits(size, what)
    return value


def _pprint(budget: Budget, what: str, value: Any) -> Any:
    before = budget.steps
    size = measure(value, budget, what)
    # Each list is written once by itself, and once for each list around it.
    budget.spend(50 * (before - budget.steps) + size, what)
    budget.fits(2 * size, what)
    return value


# ── numbers ────────────────────────────────────────────────────────────────────────────────────────


def _number(value: Any) -> int:
    """The size of a width or count; 0 for another value, which the filter refuses itself."""
    return abs(value) if isinstance(value, int) else 0


def _round(budget: Budget, what: str, value: Any, precision: int = 0, method: str = "common") -> Any:
    if not isinstance(value, (int, float)) or _number(precision) > _MAX_PRECISION:
        raise LimitError(f"{what} takes numbers, and at most {_MAX_PRECISION} digits")
    return value


def _int(budget: Budget, what: str, value: Any, default: Any = 0, base: int = 10) -> Any:
    """A text with more digits than Python converts is no number."""
    return "" if isinstance(value, str) and len(value) > _MAX_DIGITS else value


def _float(budget: Budget, what: str, value: Any, default: Any = 0.0) -> Any:
    return _int(budget, what, value)


def _remainder(budget: Budget, what: str, value: Any, *args: Any) -> Any:
    """Numbers only: the filter applies `%`, which would format a text."""
    if not isinstance(value, (int, float)):
        raise LimitError(f"{what} takes numbers")
    return value


# ── lists ──────────────────────────────────────────────────────────────────────────────────────────


def _items(budget: Budget, what: str, value: Any, attribute: Any = None) -> list[Any]:
    """All items, in a new list."""
    items = list(budget.each(value, what, 2 + _attribute_steps(attribute), 8))
    if isinstance(value, str) and not value.isascii():
        budget.take(_WORD * len(items), what)
    return items


def _attribute_steps(attribute: Any) -> int:
    return (
        3 + 5 * (attribute.count(".") + attribute.count(",")) + len(attribute) // 8 if isinstance(attribute, str) else 0
    )


def _list(budget: Budget, what: str, value: Any, *args: Any, **kwargs: Any) -> Any:
    return _items(budget, what, value, kwargs.get("attribute"))


def _lazy(budget: Budget, what: str, value: Any, *args: Any, **kwargs: Any) -> Any:
    """The cost of filters that make their items lazily: each item is counted as it is taken."""
    attribute = kwargs.get("attribute", args[0] if args else None)
    return budget.each(value, what, 10 + _attribute_steps(attribute))


def _sorting(budget: Budget, what: str, value: Any, *args: Any, **kwargs: Any) -> Any:
    """The cost of filters that compare items with one another."""
    attribute = kwargs.get("attribute", next((item for item in args if isinstance(item, str)), None))
    items = value if isinstance(value, dict) else _items(budget, what, value, attribute)
    before = budget.steps
    size = measure(items, budget, what)
    once = before - budget.steps + size // CHARS_A_STEP + 10 * len(items)
    budget.spend(once * max(1, len(items).bit_length()), what)
    budget.fits(size, what)
    return items


def _batch(budget: Budget, what: str, value: Any, linecount: int, fill_with: Any = None) -> Any:
    if fill_with is not None:
        budget.fits(8 * _number(linecount), what)
    return budget.each(value, what, 4, 8)


def _slice(budget: Budget, what: str, value: Any, slices: int, fill_with: Any = None) -> Any:
    return _items(budget, what, value)


def _sum(budget: Budget, what: str, iterable: Any, attribute: Any = None, start: Any = 0) -> Any:
    items = _items(budget, what, iterable, attribute)
    if not is_small(start):
        # Each `+` copies the list.
        before = budget.steps
        measure(items, budget, what)
        budget.spend((before - budget.steps) * len(items) // 8, what)
        budget.fits(8 * (before - budget.steps), what)
    return items


def _reverse(budget: Budget, what: str, value: Any) -> Any:
    return _text()(budget, what, value) if isinstance(value, str) else _items(budget, what, value)


# ── comparisons ────────────────────────────────────────────────────────────────────────────────────


def compare_cost(budget: Budget, what: str, left: Any, right: Any = None) -> Any:
    """The cost of a comparison: each side is visited at most once, and not at all if one is a small value."""
    if is_small(left) or is_small(right):
        return left
    if isinstance(left, str) and isinstance(right, str):
        budget.spend(min(len(left), len(right)) // CHARS_A_STEP, what)
        return left
    measure(left, budget, what)
    measure(right, budget, what)
    return left


def contains_cost(budget: Budget, what: str, item: Any, seq: Any = ()) -> Any:
    """The cost of `in`: a search in a text, or a comparison with each item."""
    if isinstance(seq, str) and isinstance(item, str):
        budget.spend(len(seq) * (1 + min(len(item), 100)) // CHARS_A_STEP, what)
        return item
    if isinstance(seq, Mapping):
        measure(item, budget, what)
        return item
    size = measure(item, budget, what)
    measure(seq, budget, what)
    if isinstance(seq, (list, tuple)):
        budget.spend(len(seq) * (1 + size // CHARS_A_STEP), what)
    elif isinstance(seq, range):
        budget.spend(len(seq), what)
    return item


_COSTS: Final[dict[str, Cost]] = {
    **dict.fromkeys(("lower", "upper", "capitalize", "string", "safe"), _text(3)),
    **dict.fromkeys(("e", "escape", "forceescape"), _markup),
    "title": _text(3, chars_a_step=2),
    "striptags": _text(chars_a_step=8),
    "wordcount": _text(chars_a_step=4),
    "center": _center,
    "format": _format,
    "indent": _indent,
    "join": _join,
    "pprint": _pprint,
    "replace": _replace,
    "tojson": _tojson,
    "trim": _trim,
    "truncate": _truncate,
    "urlencode": _urlencode,
    "urlize": _urlize,
    "wordwrap": _wordwrap,
    "xmlattr": _xmlattr,
    "int": _int,
    "float": _float,
    "filesizeformat": _float,
    "round": _round,
    "batch": _batch,
    "slice": _slice,
    "sum": _sum,
    "reverse": _reverse,
    "list": _list,
    **dict.fromkeys(("items", "map", "select", "reject", "selectattr", "rejectattr"), _lazy),
    **dict.fromkeys(("dictsort", "groupby", "max", "min", "sort", "unique"), _sorting),
}
_FREE: Final = frozenset({"abs", "attr", "count", "d", "default", "first", "last", "length", "random"})
"""Filters whose work does not depend on the value."""

_TEST_COSTS: Final[dict[str, Cost]] = {
    **dict.fromkeys(("odd", "even", "divisibleby"), _remainder),
    **dict.fromkeys(("lower", "upper"), _text()),
    **dict.fromkeys(("==", "eq", "equalto", "!=", "ne", ">", "gt", "greaterthan", "ge", ">="), compare_cost),
    **dict.fromkeys(("<", "lt", "lessthan", "<=", "le"), compare_cost),
    "in": contains_cost,
}


def filters() -> dict[str, Any]:
    """Jinja2's filters that are listed here; one that a later version adds needs a cost first."""
    known: dict[str, Any] = {name: FILTERS[name] for name in (*_COSTS, *_FREE)}
    return {name: guarded(name, function, _COSTS.get(name)) for name, function in known.items()}


def tests() -> dict[str, Any]:
    """Jinja2's tests; those without a cost check a value's type only."""
    every: dict[str, Any] = dict(TESTS)
    guards = {name: guarded(name, every[name], cost, "test") for name, cost in _TEST_COSTS.items()}
    return {**every, **guards}
