"""Parses an expression to a plan, by the grammar

    expr   : term ( ("or" | "||") term )*
    term   : factor ( ("and" | "&&")? factor )*             without a word between: and
    factor : ("not" | "!") factor | "(" expr ")" | test
    test   : field | field op value | field "in" "(" value ("," value)* ")" | field "in" low ".." high
    field  : name ("." name)* | name "[" argument "]"       alone: the field has a value
    op     : == = != < <= > >= ~ ~* !~ !~* contains startswith endswith

`a != b` is short for `a and not a == b`, and `!~` likewise: a test on a field without a value is false.
"""

from __future__ import annotations

from mockrec.formats.query.checks import Check, Present, Text
from mockrec.formats.query.errors import nearest
from mockrec.formats.query.field import Field
from mockrec.formats.query.fields import resolve, with_query
from mockrec.formats.query.plan import Both, Either, Not, Plan, PlanNode, Test, TestAnswer
from mockrec.formats.query.tokens import WORD_OPERATORS, Reader, Word
from mockrec.formats.query.values import ValueProblem, make_checks, make_range, split_range

MAX_LENGTH = 10_000
MAX_DEPTH = 50
"""Nesting of brackets and `not`."""

_IN_QUERY = frozenset("?&")
"""Characters that a path without a query hardly has."""
_OPERATORS = "==, !=, <, <=, >, >=, ~, ~*, contains, startswith, endswith or in"
_FALSE_FRIENDS = {
    "is": "==",
    "eq": "==",
    "equals": "==",
    "ne": "!=",
    "gt": ">",
    "ge": ">=",
    "lt": "<",
    "le": "<=",
    "matches": "~",
    "like": "contains or ~",
    "includes": "contains",
    "has": "contains",
    "exists": "the name alone",
    "between": "in low..high",
}
"""Operators of other languages → the operator of this one."""


def parse(expression: str, *, records: bool = False) -> Plan:
    """The plan of an expression. Raises `FilterError`."""
    return _Parser(expression, records).parse()


class _Parser:
    def __init__(self, expression: str, records: bool) -> None:
        self._expression = expression
        self._records = records
        self._reader = Reader(expression)
        self._tests: dict[Test, int] = {}
        self._depth = 0

    def parse(self) -> Plan:
        reader = self._reader
        if len(self._expression) > MAX_LENGTH:
            message = f"the expression has {len(self._expression)} characters, more than {MAX_LENGTH}"
            raise reader.error(message, MAX_LENGTH)
        for position, char in enumerate(self._expression):
            if "\ud800" <= char <= "\udfff":  # Python's form of a byte on the command line that is not UTF-8
                raise reader.error("this is no UTF-8", position)
        if reader.at_end:
            raise reader.error("expected a test such as status >= 500, found nothing")
        root = self._expr()
        if reader.position < len(self._expression):
            if self._expression[reader.position] == ")":
                raise reader.error("this bracket was not opened")
            raise reader.error(f"expected and, or, or the end, found {reader.found()}")
        return Plan(self._expression, self._records, root, tuple(self._tests))

    def _expr(self) -> PlanNode:
        parts = [self._term()]
        while self._reader.connective("or"):
            parts.append(self._term())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _term(self) -> PlanNode:
        parts = [self._factor()]
        while self._reader.connective("and") or self._at_factor():
            parts.append(self._factor())
        return parts[0] if len(parts) == 1 else Both(tuple(parts))

    def _at_factor(self) -> bool:
        """Whether another factor follows without `and`."""
        reader = self._reader
        if reader.at_end:
            return False
        start = reader.position
        negated = bool(reader.connective("not"))
        reader.position = start
        if negated:
            return True
        if reader.at_connective():
            return False
        char = reader.expression[reader.position]
        return char == "(" or char.isalpha() or char == "_"

    def _factor(self) -> PlanNode:
        reader = self._reader
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise reader.error(f"more than {MAX_DEPTH} brackets inside one another")
        try:
            if reader.connective("not"):
                return Not(self._factor())
            opened = reader.position
            if reader.sign("("):
                inner = self._expr()
                if not reader.sign(")"):
                    if reader.at_end:
                        raise reader.error("the bracket that opens here is not closed", opened)
                    raise reader.error(f"expected and, or, or ), found {reader.found()}")
                return inner
            return self._test()
        finally:
            self._depth -= 1

    def _test(self) -> PlanNode:
        reader = self._reader
        start = reader.position
        if word := reader.connective("and", "or"):
            raise reader.error(f"expected a test such as status >= 500, found {word!r}", start)
        name = reader.name()
        if name is None:
            raise reader.error(f"expected a test such as status >= 500, found {reader.found()}")
        field = resolve(self._expression, name, records=self._records)
        operator = reader.operator()
        if operator is None:
            self._refuse_operator()
            return self._leaf(field, (Present(),))
        if operator.text == "in":
            return self._leaf(field, self._set(field))
        negated = operator.text.startswith("!")
        wanted = {"=": "==", "!=": "=="}.get(operator.text, operator.text.lstrip("!"))
        value = reader.value()
        if value is None or (value.text.lower() in ("and", "or") and not value.quoted):
            place = reader.position if value is None else value.position
            found = reader.found() if value is None else repr(value.text)
            raise reader.error(f"expected {field.kind.value} after {operator.text}, found {found}", place)
        leaf = self._leaf(field, self._checks(field, wanted, value))
        if not negated:
            return leaf
        return Both((self._leaf(field, (Present(),)), Not(leaf)))

    def _refuse_operator(self) -> None:
        """Raise an error for a word that looks like an operator: clearer than to take it as a field after an `and`."""
        reader = self._reader
        char = reader.expression[reader.position : reader.position + 1]
        if char and char not in "()" and not char.isalpha() and char != "_" and not reader.at_connective():
            raise reader.error(f"expected {_OPERATORS}, found {reader.found()}")
        word = reader.word()
        if word.lower() in _FALSE_FRIENDS:
            raise reader.error(f"expected {_OPERATORS}, found {word!r} (did you mean {_FALSE_FRIENDS[word.lower()]}?)")
        if known := nearest(word, WORD_OPERATORS) if len(word) > 3 else "":
            raise reader.error(f"expected {_OPERATORS}, found {word!r}{known}")

    def _set(self, field: Field) -> tuple[Check, ...]:
        """Parse a set or a range, after `in`."""
        reader = self._reader
        opened = reader.position
        if not reader.sign("("):
            value = reader.value()
            if value is None:
                raise reader.error(f"expected ( or low..high after in, found {reader.found()}")
            ends = split_range(value)
            if ends is None:
                raise reader.error(f"expected ( or low..high after in, found {value.text!r}", value.position)
            return self._checks(field, "==", value)
        checks: list[Check] = []
        while True:
            value = reader.value(item=True)
            if value is None:
                if reader.at_end:
                    raise reader.error("the bracket that opens here is not closed", opened)
                raise reader.error(f"expected {field.kind.value}, found {reader.found()}")
            checks += self._checks(field, "==", value)
            if reader.sign(")"):
                return tuple(checks)
            if not reader.sign(","):
                if reader.at_end:
                    raise reader.error("the bracket that opens here is not closed", opened)
                raise reader.error(f"expected a comma or ), found {reader.found()}")

    def _checks(self, field: Field, operator: str, value: Word) -> tuple[Check, ...]:
        try:
            ends = split_range(value) if operator == "==" and field.kind.takes_ranges else None
            if ends is not None:
                return make_range(field.kind, *ends)
            return make_checks(field.kind, operator, value, field.folding)
        except ValueProblem as error:
            raise self._reader.error(error.message, error.position) from None

    def _leaf(self, field: Field, checks: tuple[Check, ...]) -> TestAnswer:
        """The answer of a test; equal tests have the same number."""
        if any(isinstance(check, Text) and not _IN_QUERY.isdisjoint(check.value) for check in checks):
            field = with_query(field)
        return TestAnswer(self._tests.setdefault(Test(field, checks), len(self._tests)))
