"""Compilation of a `when` into matchers, and their evaluation.

Matchers that need only the head of a request are checked first; the others need the complete body. `not` and `anyOf`
may hold both kinds; their checks return None while the result depends on the body. Each entry of a mapping (`headers`,
`query` …) is a matcher of its own, so that an explanation can name it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import IntEnum
from operator import attrgetter
from typing import Any

import msgspec

from mockrec.engine.rules.matching.deferral import QUICK_BODY, Question, of_body, of_head
from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.matching.spec import EntriesSpec, NestedSpec, UserSpec, ValueSpec
from mockrec.engine.rules.matching.table import MATCHERS, specs_of
from mockrec.engine.rules.model import Condition, When
from mockrec.engine.rules.patterns import quick_length
from mockrec.engine.usercode.failure import Failure, text_of

Handler = Callable[[RequestView], Any]
ResolveHandler = Callable[[str], Handler]
Check = Callable[[RequestView], bool | None]

QUICK_HEAD = 64 * 1024
"""Characters of a head up to which checks are not deferred, but for patterns in Python's syntax; the default of
`limits.head`."""


class MatcherError(Exception):
    """A user's `python` matcher raised, or returned something other than True and False."""

    def __init__(self, rule_id: str, exception: BaseException, failure: Failure | None = None) -> None:
        self.rule_id = rule_id
        self.exception = exception
        self.failure = Failure("the python matcher", text_of(exception), ()) if failure is None else failure
        super().__init__(f"rule {rule_id}: {text_of(exception)}")


class AskUser(Exception):
    """A user's function has to be called, which may take its time. Raised by the check of a `python` matcher, and
    returned by `RuleSet.select`, which is to be called again with the result in `RequestView.answers`."""

    def __init__(self, rule_id: str, function: Handler, key: object) -> None:
        self.rule_id = rule_id
        self.function = function
        self.key = key
        """The key of the result in `RequestView.answers`."""
        super().__init__(rule_id)


class Tier(IntEnum):
    """When a matcher is checked."""

    HEAD = 0
    """At once: the head is enough."""
    LATE = 1
    """The head is enough, but the check may be deferred."""
    MIXED = 2
    """A combination of matchers, some of which need the body, or a matcher that needs only the beginning of it."""
    BODY = 3
    """Once the body is complete."""
    USER = 4
    """The user's function: once the body is complete and every other matcher matches."""


class Matcher(msgspec.Struct, frozen=True):
    """One check, compiled."""

    key: str
    """The key of the rule language."""
    name: str | None
    """The entry's name, where the key holds a mapping."""
    expected: Any
    tier: Tier
    check: Check
    sets_params: bool = False
    """Whether a match may set `RequestView.params`."""

    @property
    def label(self) -> str:
        return self.key if self.name is None else f"{self.key}.{self.name}"


class CompiledWhen:
    """A compiled `when`. `matchers` are in the order of their tiers."""

    __slots__ = ("_body", "_heads", "_late", "_user", "defers", "has_params", "is_late", "matchers", "needs_body")

    def __init__(self, matchers: list[Matcher]) -> None:
        self.matchers = tuple(sorted(matchers, key=_tier))
        checks: tuple[list[Check], ...] = ([], [], [], [], [])
        """By tier."""
        for matcher in self.matchers:
            checks[matcher.tier].append(matcher.check)
        self._heads = tuple(checks[Tier.HEAD])
        self._late = (*checks[Tier.LATE], *checks[Tier.MIXED])
        self._body = tuple(checks[Tier.BODY])
        self._user = tuple(checks[Tier.USER])
        self.needs_body = bool(checks[Tier.MIXED] or self._body or self._user)
        self.is_late = bool(self._late)
        """Whether the head alone may leave the result open, until the deferred checks are answered."""
        self.defers = self.needs_body or self.is_late
        """Whether checks may be deferred (`deferral.py`)."""
        self.has_params = any(matcher.sets_params for matcher in self.matchers)
        """Whether a match may set `RequestView.params`."""

    def match(self, request: RequestView) -> bool | None:
        """Whether all matchers match; None while that depends on the request's body, or on deferred checks.

        Raises MatcherError if a `python` matcher fails, and AskUser if its function has to be called.
        """
        for check in self._heads:
            if not check(request):
                return False
        return self._match_more(request) if self.defers else True

    def _match_more(self, request: RequestView) -> bool | None:
        unknown = False
        for check in self._late:
            answer = check(request)
            if answer is False:
                return False
            unknown = unknown or answer is None
        if unknown or ((self._body or self._user) and not request.body_complete):
            return None
        for check in self._body:
            answer = check(request)
            if answer is False:
                return False
            unknown = unknown or answer is None
        # A user's function is called once, and only if every other matcher matches.
        return None if unknown else all(check(request) for check in self._user)


def compile_when(when: When, resolve_handler: ResolveHandler, rule_id: str = "") -> CompiledWhen:
    """Compile a `when`. `resolve_handler` turns `handlers.py:name` into the user's function.

    The loader has checked the rule file; what is wrong all the same raises ValueError or `re.error`.
    """
    matchers: list[Matcher] = []
    for spec in sorted(specs_of(when), key=_rank):
        expected = when.expected[spec.key]
        match spec:
            case ValueSpec():
                question = Question(spec.key, None, expected, rule_id)
                matchers.append(_of_question(question, spec, spec.check(expected), sets_params=spec.sets_params))
            case EntriesSpec():
                for name, value in expected.items():
                    question = Question(spec.key, name, value, rule_id)
                    matchers.append(_of_question(question, spec, spec.check(name, value)))
            case NestedSpec():
                inner = tuple(compile_when(one, resolve_handler, rule_id) for one in sets_of(spec, expected))
                matchers.append(_of_sets(spec, expected, inner))
            case UserSpec():
                check = _python(resolve_handler(expected), rule_id)
                matchers.append(Matcher(spec.key, None, expected, Tier.USER, check))
    return CompiledWhen(matchers)


_rank = attrgetter("rank")
_tier = attrgetter("tier")


def sets_of(spec: NestedSpec, expected: Any) -> tuple[When, ...]:
    """The sets of matchers that a matcher combines."""
    return expected if spec.is_list else (expected,)


def check_of(key: str, name: str | None, expected: Any) -> Check:
    """The check of a `Question`, which answers at once."""
    spec = MATCHERS[key]
    if isinstance(spec, EntriesSpec) and name is not None:
        check = spec.check(name, expected)
    elif isinstance(spec, ValueSpec):
        check = spec.check(expected)
    else:
        raise ValueError(f"{key}: the check of this matcher is never deferred")
    return _readable(check) if spec.needs_body(expected) else check


def reads_body(key: str) -> bool:
    """Whether a matcher needs the request's complete body."""
    return MATCHERS[key].reads_body


def _of_question(
    question: Question, spec: ValueSpec | EntriesSpec, check: Check, *, sets_params: bool = False
) -> Matcher:
    """The matcher of a check, which is deferred where it could take long."""
    key, name, expected = question.key, question.name, question.expected
    quick = _quick_size(spec, name, expected)
    if spec.needs_body(expected) and isinstance(spec, ValueSpec) and spec.early_check is not None:
        tier, check = Tier.MIXED, _readable(spec.early_check(expected, question))
    elif spec.needs_body(expected):
        tier, check = Tier.BODY, of_body(_readable(check), quick, question)
    elif quick < QUICK_HEAD:
        tier, check = Tier.LATE, of_head(check, quick, question)
    else:
        tier = Tier.HEAD
    return Matcher(key, name, expected, tier, check, sets_params)


def _quick_size(spec: ValueSpec | EntriesSpec, name: str | None, expected: Any) -> int:
    """Size of a head or body up to which a matcher takes some milliseconds at most, whatever the request holds."""
    quick = QUICK_BODY if spec.needs_body(expected) else QUICK_HEAD
    if isinstance(expected, Condition):
        pattern = expected.regex
    else:
        pattern = expected if isinstance(spec, ValueSpec) and spec.is_pattern else None
    if pattern is not None:
        quick = min(quick, quick_length(pattern))
    if spec.quick_size is not None:
        quick = min(quick, spec.quick_size(expected if name is None else name))
    return quick


def _readable(check: Check) -> Check:
    """`check`, but False where the body cannot be decoded or parsed (`RequestView.body_error` says why)."""

    def check_body(request: RequestView) -> bool | None:
        try:
            return check(request)
        except ValueError:
            return False

    return check_body


def _of_sets(spec: NestedSpec, expected: Any, sets: tuple[CompiledWhen, ...]) -> Matcher:
    tier = Tier.HEAD
    if any(one.needs_body for one in sets):
        tier = Tier.MIXED
    elif any(one.is_late for one in sets):
        tier = Tier.LATE
    sets_params = spec.sets_params and any(one.has_params for one in sets)
    check = spec.combine(tuple(one.match for one in sets))
    return Matcher(spec.key, None, expected, tier, check, sets_params)


def _python(handler: Handler, rule_id: str) -> Callable[[RequestView], bool]:
    def check(request: RequestView) -> bool:
        answers = request.answers
        if answers is not None:
            if check not in answers:
                raise AskUser(rule_id, handler, check)
            return verdict_of(answers[check], rule_id)
        try:
            answer = handler(request)
        except BaseException as error:  # only the user's code runs there
            raise MatcherError(rule_id, error) from error
        return verdict_of(answer, rule_id)

    return check


def verdict_of(answer: Any, rule_id: str) -> bool:
    """The result of a `python` matcher as a bool. Raises MatcherError for one that is neither True, False nor None."""
    if answer is None or isinstance(answer, bool):
        return bool(answer)
    if inspect.iscoroutine(answer):
        answer.close()  # it is never awaited
    error = TypeError(f"a matcher must return True or False, not {type(answer).__name__}")
    raise MatcherError(rule_id, error)
