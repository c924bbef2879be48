"""Refuses rules with state: what happened before would be known to one worker only, for workers share no memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from mockrec.engine.errors import ConfigError
from mockrec.engine.rules.matching.select import RuleSet
from mockrec.engine.rules.model import Reply, Rule, SourceLocation, Step
from mockrec.engine.rules.templates.template import names_in

_HINT = "each worker would count for itself; use one worker, or leave it out"


def check_stateless(rules: RuleSet) -> None:
    """Raise ConfigError with a line for each rule that has state."""
    problems = [f"{_where(rule.rule)}: {why}" for rule in rules.rules for why in _reasons(rule.rule, rule.following)]
    if problems:
        raise ConfigError("--workers: " + "\n--workers: ".join(problems))


def _where(rule: Rule) -> str:
    return f"{rule.place.file}:{rule.place.line}: rule {rule.id}"


def _reasons(rule: Rule, following: Any) -> Iterator[str]:
    """Yield what makes a rule stateful; `following` is the rule with which it takes turns."""
    if isinstance(rule.times, int):
        yield f"`times: {rule.times}` would hold for each worker; use one worker, or leave it out"
    if following is not None:
        yield (
            f"it and rule {following.rule.id} (line {following.rule.place.line}) answer in turn, and each worker would"
            " take turns for itself; use one worker, or give them different matchers"
        )
    for step in rule.steps:
        if step.name == "replay":
            yield f"`replay` answers each recording once, and {_HINT}"
        elif "count" in _template_names(step):
            yield f"`{step.name}` uses `count`, and {_HINT}"


def _template_names(step: Step) -> set[str]:
    if isinstance(step, Reply) and not step.template:
        return set()
    return {name for text in _strings(step) for name in names_in(text)}


def _strings(value: Any) -> Iterator[str]:
    """Yield every string in a step."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, msgspec.Struct) and not isinstance(value, SourceLocation):
        for name in value.__struct_fields__:
            yield from _strings(getattr(value, name))
