"""A parsed expression as a plan: numbered tests, and how their answers combine.

A **test** asks one field of one record: `status >= 500`. Each back end answers all tests of a record at once,
as the bits of a number. For an exchange the numbers of its records are joined with `|`: a test holds for an
exchange when it holds for any of its records. `Plan.decide` makes yes or no of the bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from mockrec.formats.query.checks import Check
from mockrec.formats.query.field import Field


@dataclass(frozen=True, slots=True)
class Test:
    """One field, and checks of which one has to hold for one of its values."""

    field: Field
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class TestAnswer:
    """The answer of the test with this number."""

    number: int


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    inner: Node


@dataclass(frozen=True, slots=True)
class Both:
    """All of them hold."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One of them holds."""

    parts: tuple[Node, ...]


Node: TypeAlias = TestAnswer | Not | Both | Either


@dataclass(slots=True)
class Plan:
    """An expression that can be used."""

    expression: str
    """As it was written."""
    records: bool
    """Single records are asked, not exchanges."""
    root: Node
    tests: tuple[Test, ...]
    _verdicts: dict[int, bool] = field(default_factory=dict, repr=False)

    @property
    def counted(self) -> Mapping[int, frozenset[str]]:
        """Tests on the number of an exchange's records: test → record types that count."""
        return {number: test.field.counted for number, test in enumerate(self.tests) if test.field.counted}

    def decide(self, bits: int) -> bool:
        """Whether an exchange (or record) with these answers is one that is looked for."""
        verdict = self._verdicts.get(bits)
        if verdict is None:
            verdict = self._verdicts[bits] = _decide(self.root, bits)
        return verdict


def _decide(node: Node, bits: int) -> bool:
    match node:
        case TestAnswer(number):
            return bool(bits >> number & 1)
        case Not(inner):
            return not _decide(inner, bits)
        case Both(parts):
            return all(_decide(part, bits) for part in parts)
        case Either(parts):
            return any(_decide(part, bits) for part in parts)
