"""Rules that can never answer (or, with `continue: true`, change a request): valid, but hardly intended.

A rule is unreachable if a rule that is evaluated before it is never used up and has no further matchers. Two rules with
equal matchers and without `times` are no such pair: they are a sequence (first A once, then B for ever).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import combinations

from mockrec.engine.errors import Problem
from mockrec.engine.rules.matching.select import upgrades_of
from mockrec.engine.rules.matching.table import MATCHERS
from mockrec.engine.rules.model import Rule, When

Matchers = frozenset[tuple[str, str]]

_as_json = json.JSONEncoder(sort_keys=True, default=str).encode  # `json.dumps` makes an encoder each time
_MAX_MATCHERS = 10
"""Rules with more matchers are not checked: they have too many subsets of matchers."""


def reach_warnings(rules: Sequence[Rule]) -> list[Problem]:
    """A warning for every rule that never answers, because of `times: 0` or of another rule."""
    warnings = [_warning(rule, "this rule never answers: `times` is 0") for rule in rules if rule.times == 0]
    ranked = sorted((rule for rule in rules if rule.times != 0), key=lambda rule: (-rule.priority, rule.position))
    matchers = {rule.id: _matchers(rule.when) for rule in ranked}
    upgrades = {rule.id: upgrades_of(rule) for rule in ranked}
    epochs: dict[str, int] = {}
    epoch = 0
    for rule in ranked:
        epochs[rule.id] = epoch
        epoch += rule.continues and rule.edits_request  # sequences end there
    last_of_turns = {
        (epochs[rule.id], rule.priority, upgrades[rule.id], matchers[rule.id]): rule
        for rule in ranked
        if rule.times is None and not rule.continues
    }
    endless: dict[Matchers, list[Rule]] = {}
    for rule in ranked:
        mine = matchers[rule.id]
        blocker = next((other for other in _blockers(mine, endless) if _covers(other, rule)), None)
        if blocker is not None:
            warnings.append(
                _warning(
                    rule,
                    f'this rule can never be reached: "{blocker.id}" in line {blocker.place.line}'
                    " matches everything that it matches, and answers always",
                )
            )
        if rule.continues:
            if rule.edits_request:
                endless.clear()  # later rules are evaluated for a changed request
            continue
        turns = (epochs[rule.id], rule.priority, upgrades[rule.id], mine)
        takes_the_rest = rule.times is None and last_of_turns[turns] is rule
        if (rule.times == "always" or takes_the_rest) and not any(key == "python" for key, _ in mine):
            endless.setdefault(mine, []).append(rule)
    return warnings


def _warning(rule: Rule, message: str) -> Problem:
    return Problem(rule.place.file, rule.place.line, rule.place.column, rule.place.where, message)


def _matchers(when: When) -> Matchers:
    """The given matchers in a comparable form: key, and value as JSON."""
    values = {key: MATCHERS[key].canonical(when.source[key]) for key in when.given if key in when.expected}
    return frozenset((key, _as_json(value)) for key, value in values.items())


def _blockers(matchers: Matchers, endless: dict[Matchers, list[Rule]]) -> Iterator[Rule]:
    """The endless rules whose matchers are all in `matchers`."""
    if len(matchers) > _MAX_MATCHERS:
        return
    for size in range(len(matchers) + 1):
        for subset in combinations(matchers, size):
            yield from endless.get(frozenset(subset), ())


def _covers(first: Rule, second: Rule) -> bool:
    """Whether `first` applies to the kinds of requests (upgrades to WebSocket, others) that `second` applies to."""
    upgrades, only = upgrades_of(first)
    wants_upgrades, wants_only = upgrades_of(second)
    return (upgrades or not wants_upgrades) and (wants_only or not only)
