"""JSONPath (RFC 9535), with two additions to the library: patterns take linear time, and queries have a cost.

`jsonpath_rfc9535` is imported where a path is used: it is slow to import, and few rule files have one.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from mockrec.formats.text.regex import RegexError, compile_regex

_MOST_PATTERN = 1000
"""Limit of characters of an I-Regexp (RFC 9485), which may come from the document."""


def compile_path(path: str) -> Any:
    """Compile a query. `match` and `search` use RE2, so they take linear time for every text. Raises JSONPathError."""
    return _environment().compile(path)


def path_cost(path: str) -> str:
    """The growth of a query's work: `singular` (one value), `linear` (in the size of the document), or `any`."""
    query = compile_path(path)
    if query.singular_query():
        return "singular"
    from jsonpath_rfc9535.segments import JSONPathRecursiveDescentSegment
    from jsonpath_rfc9535.selectors import FilterSelector

    descents = sum(isinstance(segment, JSONPathRecursiveDescentSegment) for segment in query.segments)
    filters = [one for segment in query.segments for one in segment.selectors if isinstance(one, FilterSelector)]
    if descents > 1 or not all(_is_cheap(one.expression) for one in filters):
        return "any"
    return "linear"


def _is_cheap(expression: Any) -> bool:
    """Whether a filter looks at one or two values for each node: no query for many values, no text function."""
    from jsonpath_rfc9535 import filter_expressions as parts

    match expression:
        case parts.FilterQuery():
            return bool(expression.query.singular_query())
        case parts.FunctionExtension():
            return expression.name == "length" and all(map(_is_cheap, expression.args))
        case parts.FilterExpression():
            return _is_cheap(expression.expression)
        case parts.PrefixExpression():
            return _is_cheap(expression.right)
        case parts.LogicalExpression() | parts.ComparisonExpression():
            return _is_cheap(expression.left) and _is_cheap(expression.right)
    return isinstance(expression, parts.FilterExpressionLiteral)


@lru_cache(maxsize=1)
def _environment() -> Any:
    import jsonpath_rfc9535
    from iregexp_check import check
    from jsonpath_rfc9535.function_extensions import ExpressionType, FilterFunction

    class Matching(FilterFunction):
        """`match` (RFC 9535, 2.4.6) and `search` (2.4.7)."""

        arg_types = [ExpressionType.VALUE, ExpressionType.VALUE]  # noqa: RUF012 - as the library has it
        return_type = ExpressionType.LOGICAL

        def __init__(self, *, whole: bool) -> None:
            self._whole = whole

        def __call__(self, text: object, pattern: object) -> bool:
            if not isinstance(text, str) or not isinstance(pattern, str) or len(pattern) > _MOST_PATTERN:
                return False
            try:
                if not check(pattern):
                    return False
                expression = compile_regex(_for_re2(pattern))
            except (RegexError, UnicodeEncodeError):
                return False
            data = text.encode("utf-8", "surrogatepass")
            return (expression.fullmatch(data) if self._whole else expression.search(data)) is not None

    environment = jsonpath_rfc9535.JSONPathEnvironment()
    environment.function_extensions["match"] = Matching(whole=True)
    environment.function_extensions["search"] = Matching(whole=False)
    return environment


def _for_re2(pattern: str) -> str:
    """An I-Regexp (RFC 9485) in RE2's syntax: its `.` matches neither line feed nor carriage return."""
    pieces = []
    escaped = in_class = False
    for character in pattern:
        if character == "." and not (escaped or in_class):
            character = r"[^\n\r]"
        elif character in "[]" and not escaped:
            in_class = character == "["
        escaped = character == "\\" and not escaped
        pieces.append(character)
    return "".join(pieces)
