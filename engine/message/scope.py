"""A scope: the exchanges of one test, and the rules that answer them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mockrec.engine.rules.matching.select import RuleSet


class Scope:
    """One open scope. Its rules, their counts and its recordings are its own."""

    __slots__ = (
        "_make_rules", "_rules", "closed", "exchanges", "expired", "missed", "name", "served", "unmatched",
        "unmatched_steps",
    )  # fmt: skip

    def __init__(self, name: str) -> None:
        self.name = name
        self._rules = RuleSet(())
        self._make_rules: Callable[[], RuleSet] | None = None
        self.unmatched_steps: Any = None
        """For the engine: the compiled steps for a request that none of its rules matches."""
        self.closed = False
        """Whether it was closed: its name is not that of an open scope any more."""
        self.exchanges = 0
        """Exchanges that have ended."""
        self.missed = 0
        """Requests without a matching recording."""
        self.served = 0
        """Requests that a recording answered."""
        self.expired = 0
        """Requests whose recording was too old."""
        self.unmatched = 0
        """Requests that no rule matched."""

    @property
    def rules(self) -> RuleSet:
        """The rule set in force in this scope."""
        if self._make_rules is not None:
            make, self._make_rules = self._make_rules, None
            self._rules = make()
        return self._rules

    def use_rules(self, make: Callable[[], RuleSet]) -> None:
        """Call `make` for another rule set when a rule is looked for: many may be added before, one by one."""
        self._make_rules = make

    def reset(self) -> None:
        """Set the counts to 0."""
        self.exchanges = self.missed = self.served = self.expired = self.unmatched = 0
