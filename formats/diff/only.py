"""Select the exchanges to compare with a filter expression (`--only`), while their records are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mockrec.formats.query import Plan
from mockrec.formats.query.checks import compile_any
from mockrec.formats.query.extract import Context
from mockrec.formats.query.predicate import compile_predicate


class ComparedExchanges:
    """Evaluates an expression's tests for each record, and combines the results of each exchange until its end."""

    def __init__(self, plan: Plan, bodies_folder: Path | None) -> None:
        self._plan = plan
        self._answer = compile_predicate(plan, Context(bodies_folder))
        self._counted = [
            (number, kinds, compile_any(plan.tests[number].checks)) for number, kinds in plan.counted.items()
        ]
        self._bits: dict[str, int] = {}
        self._counts: dict[str, dict[int, int]] = {}

    def watched(self, records: Iterable[tuple[int, Mapping[str, Any]]]) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Yield the same records, after evaluating each."""
        for number, record in records:
            identity = record.get("id")
            if isinstance(identity, str):
                self._bits[identity] = self._bits.get(identity, 0) | self._answer(record)
                for test, kinds, _ in self._counted:
                    if record["type"] in kinds:
                        counts = self._counts.setdefault(identity, {})
                        counts[test] = counts.get(test, 0) + 1
            yield number, record

    def wanted(self, identity: str) -> bool:
        """True if the expression selects an exchange that has ended. Its results are dropped."""
        bits = self._bits.pop(identity, 0)
        counts = self._counts.pop(identity, {})
        for test, _, holds in self._counted:
            if test in counts and holds(counts[test]):
                bits |= 1 << test
        return self._plan.decide(bits)
