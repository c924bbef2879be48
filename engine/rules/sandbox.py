"""The Jinja2 environment that templates run in. Only `template.py` imports this, and only when it must.

Names that are not defined are errors, values cannot be changed, and the operators that could make a huge
value out of a small one are bounded. It is no fence against the author of a rule file, who may run code
anyway, but against requests whose values reach a template.
"""

from __future__ import annotations

from typing import Any

import jinja2
import jinja2.meta
import jinja2.sandbox

MAX_REPEAT = 1024 * 1024
"""Items or characters that `*` may make."""
MAX_BITS = 4096
"""Bits of a number that `**` may make."""


class _Environment(jinja2.sandbox.ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset(("*", "**"))

    def call_binop(self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "*":
            for sequence, count in ((left, right), (right, left)):
                if hasattr(sequence, "__len__") and isinstance(count, int) and len(sequence) * count > MAX_REPEAT:
                    raise ValueError(f"* would make more than {MAX_REPEAT} items")
        elif isinstance(left, int) and isinstance(right, int) and left.bit_length() * right > MAX_BITS:
            raise ValueError(f"** would make a number of more than {MAX_BITS} bits")
        return super().call_binop(context, operator, left, right)


_ENVIRONMENT = _Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)


def compile_source(text: str) -> jinja2.Template:
    """Raises `jinja2.TemplateSyntaxError`."""
    return _ENVIRONMENT.from_string(text)


def names_in(text: str) -> set[str]:
    """The names that a template takes from its context."""
    try:
        return jinja2.meta.find_undeclared_variables(_ENVIRONMENT.parse(text))
    except jinja2.TemplateSyntaxError:
        return set()


def syntax_error(error: Exception) -> tuple[int, str] | None:
    """Line in the template, from 1, and message, if `error` is one of its syntax."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return error.lineno, error.message or "the template is malformed"
    return None
