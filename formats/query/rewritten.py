"""Plans made of other plans: with the marks of redacted values, and for hints why a filter has found nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from mockrec.formats.query.checks import Check, RegexCheck, Text
from mockrec.formats.query.fields import other_side
from mockrec.formats.query.plan import Plan, Test
from mockrec.formats.query.values import FieldType

_ANY_MARK = RegexCheck("redacted-[0-9a-f]{8}")
_COMPARED = ("==", "contains", "startswith", "endswith")
_BEFORE_SECRET = re.compile(r"[^\s=]{1,100}(?: +|=)")
"""A scheme (`Bearer `) or a name (`sid=`) before a secret, which redaction keeps."""


def with_marks(plan: Plan, mark: Callable[[str], str]) -> Plan:
    """The plan with a further check for each compared value: it also matches the value's redaction mark."""
    return _with_checks(plan, lambda check: _marked(check, mark))


def hidden(plan: Plan) -> Plan | None:
    """The plan in which any redaction mark matches a compared text; None if the plan compares no text."""
    made = _with_checks(plan, lambda check: iter((_ANY_MARK,)))
    return None if made.tests == plan.tests else made


def of_requests(plan: Plan) -> Plan | None:
    """The plan with the bodies of requests in place of those of responses; None if it has no test on such a body."""
    tests = tuple(replace(test, field=other_side(test.field)) for test in plan.tests)
    return None if tests == plan.tests else Plan(plan.expression, plan.records, plan.root, tests)


def _with_checks(plan: Plan, further: Callable[[Text], Iterator[Check]]) -> Plan:
    return Plan(plan.expression, plan.records, plan.root, tuple(_extended(test, further) for test in plan.tests))


def _extended(test: Test, further: Callable[[Text], Iterator[Check]]) -> Test:
    if test.field.kind not in (FieldType.TEXT, FieldType.ANY):
        return test
    texts = [check for check in test.checks if isinstance(check, Text) and check.operator in _COMPARED]
    added = [one for check in texts for one in further(check)]
    return replace(test, checks=tuple(dict.fromkeys((*test.checks, *added)))) if added else test


def _marked(check: Text, mark: Callable[[str], str]) -> Iterator[Text]:
    if check.value:
        yield Text(check.operator, mark(check.value))
    before = _BEFORE_SECRET.match(check.value)
    if before is not None and before.end() < len(check.value):
        yield Text(check.operator, before[0] + mark(check.value[before.end() :]))
