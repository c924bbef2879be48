"""The rule set of a scope."""

from __future__ import annotations

from mockrec.engine.message.scope import Scope
from mockrec.engine.rules.matching.select import RuleSet


def test_a_rule_set_is_made_when_it_is_asked_for() -> None:
    scope = Scope("a")
    assert scope.rules.rules == ()
    made: list[RuleSet] = []

    def make() -> RuleSet:
        made.append(RuleSet(()))
        return made[-1]

    for _ in range(3):  # rules are added one by one
        scope.use_rules(make)
    assert not made
    assert scope.rules is scope.rules
    assert made == [scope.rules]
