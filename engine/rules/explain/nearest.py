"""Which rule came nearest to a request that no rule matched, and which of its matchers failed how."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mockrec.engine.rules.explain.phrases import (
    MAX_SHOWN,
    expected_words,
    handler_words,
    printable,
    shorten,
    shown,
    when_words,
)
from mockrec.engine.rules.json_paths import compile_path
from mockrec.engine.rules.matching.deferral import QUICK_BODY
from mockrec.engine.rules.matching.match import AskUser, Matcher, MatcherError
from mockrec.engine.rules.matching.request import NO_PARAMS, RequestView
from mockrec.engine.rules.matching.select import CompiledRule
from mockrec.engine.rules.model import When

MAX_COMPARED = 500
"""Rules that are looked at, first in rank: a miss must not cost more than the answer is worth."""

_PATH_KEYS = frozenset({"path", "url", "pathTemplate", "pathRegex", "urlRegex"})


_PATH_WEIGHT, _METHOD_WEIGHT, _DETAILS_WEIGHT = 8.0, 4.0, 3.0
"""What a match of the path, of the method, and of everything else together counts at most."""
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
        is_near = not any(one.key in _PATH_KEYS or one.key == "method" for one in self.failed)
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
    key = "" if isinstance(failure, tuple) else failure.key
    return _PATH_WEIGHT if key in _PATH_KEYS else _METHOD_WEIGHT if key == "method" else 1.0


def _told(matcher: Matcher, request: RequestView) -> tuple[str, str, str]:
    return printable(matcher.label), _expected(matcher), _found(matcher, request)


def _score(rule: CompiledRule, request: RequestView) -> tuple[float, list[Failure]]:
    score = details = 0.0
    failures: list[Failure] = []
    if not rule.sees(request):
        score -= _METHOD_WEIGHT
        failures.append(_wrong_kind(request))
    asked_user = None
    for matcher in rule.when.matchers:
        if matcher.key == "python":
            asked_user = matcher  # the user's function was asked once already
        elif _failed(matcher, request):
            failures.append(matcher)
            if matcher.key in _PATH_KEYS:
                score += _SIMILAR_WEIGHT * _similarity(str(matcher.expected), request.path)
        elif matcher.key in _PATH_KEYS:
            score += _PATH_WEIGHT
        elif matcher.key == "method":
            score += _METHOD_WEIGHT
        elif matcher.tier != "body" or request.body_complete:
            details += 1.0
    if asked_user is not None and not failures and not rule.used_up:
        failures.append(("python", f"{handler_words(asked_user.expected)} to return True", "that it did not"))
    elif not failures:
        score = math.inf
    request.params = NO_PARAMS
    return score + min(details, _DETAILS_WEIGHT), failures


def _failed(matcher: Matcher, request: RequestView) -> bool:
    if matcher.tier == "body" and not request.body_complete:
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
    if matcher.key in ("not", "anyOf"):
        choices = (matcher.expected,) if isinstance(matcher.expected, When) else matcher.expected
        words = shorten(" | ".join(when_words(choice) for choice in choices))
        return f"anything but ({words})" if matcher.key == "not" else f"one of ({words})"
    if matcher.key == "method":
        return " or ".join(matcher.expected)
    if matcher.key in ("pathRegex", "urlRegex", "bodyRegex"):
        return f"/{shorten(printable(matcher.expected))}/"
    if matcher.key == "multipart":
        return "other parts"
    return expected_words(matcher.expected)


def _found(matcher: Matcher, request: RequestView) -> str:
    if matcher.tier == "body" and request.deferral is not None and not request.deferral.fits(QUICK_BODY):
        return f"a body of more than {QUICK_BODY // 1024} KiB that does not match"
    try:
        if matcher.key in _VALUE:
            return shown(_VALUE[matcher.key](request))
        if matcher.key in _VALUES and matcher.name is not None:
            values = _VALUES[matcher.key](request, matcher.name)
            return ", ".join(shown(value) for value in values[:5]) or "nothing"
        if matcher.key.startswith("json"):
            _ = request.json  # what is no JSON is told as that
            return shorten(printable(request.text[: MAX_SHOWN + 1]))
    except ValueError as error:
        return f"a body that cannot be read ({shorten(printable(str(error)))})"
    if matcher.key == "multipart":
        return shown([{"name": part.name, "filename": part.filename} for part in request.multipart[:5]])
    return "this request" if matcher.key == "not" else "none of them"


def _json_values(request: RequestView, path: str) -> Sequence[Any]:
    values: Sequence[Any] = compile_path(path).find(request.json).values()
    return values


# Key of the language → the one value that its matcher looked at.
_VALUE: Mapping[str, Callable[[RequestView], Any]] = {
    "method": lambda request: request.method,
    "path": lambda request: request.path,
    "pathTemplate": lambda request: request.path,
    "pathRegex": lambda request: request.path,
    "url": lambda request: request.url.partition("?")[0],
    "urlRegex": lambda request: request.url.partition("?")[0],
    "host": lambda request: request.host,
    "hostname": lambda request: request.hostname,
    "port": lambda request: request.port,
    "protocol": lambda request: request.protocol,
    "websocket": lambda request: request.websocket,
    "exactQuery": lambda request: request.query_string,
    "body": lambda request: request.text,
    "bodyIncludes": lambda request: request.text,
    "bodyRegex": lambda request: request.text,
}

# Key of the language → the values that a name has in the request.
_VALUES: Mapping[str, Callable[[RequestView, str], Sequence[Any]]] = {
    "headers": lambda request, name: request.header_values(name.lower()),
    "query": lambda request, name: request.query.get(name, ()),
    "cookies": lambda request, name: request.cookies.get(name, ()),
    "form": lambda request, name: request.form.get(name, ()),
    "jsonPath": _json_values,
}
