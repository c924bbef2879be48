"""The sentence that explains a rule, and the text of the 503 that explains why no rule matched a request."""

from __future__ import annotations

from collections.abc import Sequence

from mockrec.engine.rules.explain.nearest import Distance, nearest
from mockrec.engine.rules.explain.phrases import step_words, times_words, when_words
from mockrec.engine.rules.explain.suggest import suggest_rule
from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.matching.select import CompiledRule, RuleSet
from mockrec.engine.rules.model import Rule
from mockrec.engine.rules.wording import printable, shorten

MAX_RULES = 30
MAX_LINE = 300
MAX_FAILURES = 10


def explain_rule(rule: Rule) -> str:
    """One sentence: `GET /hello → reply 200, always`."""
    steps = ", then ".join(step_words(step) for step in rule.steps)
    extras = ["and go on" if rule.continues else "", times_words(rule)]
    if rule.priority == 0:
        extras.append("as a fallback")
    elif rule.priority != 1:
        extras.append(f"priority {rule.priority:g}")
    return ", ".join([f"{when_words(rule.when)} → {steps}", *filter(None, extras)])


def explain_miss(request: RequestView, rule_set: RuleSet, continued: Sequence[CompiledRule] = ()) -> str:
    """Why no rule answers `request`: the request, the rules, the nearest one, and a rule that would match. `continued`
    are the rules with `continue` that changed the request before."""
    kind = " (an upgrade to WebSocket)" if request.websocket else ""
    lines = [
        "No rule matches this request.",
        "",
        f"The request: {printable(request.method)} {shorten(printable(request.url), MAX_LINE)}{kind}",
        "",
        *_rule_lines(rule_set.ranked),
    ]
    if continued:
        names = ", ".join(printable(rule.rule.id) for rule in continued)
        lines[3:3] = [f"As changed by: {shorten(names, MAX_LINE)}"]
    near = nearest(request, rule_set.ranked)
    if near is not None:
        lines += ["", *_nearest_lines(near)]
    exhausted = [rule.rule.id for rule in rule_set.ranked if rule.used_up]
    if exhausted:
        names = ", ".join(printable(name) for name in exhausted)
        lines += ["", f"Used up: {shorten(names, MAX_LINE)}"]
    lines += [
        "",
        "This rule would match, added to the list under `rules:`",
        "",
        suggest_rule(request, () if near is None else near.decisive),
    ]
    return "\n".join(lines)


def _rule_lines(ranked: Sequence[CompiledRule]) -> list[str]:
    if not ranked:
        return ["There are no rules."]
    lines = ["The rules, in the order in which they are evaluated:"]
    for rule in ranked[:MAX_RULES]:
        sentence = shorten(f"{printable(rule.rule.id)}: {explain_rule(rule.rule)}", MAX_LINE)
        lines.append(f"  {sentence}{_used_words(rule)}")
    if len(ranked) > MAX_RULES:
        lines.append(f"  and {len(ranked) - MAX_RULES} more")
    return lines


def _used_words(rule: CompiledRule) -> str:
    """The uses of a rule, out of its `times`."""
    if rule.limit is None:
        return ""
    return f" (used up: {rule.used} of {rule.limit})" if rule.used_up else f" ({rule.used} of {rule.limit} used)"


def _nearest_lines(near: Distance) -> list[str]:
    rule = near.rule.rule
    place = f"{printable(rule.place.file)}:{rule.place.line}"
    if not near.failures and near.rule.used_up:
        return [f"Nearest is {printable(rule.id)} ({place}): it matches, but is used up after {near.rule.used}."]
    lines = [f"Nearest is {printable(rule.id)} ({place}), but"]
    for label, expected, found in near.failures[:MAX_FAILURES]:
        lines.append(f"  {label}: expected {expected}, found {found}")
    if len(near.failures) > MAX_FAILURES:
        lines.append(f"  and {len(near.failures) - MAX_FAILURES} more")
    if near.rule.used_up:
        lines.append(f"  and it is used up after {near.rule.used}.")
    return lines
