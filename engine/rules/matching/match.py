"""A `when` → its matchers, and whether a request matches them.

Matchers are of two tiers. *Head* matchers need only the request's head and run first. *Body* matchers need
the complete body. `not` and `anyOf` may hold both, so they answer None while only the body could tell.
Each entry of a mapping (`headers`, `query` …) is a matcher of its own, so that an explanation can name it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mockrec.engine.rules.matching.body import (
    BODY_ENTRY_CHECKS,
    BODY_FACTORIES,
    body_checks,
    quick_body,
    readable,
)
from mockrec.engine.rules.matching.deferral import Question, of_body, of_head
from mockrec.engine.rules.matching.head import HEAD_CHECKS, HEAD_ENTRY_CHECKS, REGEX_KEYS
from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.model import Condition, When
from mockrec.engine.rules.patterns import quick_length
from mockrec.engine.usercode.failure import Failure, text_of

Handler = Callable[[RequestView], Any]
ResolveHandler = Callable[[str], Handler]
Check = Callable[[RequestView], bool | None]

_TIERS = {"head": 0, "late": 1, "mixed": 2, "body": 3}
QUICK_HEAD = 64 * 1024
"""Characters of a head that matchers take at once, but for patterns in Python's syntax; `limits.head` by default."""


class MatcherError(Exception):
    """A user's `python` matcher raised, or returned something that is neither true nor false."""

    def __init__(self, rule_id: str, exception: BaseException, failure: Failure | None = None) -> None:
        self.rule_id = rule_id
        self.exception = exception
        self.failure = Failure("the python matcher", text_of(exception), ()) if failure is None else failure
        super().__init__(f"rule {rule_id}: {text_of(exception)}")


class AskUser(Exception):
    """A `python` matcher has to be asked, which may take its time: raised by its check, and returned by
    `RuleSet.select`, which is to be called again with the function's answer in `RequestView.answers`."""

    def __init__(self, rule_id: str, function: Handler, key: object) -> None:
        self.rule_id = rule_id
        self.function = function
        self.key = key
        """Where the answer belongs in `RequestView.answers`."""
        super().__init__(rule_id)


@dataclass(frozen=True, slots=True)
class Matcher:
    """One check. `key` is the key of the language, `name` the entry's name where the key holds a mapping."""

    key: str
    name: str | None
    expected: Any
    tier: str
    """`head`, `body`, `late` for one of the head that may be put off, or, for `not` and `anyOf` of both, `mixed`."""
    check: Check

    @property
    def label(self) -> str:
        return self.key if self.name is None else f"{self.key}.{self.name}"


class CompiledWhen:
    """A `when`, ready to be asked. `matchers` are all of them: head first, then mixed, then body."""

    __slots__ = ("_body", "_heads", "_late", "_python", "defers", "has_params", "is_late", "matchers", "needs_body")

    def __init__(self, matchers: list[Matcher], has_params: bool) -> None:
        self.matchers = tuple(sorted(matchers, key=lambda matcher: _TIERS[matcher.tier]))
        self._heads = tuple(matcher.check for matcher in self.matchers if matcher.tier == "head")
        self._late = tuple(matcher.check for matcher in self.matchers if matcher.tier in ("late", "mixed"))
        self._body = tuple(one.check for one in self.matchers if one.tier == "body" and one.key != "python")
        self._python = tuple(one.check for one in self.matchers if one.key == "python")
        self.needs_body = any(matcher.tier in ("mixed", "body") for matcher in self.matchers)
        self.is_late = bool(self._late)
        """Whether the head alone may leave it open, until what was put off is answered."""
        self.defers = self.needs_body or self.is_late
        """Whether matchers may be put off (`deferral.py`)."""
        self.has_params = has_params
        """Whether a match may set `RequestView.params`."""

    def match(self, request: RequestView) -> bool | None:
        """Whether all matchers match; None while only the request's body, or what was put off, could tell.

        Raises MatcherError if a `python` matcher fails.
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
        if unknown or ((self._body or self._python) and not request.body_complete):
            return None
        for check in self._body:
            answer = check(request)
            if answer is False:
                return False
            unknown = unknown or answer is None
        # A user's function is called once, and only where nothing else rules the request out.
        return None if unknown else all(check(request) for check in self._python)


def compile_when(when: When, resolve_handler: ResolveHandler, rule_id: str = "") -> CompiledWhen:
    """Compiles a `when`. `resolve_handler` turns `handlers.py:name` into the user's function.

    The rule file was checked when it was loaded; what is wrong all the same raises ValueError or `re.error`.
    """
    matchers: list[Matcher] = []
    for key, attribute, factory in HEAD_CHECKS:
        expected = getattr(when, attribute)
        if expected is not None:
            matchers.append(_of_head(Question(key, None, expected, rule_id), factory(expected)))
    for key, (attribute, entry_factory) in HEAD_ENTRY_CHECKS.items():
        for name, expected in (getattr(when, attribute) or {}).items():
            matchers.append(_of_head(Question(key, name, expected, rule_id), entry_factory(name, expected)))
    for key, expected, check in body_checks(when):
        matchers.append(_of_body(Question(key, None, expected, rule_id), check))
    for key, (attribute, entry_factory) in BODY_ENTRY_CHECKS.items():
        for name, expected in (getattr(when, attribute) or {}).items():
            check = readable(entry_factory(name, expected))
            matchers.append(_of_body(Question(key, name, expected, rule_id), check))
    if when.python is not None:
        check = _python(resolve_handler(when.python), rule_id)
        matchers.append(Matcher("python", None, when.python, "body", check))

    has_params = when.path_template is not None
    if when.not_ is not None:
        inner = compile_when(when.not_, resolve_handler, rule_id)
        tier = "mixed" if inner.needs_body else "late" if inner.is_late else "head"
        matchers.append(Matcher("not", None, when.not_, tier, _not(inner)))
    if when.any_of is not None:
        choices = tuple(compile_when(choice, resolve_handler, rule_id) for choice in when.any_of)
        late = "late" if any(choice.is_late for choice in choices) else "head"
        tier = "mixed" if any(choice.needs_body for choice in choices) else late
        matchers.append(Matcher("anyOf", None, when.any_of, tier, _any_of(choices)))
        has_params = has_params or any(choice.has_params for choice in choices)
    return CompiledWhen(matchers, has_params)


def check_of(key: str, name: str | None, expected: Any) -> Check:
    """The check of a `Question`, which is answered at once."""
    if name is not None:
        if key in HEAD_ENTRY_CHECKS:
            return HEAD_ENTRY_CHECKS[key][1](name, expected)
        return readable(BODY_ENTRY_CHECKS[key][1](name, expected))
    for head_key, _, factory in HEAD_CHECKS:
        if head_key == key:
            return factory(expected)
    return readable(BODY_FACTORIES[key](expected))


def _of_head(question: Question, check: Check) -> Matcher:
    key, name, expected = question.key, question.name, question.expected
    pattern = expected.regex if isinstance(expected, Condition) else expected if key in REGEX_KEYS else None
    quick = QUICK_HEAD if pattern is None else quick_length(pattern)
    if quick >= QUICK_HEAD:
        return Matcher(key, name, expected, "head", check)
    return Matcher(key, name, expected, "late", of_head(check, quick, question))


def _of_body(question: Question, check: Check) -> Matcher:
    key, name, expected = question.key, question.name, question.expected
    return Matcher(key, name, expected, "body", of_body(check, quick_body(key, name, expected), question))


def _python(handler: Handler, rule_id: str) -> Callable[[RequestView], bool]:
    def check(request: RequestView) -> bool:
        answers = request.answers
        if answers is not None:
            if check not in answers:
                raise AskUser(rule_id, handler, check)
            return judged(answers[check], rule_id)
        try:
            answer = handler(request)
        except BaseException as error:  # nothing of ours is called there
            raise MatcherError(rule_id, error) from error
        return judged(answer, rule_id)

    return check


def judged(answer: Any, rule_id: str) -> bool:
    """What a `python` matcher has answered. Raises MatcherError where that is no answer."""
    if answer is None or isinstance(answer, bool):
        return bool(answer)
    if inspect.iscoroutine(answer):
        answer.close()  # nobody will await it
    error = TypeError(f"a matcher must return True or False, not {type(answer).__name__}")
    raise MatcherError(rule_id, error)


def _not(inner: CompiledWhen) -> Check:
    def check(request: RequestView) -> bool | None:
        params = request.params
        answer = inner.match(request)
        request.params = params  # a match that counts against the rule gives no values
        return None if answer is None else not answer

    return check


def _any_of(choices: tuple[CompiledWhen, ...]) -> Check:
    def check(request: RequestView) -> bool | None:
        unknown = False
        for choice in choices:
            params = request.params
            answer = choice.match(request)
            if answer:
                return True
            request.params = params
            unknown = unknown or answer is None
        return None if unknown else False

    return check
