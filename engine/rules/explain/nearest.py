"""Which rule came nearest to a request that no rule matched, and which of its matchers failed how."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mockrec.engine.rules.explain.phrases import sets_words
from mockrec.engine.rules.matching.deferral import QUICK_BODY
from mockrec.engine.rules.matching.match import AskUser, Matcher, MatcherError, Tier
from mockrec.engine.rules.matching.request import NO_PARAMS, RequestView
from mockrec.engine.rules.matching.select import CompiledRule
from mockrec.engine.rules.matching.spec import EntriesSpec, NestedSpec, ValueSpec, Weight
from mockrec.engine.rules.matching.table import MATCHERS
from mockrec.engine.rules.wording import expected_words, handler_words, printable, short, shorten, shown

MAX_COMPARED = 500
"""Rules that are looked at, first in rank: a miss must not cost more than the answer is worth."""

_PATH_WEIGHT, _METHOD_WEIGHT, _DETAILS_WEIGHT = 8.0, 4.0, 3.0
"""What a match of the path, of the method, and of everything else together counts at most."""
_SEVERITY = {Weight.PATH: _PATH_WEIGHT, Weight.METHOD: _METHOD_WEIGHT, Weight.DETAIL: 1.0}
_SIMILAR_WEIGHT = 3.0
"""What a path counts at most that is not the rule's, but looks like it."""


@dataclass(frozen=True, slots=True)
class Distance:
    """How near a rule is to a request."""

    rule: CompiledRule
    score: float
    """Of what matches; infinite where everything does."""
    failures: tuple[tuple[str, str, str], ...]
    """What failed: the matcher's name, what it expected, what it found."""
    failed: tuple[Matcher, ...] = ()
    """The matchers that failed."""

    @property
    def decisive(self) -> tuple[Matcher, ...]:
        """The matchers that rule it out for a request whose path and method it is for."""
        is_near = all(_weight(one) is Weight.DETAIL for one in self.failed)
        return self.failed if is_near else ()


Failure = Matcher | tuple[str, str, str]
"""A matcher that failed, or what is told of something else that did."""


def nearest(request: RequestView, ranked: Sequence[CompiledRule]) -> Distance | None:
    """The rule of which most matches, the path and the method above all; among equals the one of which least fails,
    and then the first in rank. None where no rule answers anything."""
    best: tuple[tuple[float, float], CompiledRule, list[Failure]] | None = None
    for rule in [one for one in ranked if not one.continues][:MAX_COMPARED]:
        score, failures = _score(rule, request)
        key = score, -sum(map(_severity, failures))
        if best is None or key > best[0]:
            best = key, rule, failures
    if best is None:
        return None
    (score, _), rule, failures = best
    # Only now, for one rule: what was found may be a long text, or the answer to a query.
    told = tuple(one if isinstance(one, tuple) else _told(one, request) for one in failures)
    return Distance(rule, score, told, tuple(one for one in failures if not isinstance(one, tuple)))


def _severity(failure: Failure) -> float:
    """How much a failure counts against a rule."""
    return 1.0 if isinstance(failure, tuple) else _SEVERITY[_weight(failure)]


def _weight(matcher: Matcher) -> Weight:
    return MATCHERS[matcher.key].weight


def _told(matcher: Matcher, request: RequestView) -> tuple[str, str, str]:
    return printable(matcher.label), _expected(matcher), _found(matcher, request)


def _score(rule: CompiledRule, request: RequestView) -> tuple[float, list[Failure]]:
    score = details = 0.0
    failures: list[Failure] = []
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
        return False  # nobody waited for the body, because something else failed first
    try:
        return matcher.check(request) is False
    except AskUser:
        return False  # inside of `not` or `anyOf`, where something else has failed first
    except MatcherError:
        return True


def _similarity(expected: str, path: str) -> float:
    """The share of characters that both have at their start and end, from 0 to 1."""
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
