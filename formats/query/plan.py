"""A parsed expression as a plan: numbered tests, and how their answers combine.

A **test** is about one field of one record: `status >= 500`. Each back end computes the answers to all tests for a
record at once, as the bits of a number. For an exchange, the numbers of its records are joined with `|`: a test holds
for an exchange if it holds for any of its records. `Plan.decide` combines the bits to yes or no.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from mockrec.formats.query.checks import Check
from mockrec.formats.query.field import Field


@dataclass(frozen=True, slots=True)
class Test:
    """A field and its checks. The test holds if any check holds for any value of the field."""

    field: Field
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class TestAnswer:
    """The answer of the test with this number."""

    number: int


@dataclass(frozen=True, slots=True)
class Not:
    """The negation of a node."""

    inner: PlanNode


@dataclass(frozen=True, slots=True)
class Both:
    """Holds if all parts hold."""

    parts: tuple[PlanNode, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """Holds if any part holds."""

    parts: tuple[PlanNode, ...]


PlanNode: TypeAlias = TestAnswer | Not | Both | Either


@dataclass(slots=True)
class Plan:
    """A parsed expression."""

    expression: str
    """The text of the expression."""
    records: bool
    """Whether it is about single records, not about exchanges."""
    root: PlanNode
    tests: tuple[Test, ...]
    prepared: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """What back ends have made of the plan, by their names: it is the same for every session."""
    _verdicts: dict[int, bool] = field(default_factory=dict, repr=False)

    @property
    def counted(self) -> Mapping[int, frozenset[str]]:
        """The tests on the number of an exchange's records, each with the record types that count."""
        return {number: test.field.counted for number, test in enumerate(self.tests) if test.field.counted}

    def decide(self, bits: int) -> bool:
        """Whether an exchange (or record) with these answers matches."""
        verdict = self._verdicts.get(bits)
        if verdict is None:
            verdict = self._verdicts[bits] = _decide(self.root, bits)
        return verdict


def _decide(node: PlanNode, bits: int) -> bool:
    match node:
        case TestAnswer(number):
            return bool(bits >> number & 1)
        case Not(inner):
            return not _decide(inner, bits)
        case Both(parts):
            return all(_decide(part, bits) for part in parts)
        case Either(parts):
            return any(_decide(part, bits) for part in parts)
