"""The plain back end: computes the answers to a plan's tests for a record that is a dict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mockrec.formats.query.checks import Check, CheckFunction, compile_any
from mockrec.formats.query.extract import Context
from mockrec.formats.query.field import Field, FieldPath
from mockrec.formats.query.plan import Plan

Bits = Callable[[Any], int]
CompileChecks = Callable[[tuple[Check, ...]], CheckFunction]


def compile_predicate(plan: Plan, context: Context, compile_checks: CompileChecks = compile_any) -> Bits:
    """A function that returns a record's answers to all tests, except those that count records. `compile_checks`: what
    makes a function of the checks of a test."""
    answers = [
        (1 << number, compile_checks(test.checks), field_values(test.field, context))
        for number, test in enumerate(plan.tests)
        if not test.field.counted
    ]

    def bits(record: Mapping[str, Any]) -> int:
        result = 0
        for bit, holds, values in answers:
            for value in values(record):
                if holds(value):
                    result |= bit
                    break
        return result

    return bits


def field_values(field: Field, context: Context) -> Callable[[Mapping[str, Any]], Iterable[Any]]:
    """A function that returns the values that a field has in a record."""
    sources = field.sources

    def values(record: Mapping[str, Any]) -> Iterable[Any]:
        for source in sources:
            if source.types is not None and record.get("type") not in source.types:
                continue
            found = walk(record, source.path)
            if found is None:
                continue
            if source.also:
                found = (found, *(walk(record, path) for path in source.also))
            yield from values_of(found, source, context)
            if field.first:
                return

    return values


def walk(node: Any, path: Iterable[str]) -> Any:
    """The value at a path of keys; None if there is none."""
    for key in path:
        if type(node) is not dict:
            return None
        node = node.get(key)
    return node


def values_of(found: Any, source: FieldPath, context: Context) -> Iterable[Any]:
    """The values that a source makes of the recorded value: those it extracts, the items of a list, or the value."""
    if source.extract is not None:
        return source.extract(found, context)
    return found if type(found) is list else (found,)
