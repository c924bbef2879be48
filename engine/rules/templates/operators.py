"""The operators of templates that ask the budget; `syntax_tree.py` puts them in place of Jinja2's own."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, Final

from jinja2 import pass_context
from markupsafe import Markup

from mockrec.engine.rules.templates.budget import CHARS_A_STEP, Budget, measure, width
from mockrec.engine.rules.templates.filters import Cost, compare_cost, contains_cost, text_of
from mockrec.engine.rules.templates.syntax_tree import COMPARE, CONCAT, EACH, KEY, SLICE, SPEND

_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
    "in": lambda left, right: left in right,
    "notin": lambda left, right: left not in right,
}
_ORDINARY = 10**12
"""Limit of numbers whose text is too short to count."""


@pass_context
def output(context: Any, value: Any) -> Any:
    """The output of `{{ }}`."""
    budget: Budget = context.budget
    if type(value) is str:
        budget.size -= len(value)
        if budget.size < 0:
            raise budget.too_large("the text")
        if context.eval_ctx.autoescape:
            budget.take(5 * width(value), "the text")
        return value
    if type(value) is int and -_ORDINARY < value < _ORDINARY:
        return value
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"a number is not finite ({value}); JSON knows no such number")
    size = measure(value, budget, "the text")
    budget.take(6 * size if context.eval_ctx.autoescape else size, "the text")
    return value


@pass_context
def _each(context: Any, items: Any, steps: int, size: int) -> Any:
    return context.budget.each(items, "a loop", steps, size)


@pass_context
def _spend(context: Any, steps: int, size: int) -> None:
    context.budget.spend(steps, "the template")
    context.budget.take(size, "the text")


@pass_context
def _concat(context: Any, parts: tuple[Any, ...]) -> str:
    budget: Budget = context.budget
    what = "the operator ~"
    texts = [part if isinstance(part, str) else text_of(budget, what, part) for part in parts]
    if context.eval_ctx.autoescape or any(isinstance(text, Markup) for text in texts):
        budget.fits(6 * sum(map(width, texts)), what)
        if context.eval_ctx.autoescape:
            texts = [Markup.escape(text) for text in texts]
    budget.fits(sum(map(width, texts)), what)
    kind = Markup if context.eval_ctx.autoescape else str
    return budget.made(kind("".join(texts)), what)  # type: ignore[no-any-return]


@pass_context
def _compare(context: Any, left: Any, *operands: Any) -> Any:
    result: Any = True
    for index in range(0, len(operands), 2):
        name, right = operands[index], operands[index + 1]
        cost: Cost = contains_cost if name in ("in", "notin") else compare_cost
        cost(context.budget, "a comparison", left, right)
        result = _COMPARISONS[name](left, right)
        if not result:
            break
        left = right
    return result


@pass_context
def _slice(context: Any, value: Any, start: Any, stop: Any, step: Any) -> Any:
    budget: Budget = context.budget
    part = slice(start, stop, step)
    if isinstance(value, (str, list, tuple, bytes)):
        try:
            count = len(range(*part.indices(len(value))))
        except (TypeError, ValueError):
            count = 0  # the slice's own error
        budget.spend(1 + count // CHARS_A_STEP, "a slice")
        budget.fits(count * (4 if isinstance(value, str) else 8), "a slice")
    return budget.made(context.environment.getitem(value, part), "a slice")


@pass_context
def _key(context: Any, value: Any) -> Any:
    if isinstance(value, tuple):
        measure(value, context.budget, "a key")  # Python hashes it each time, and recurses in C
    return value


INTERNAL: Final[dict[str, Callable[..., Any]]] = {
    EACH: _each,
    SPEND: _spend,
    CONCAT: _concat,
    COMPARE: _compare,
    SLICE: _slice,
    KEY: _key,
}
