"""A scope: the exchanges of one test, and the rules that answer them."""

from __future__ import annotations

from typing import Any

from mockrec.engine.rules.matching.select import RuleSet


class Scope:
    """One open scope. Its rules, their counts and its recordings are its own."""

    __slots__ = ("closed", "exchanges", "expired", "missed", "name", "rules", "served", "unmatched", "unmatched_steps")

    def __init__(self, name: str, rules: RuleSet) -> None:
        self.name = name
        self.rules = rules
        """The rule set in force in this scope."""
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

    def reset(self) -> None:
        """Set the counts to 0."""
        self.exchanges = self.missed = self.served = self.expired = self.unmatched = 0
