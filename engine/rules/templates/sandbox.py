"""The Jinja2 environment of templates. Only `template.py` imports it, at the first text with template marks.

Undefined names are errors, no function that changes a value can be called, and every operation whose result can be much
larger than its input asks a budget first (`budget.py`): a rule file may come from a stranger, and its templates get
values that clients send. Nothing is evaluated when a template is compiled, and only what is listed here can be called.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, time, timedelta, tzinfo
from types import BuiltinMethodType, MethodType
from typing import Any, Final

import jinja2
import jinja2.exceptions
import jinja2.meta
import jinja2.sandbox
from jinja2 import nodes
from jinja2.lexer import Token, TokenStream
from jinja2.runtime import BlockReference, Context, LoopContext, Macro, Undefined
from jinja2.utils import Cycler, Joiner, Namespace

from mockrec.engine.rules.templates.budget import (
    CHARS_A_STEP,
    MAX_BITS,
    Budget,
    LimitError,
    is_small,
    measure,
    width,
)
from mockrec.engine.rules.templates.filters import contains_cost, filters, tests
from mockrec.engine.rules.templates.operators import INTERNAL, output
from mockrec.engine.rules.templates.syntax_tree import rewritten
from mockrec.engine.rules.templates.text_sizes import METHODS, TextFormat, printf_size

MAX_TOKENS: Final = 100_000
"""Limit of words and signs of one template."""
MAX_SOURCE: Final = 1024 * 1024
"""Limit of characters of one template: Jinja2's lexer takes 240 bytes for each digit of a long number."""

_CALL_STEPS = 10
_MACRO_STEPS = 20
_LIPSUM_WORD = 16
_STRFTIME_GROWTH = 256
_LIST_METHODS = frozenset({"count", "index"})
_DICT_METHODS = frozenset({"get", "items", "keys", "values", "copy"})
_NUMBER_METHODS = frozenset({"as_integer_ratio", "bit_count", "bit_length", "conjugate", "hex", "is_integer"})
_TIMES = (date, time, timedelta, tzinfo)  # a datetime is a date
_OWN = (Cycler, Joiner, LoopContext)
_OPEN = frozenset({str, int, float, list, tuple, dict, LoopContext})
"""Types whose public attributes can all be read; `call` decides which of them may be called."""


class _Context(Context):
    """The context of a rendering, with its budget."""

    budget: Budget

    def derived(self, locals: dict[str, Any] | None = None) -> Context:  # noqa: A002
        context = super().derived(locals)
        context.budget = self.budget  # type: ignore[attr-defined]
        return context


class _Environment(jinja2.sandbox.SandboxedEnvironment):
    context_class = _Context
    intercepted_binops = frozenset(jinja2.sandbox.SandboxedEnvironment.default_binop_table)

    def __init__(self) -> None:
        super().__init__(
            undefined=jinja2.StrictUndefined,
            keep_trailing_newline=True,
            autoescape=False,
            optimized=False,
            finalize=output,
        )
        self.policies["json.dumps_kwargs"] = {"sort_keys": True, "allow_nan": False}
        self.filters = {**filters(), **INTERNAL}
        self.tests = tests()

    # ── while it is compiled ───────────────────────────────────────────────────────────────────────

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        return rewritten(super()._parse(source, name, filename))

    def _tokenize(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> TokenStream:
        stream = super()._tokenize(source, name, filename, state)
        return TokenStream(_counted(stream), name, filename)

    # ── while it is rendered ───────────────────────────────────────────────────────────────────────

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if type(obj) in _OPEN:
            return not attr.startswith("_")
        return not isinstance(obj, type) and super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Any:
        """`format` and `format_map` of texts, which get the budget in `call`."""
        if isinstance(value, (BuiltinMethodType, MethodType)) and value.__name__ in ("format", "format_map"):
            owner = value.__self__
            if isinstance(owner, str):
                return TextFormat(self, owner, is_map=value.__name__ == "format_map")
        return None

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        budget: Budget = context.budget
        act = self.binop_table[operator]
        if is_small(left) and is_small(right) and operator != "**":
            return act(left, right)
        if operator == "%" and isinstance(left, (str, bytes)):
            printf_size(budget, "the operator %", left, right)
            return budget.made(act(left, right), "the operator %")
        what = f"the operator {operator}"
        if isinstance(left, (int, float)) and isinstance(right, (int, float)):
            _check_number(operator, left, right, what)
            budget.spend(2, what)
            return act(left, right)
        if operator == "*":
            for sequence, count in ((left, right), (right, left)):
                if hasattr(sequence, "__len__") and isinstance(count, int):
                    item = width(sequence) if isinstance(sequence, str) else 8 * len(sequence)
                    budget.fits(item * max(0, count), what)
        else:
            for side in (left, right):
                budget.fits(width(side) if isinstance(side, str) else 8 * _length(side), what)
                budget.spend(_length(side) // CHARS_A_STEP, what)
        budget.spend(2, what)
        return budget.made(act(left, right), what)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        budget: Budget = __context.budget
        budget.spend(_CALL_STEPS + len(args) + len(kwargs), "a call")
        if isinstance(__obj, BuiltinMethodType):
            # `Context.call` adds these for its own functions only.
            kwargs.pop("_loop_vars", None)
            kwargs.pop("_block_vars", None)
            return _call_method(budget, __obj, args, kwargs)
        if isinstance(__obj, TextFormat):
            kwargs.pop("_loop_vars", None)
            kwargs.pop("_block_vars", None)
            return __obj(budget, *args, **kwargs)
        if isinstance(__obj, (Macro, BlockReference, LoopContext)):
            what = f"the macro {__obj.name}" if isinstance(__obj, Macro) else "the template"
            if isinstance(__obj, LoopContext):
                args = tuple(budget.each(item, what) for item in args)
            budget.enter(what)
            budget.spend(_MACRO_STEPS, what)
            try:
                return budget.made(super().call(__context, __obj, *args, **kwargs), what)
            finally:
                budget.depth -= 1
        if not _may_be_called(__obj):
            raise jinja2.exceptions.SecurityError(f"{_name_of(__obj)} cannot be called in a template")
        args = _ask(budget, __obj, args, kwargs)
        return budget.made(super().call(__context, __obj, *args, **kwargs), _name_of(__obj))


# ── calls ──────────────────────────────────────────────────────────────────────────────────────────


def _call_method(budget: Budget, method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    owner, name = method.__self__, method.__name__
    what = f".{name}()"
    if isinstance(owner, (str, bytes)) and name in METHODS:
        budget.spend(len(owner) // CHARS_A_STEP, what)
        items = METHODS[name](budget, what, owner, *args, **kwargs)
        if items is not None:
            args = (items,)
    elif isinstance(owner, (list, tuple, range)) and name in _LIST_METHODS:
        for item in args[:1]:
            contains_cost(budget, what, item, owner)
    elif isinstance(owner, dict) and name in _DICT_METHODS:
        if name == "get":
            measure(args[:1], budget, what)
        elif name == "copy":
            budget.spend(_length(owner), what)
    elif isinstance(owner, _TIMES):
        for item in (*args, *kwargs.values()):
            if isinstance(item, str):
                budget.fits(_STRFTIME_GROWTH * len(item), what)
                budget.spend(len(item), what)
    elif not (isinstance(owner, (int, float)) and name in _NUMBER_METHODS):
        raise jinja2.exceptions.SecurityError(f"{what} of a {type(owner).__name__} cannot be called in a template")
    return budget.made(method(*args, **kwargs), what)


def _may_be_called(value: Any) -> bool:
    owner = getattr(value, "__self__", None)
    if isinstance(value, type) or value is _LIPSUM or value is _RANGE:
        return value in _GLOBALS
    if getattr(value, "in_templates", False) is True or isinstance(value, (Undefined, *_OWN)):
        return True
    return isinstance(owner, (*_OWN, *_TIMES, str, Mapping))


def _ask(budget: Budget, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Check that a call of one of Jinja2's own functions fits the budget. Returns the arguments for the call."""
    owner = getattr(value, "__self__", None)
    if value is _LIPSUM:
        words = _argument(args, kwargs, 0, "n", 5) * _argument(args, kwargs, 3, "max", 100)
        budget.spend(10 * words, "lipsum")
        budget.fits(_LIPSUM_WORD * words, "lipsum")
    elif value is dict:
        for item in args:
            measure(item, budget, "dict")
            budget.each(item, "dict", size=100)
    elif isinstance(owner, LoopContext):
        measure(args, budget, "loop")
    elif isinstance(owner, str):
        # Markup's methods are those of str; they escape their arguments.
        name = value.__name__
        if name not in METHODS:
            raise jinja2.exceptions.SecurityError(f".{name}() of a text cannot be called in a template")
        budget.spend(len(owner) // CHARS_A_STEP, name)
        items = METHODS[name](budget, f".{name}()", owner, *args, **kwargs)
        args = args if items is None else (items,)
        budget.fits(6 * sum(measure(item, budget, name) for item in args), name)
    elif isinstance(owner, _TIMES):
        size = sum(len(item) for item in (*args, *kwargs.values()) if isinstance(item, str))
        budget.fits(_STRFTIME_GROWTH * size, "a time")
        budget.spend(size, "a time")
    return args


def _argument(args: tuple[Any, ...], kwargs: dict[str, Any], index: int, name: str, default: int) -> int:
    value = args[index] if len(args) > index else kwargs.get(name, default)
    return abs(value) if isinstance(value, int) else default


def _name_of(value: Any) -> str:
    return getattr(value, "__name__", None) or f"a {type(value).__name__}"


# ── operators ──────────────────────────────────────────────────────────────────────────────────────


def _check_number(operator: str, left: float, right: float, what: str) -> None:
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length()
        if operator == "**":
            bits = bits * right if abs(left) > 1 else 1
        elif operator == "*":
            bits += right.bit_length()
        if bits > MAX_BITS:
            raise LimitError(f"{what} makes a number of more than {MAX_BITS:,} bits")


def _length(value: Any) -> int:
    try:
        return len(value)
    except TypeError:
        return 1


def _counted(stream: TokenStream) -> Iterator[Token]:
    for number, token in enumerate(stream):
        if number >= MAX_TOKENS:
            message = f"the template has more than {MAX_TOKENS:,} words and signs"
            raise jinja2.TemplateSyntaxError(message, token.lineno)
        yield token


_ENVIRONMENT = _Environment()
_LIPSUM = _ENVIRONMENT.globals["lipsum"]
_RANGE = _ENVIRONMENT.globals["range"]
_GLOBALS = (dict, Cycler, Joiner, Namespace, _LIPSUM, _RANGE)


def compile_source(text: str) -> jinja2.Template:
    """Compile a template. Raises `jinja2.TemplateSyntaxError`, and what Python raises for code that is too large."""
    if len(text) > MAX_SOURCE:
        raise jinja2.TemplateSyntaxError(f"the template has more than {MAX_SOURCE:,} characters", 1)
    return _ENVIRONMENT.from_string(text)


def pieces(template: jinja2.Template, values: dict[str, Any], budget: Budget) -> Iterator[str]:
    """The output of a template, piece by piece. Raises any exception that an expression of the template raises."""
    # As `template.new_context`, without its chains of mappings, which took half of the time of a small template.
    context = _Context(_ENVIRONMENT, {**_ENVIRONMENT.globals, **values}, template.name, template.blocks)
    context.budget = budget
    try:
        yield from template.root_render_func(context)
    except Exception:
        _ENVIRONMENT.handle_exception()


def names_in(text: str) -> set[str]:
    """The names that a template uses from its context."""
    if len(text) > MAX_SOURCE:
        return set()
    try:
        return jinja2.meta.find_undeclared_variables(_ENVIRONMENT.parse(text))
    except (jinja2.TemplateSyntaxError, RecursionError, ValueError):
        return set()


def syntax_error(error: Exception) -> tuple[int, str] | None:
    """The line in the template, from 1, and the message of a syntax error; None for any other error."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return error.lineno, error.message or "the template is malformed"
    if isinstance(error, (RecursionError, MemoryError)):
        return 1, "the template is nested too deeply"
    return None
