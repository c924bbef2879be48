"""The rule that is nearest to a request which no rule matched, and the matchers of it that failed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from mockrec.engine.rules.explain.phrases import sets_words
from mockrec.engine.rules.matching.deferral import QUICK_BODY
from mockrec.engine.rules.matching.match import AskUser, Matcher, MatcherError, Tier
from mockrec.engine.rules.matching.request import NO_PARAMS, RequestView
from mockrec.engine.rules.matching.select import CompiledRule
from mockrec.engine.rules.matching.spec import EntriesSpec, NestedSpec, ValueSpec, Weight
from mockrec.engine.rules.matching.table import MATCHERS
from mockrec.engine.rules.wording import expected_words, handler_words, printable, short, shorten, shown

MAX_COMPARED = 500
"""Rules that are compared, first in rank: an explanation must not cost more than it is worth."""

_PATH_WEIGHT, _METHOD_WEIGHT, _DETAILS_WEIGHT = 8.0, 4.0, 3.0
"""Scores of a matching path, of a matching method, and of everything else together."""
_SEVERITY = {Weight.PATH: _PATH_WEIGHT, Weight.METHOD: _METHOD_WEIGHT, Weight.DETAIL: 1.0}
_SIMILAR_WEIGHT = 3.0
"""Highest score of a path that differs from the rule's, but resembles it."""


class Distance(msgspec.Struct, frozen=True):
    """The distance of a rule from a request."""

    rule: CompiledRule
    score: float
    """The score of what matches; infinite if everything does."""
    failures: tuple[tuple[str, str, str], ...]
    """For each failure: the matcher's name, what it expected, what it found."""
    failed: tuple[Matcher, ...] = ()
    """The matchers that failed."""

    @property
    def decisive(self) -> tuple[Matcher, ...]:
        """The failed matchers of a rule whose path and method match; otherwise none."""
        is_near = all(_weight(one) is Weight.DETAIL for one in self.failed)
        return self.failed if is_near else ()


MatcherFailure = Matcher | tuple[str, str, str]
"""A matcher that failed, or the words for another reason: name, expected, found."""


def nearest(request: RequestView, ranked: Sequence[CompiledRule]) -> Distance | None:
    """The rule with the highest score; of equal ones the one with the least severe failures, then the first in rank.
    None if there is no rule that answers."""
    best: tuple[tuple[float, float], CompiledRule, list[MatcherFailure]] | None = None
    for rule in [one for one in ranked if not one.continues][:MAX_COMPARED]:
        score, failures = _score(rule, request)
        key = score, -sum(map(_severity, failures))
        if best is None or key > best[0]:
            best = key, rule, failures
    if best is None:
        return None
    (score, _), rule, failures = best
    # Only for this rule, because what was found may be a long text, or the result of a query.
    described = tuple(one if isinstance(one, tuple) else _described(one, request) for one in failures)
    return Distance(rule, score, described, tuple(one for one in failures if not isinstance(one, tuple)))


def _severity(failure: MatcherFailure) -> float:
    """The weight of a failure against a rule."""
    return 1.0 if isinstance(failure, tuple) else _SEVERITY[_weight(failure)]


def _weight(matcher: Matcher) -> Weight:
    return MATCHERS[matcher.key].weight


def _described(matcher: Matcher, request: RequestView) -> tuple[str, str, str]:
    return printable(matcher.label), _expected(matcher), _found(matcher, request)


def _score(rule: CompiledRule, request: RequestView) -> tuple[float, list[MatcherFailure]]:
    score = details = 0.0
    failures: list[MatcherFailure] = []
    if not rule.sees(request):
        score -= _METHOD_WEIGHT
        failures.append(_wrong_kind(request))
    user = None
    for matcher in rule.when.matchers:
        weight = _weight(matcher)
        if matcher.tier is Tier.USER:
            user = matcher  # the user's function has been called once already
        elif _failed(matcher, request):
            failures.append(matcher)
            if weight is Weight.PATH:
                score += _SIMILAR_WEIGHT * _similarity(str(matcher.expected), request.path)
        elif weight is Weight.PATH:
            score += _PATH_WEIGHT
        elif weight is Weight.METHOD:
            score += _METHOD_WEIGHT
        elif matcher.tier is not Tier.BODY or request.body_complete:
            details += 1.0
    if user is not None and not failures and not rule.used_up:
        failures.append(("python", f"{handler_words(user.expected)} to return True", "that it did not"))
    elif not failures:
        score = math.inf
    request.params = NO_PARAMS
    return score + min(details, _DETAILS_WEIGHT), failures


def _failed(matcher: Matcher, request: RequestView) -> bool:
    if matcher.tier is Tier.BODY and not request.body_complete:
        return False  # the body was not awaited, because another matcher failed first
    try:
        return matcher.check(request) is False
    except AskUser:
        return False  # inside of `not` or `anyOf`; another matcher has failed first
    except MatcherError:
        return True


def _similarity(expected: str, path: str) -> float:
    """The share of characters at the start and at the end that both have, from 0 to 1."""
    shorter = min(len(expected), len(path))
    start = 0
    while start < shorter and expected[start] == path[start]:
        start += 1
    end = 0
    while end < shorter - start and expected[-1 - end] == path[-1 - end]:
        end += 1
    return (start + end) / max(len(expected), len(path), 1)


def _wrong_kind(request: RequestView) -> tuple[str, str, str]:
    kinds = ("an upgrade to WebSocket", "an ordinary request")
    found, expected = kinds if request.websocket else kinds[::-1]
    return ("websocket", expected, found)


def _expected(matcher: Matcher) -> str:
    spec = MATCHERS[matcher.key]
    match spec:
        case NestedSpec():
            return spec.expected.format(shorten(sets_words(spec, matcher.expected)))
        case ValueSpec():
            return spec.expected(matcher.expected)
        case _:
            return expected_words(matcher.expected)


def _found(matcher: Matcher, request: RequestView) -> str:
    spec = MATCHERS[matcher.key]
    if spec.reads_body and request.deferral is not None and not request.deferral.fits(QUICK_BODY):
        return f"a body of more than {QUICK_BODY // 1024} KiB that does not match"
    try:
        match spec:
            case EntriesSpec():
                values = spec.values(request, matcher.name or "")
                return ", ".join(shown(value) for value in values[:5]) or "nothing"
            case ValueSpec():
                return spec.found(request)
            case _:
                return spec.found if isinstance(spec, NestedSpec) else ""
    except ValueError as error:
        return f"a body that cannot be read ({short(str(error))})"
