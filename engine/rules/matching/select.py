"""Selection of the rule for a request: priority, file order, `times`, sequences, and an index over paths.

Theory. Rules are ranked by priority (highest first), then by their place in the file. The first in rank whose
matchers all match, and which is not used up, answers. Rules without `times` that stand at the same priority
with the same `when` are one *sequence*, at the place of its first member: each answers once, the last one for
ever; a rule with `times` and the same `when` that stands between two of them has its turn there. So only the
first member of a sequence is ever matched, and `use` moves the sequence on.

The index is only a prefilter: it leaves out rules that cannot match a path, and the rest is matched in rank
order, so an indexed choice is the choice of a plain scan.

A rule that *continues* is selected like any other, but does not answer: the caller lets it change the request, and
selects again among the rules after it. It is in no sequence, and one that changes requests ends the sequences before
it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Final

from mockrec.engine.bounded_cache import remember
from mockrec.engine.errors import ConfigError
from mockrec.engine.rules.matching.match import AskUser, Handler, ResolveHandler, compile_when
from mockrec.engine.rules.matching.request import NO_PARAMS, RequestView
from mockrec.engine.rules.matching.table import MATCHERS
from mockrec.engine.rules.model import Condition, MultipartPart, Rule, When
from mockrec.engine.wire.urls import normal_path

MEMO_SIZE = 4096
SPAN: Final = 2**31
"""Positions of rules of one origin: 0 and above are of the rule file; rules from elsewhere have the spans before and
after it, and are in no sequence with those of the file."""

_WEBSOCKET_STEPS = frozenset({"echo", "listen", "reject", "script"})
_STEPS_FOR_ANY_UPGRADE = frozenset({"passthrough", "forward", "replay", "close", "reset", "timeout"})


class NeedBody(Enum):
    """The result of `RuleSet.select` while the next candidate needs the request's body."""

    NEED_BODY = "need body"


NEED_BODY: Final = NeedBody.NEED_BODY


class CompiledRule:
    """A rule of a running engine: its matchers, its count of uses, and the engine's compiled steps (`plan`)."""

    __slots__ = (
        "continues",
        "following",
        "has_params",
        "limit",
        "needs_body",
        "only_upgrades",
        "plan",
        "rank",
        "rule",
        "sequence",
        "takes_upgrades",
        "turns",
        "used",
        "when",
    )

    def __init__(self, rule: Rule, resolve_handler: ResolveHandler) -> None:
        self.rule = rule
        self.continues = rule.continues
        """Whether the rules after it are evaluated too."""
        self.when = compile_when(rule.when, resolve_handler, rule.id)
        self.needs_body = self.when.needs_body
        self.has_params = self.when.has_params
        self.limit = rule.times if isinstance(rule.times, int) else None
        self.turns: float = math.inf if rule.times == "always" else 1 if self.limit is None else self.limit
        """The number of times it answers before the next member of its sequence does."""
        self.used = 0
        self.following: CompiledRule | None = None
        """The next member of its sequence, if it is in one and not the last."""
        self.plan: Any = None
        """For the engine: the compiled steps."""
        self.sequence: Any = None
        """See `sequence_key`."""
        self.takes_upgrades, self.only_upgrades = upgrades_of(rule)
        self.rank = 0
        """Its position in `RuleSet.ranked`."""

    @property
    def pending(self) -> bool:
        """Whether it was used less often than its `times` says; without a number, whether it was never used."""
        return self.used < (1 if self.limit is None else self.limit)

    @property
    def used_up(self) -> bool:
        return self.limit is not None and self.used >= self.limit

    @property
    def sequence_key(self) -> Any:
        """Equal for the rules that are one sequence, as far as no rule between them changes requests."""
        if self.sequence is None:
            rule = self.rule
            origin = rule.position // SPAN
            self.sequence = (origin, rule.priority, self.only_upgrades, self.takes_upgrades, when_key(rule.when))
        return self.sequence

    def sees(self, request: RequestView) -> bool:
        """Whether the rule applies to this kind of request: an upgrade to WebSocket, or not."""
        return self.takes_upgrades if request.websocket else not self.only_upgrades

    def match(self, request: RequestView) -> bool | None:
        """Whether the rule matches, regardless of its uses; None while that depends on the body."""
        return self.when.match(request) if self.sees(request) else False


def rule_copy(rule: CompiledRule) -> CompiledRule:
    """The same rule for another rule set, never used so far. It shares matchers and plan."""
    made = CompiledRule.__new__(CompiledRule)
    for name in CompiledRule.__slots__:  # `copy.copy` takes five times as long
        setattr(made, name, getattr(rule, name))
    made.used, made.following = 0, None
    return made


class RuleSet:
    """The rules of one rule file, with their counts of uses. Raises what `compile_when` raises."""

    def __init__(self, rules: Iterable[Rule], resolve_handler: ResolveHandler | None = None) -> None:
        self.asks_user = False
        """Whether a rule has a `python` matcher."""

        def resolve(handler: str) -> Handler:
            self.asks_user = True
            return (resolve_handler or _no_handlers)(handler)

        self._arrange(tuple(CompiledRule(rule, resolve) for rule in rules))
        self.put_in_force()

    @classmethod
    def of(cls, rules: Iterable[CompiledRule], *, asks_user: bool) -> RuleSet:
        """A rule set of rules that are compiled already, with their plans and counts. `asks_user`: whether one has a
        `python` matcher.

        Rules of another set keep their relative order, so that selections under way in that set stay valid.
        """
        made = cls.arranged(rules, asks_user=asks_user)
        made.put_in_force()
        return made

    @classmethod
    def arranged(cls, rules: Iterable[CompiledRule], *, asks_user: bool) -> RuleSet:
        """As `of`, but the rules stay as they are until `put_in_force` is called. May run in another thread while
        another set selects among the same rules."""
        made = cls(())
        made.asks_user = asks_user
        made._arrange(tuple(rules))
        return made

    def _arrange(self, rules: tuple[CompiledRule, ...]) -> None:
        """Compute everything that takes long for many rules, without a change to any rule."""
        self.rules = rules
        """In file order."""
        self.defers = any(rule.when.defers for rule in rules)
        """Whether checks may be deferred (`deferral.py`)."""
        self.ranked: tuple[CompiledRule, ...] = tuple(sorted(rules, key=_rank_of))
        """In the order in which they are evaluated."""
        self._links = _sequences(self.ranked)
        members = {id(following) for _, following in self._links}
        self._index = _PathIndex([rule for rule in self.ranked if id(rule) not in members])

    def put_in_force(self) -> None:
        """Give the rules their ranks, and their places in sequences."""
        for rank, rule in enumerate(self.ranked):
            rule.rank = rank
            rule.following = None
        for rule, following in self._links:
            rule.following = following

    def select(self, request: RequestView, after: int = -1) -> CompiledRule | NeedBody | AskUser | None:
        """The first rule with a rank above `after` that matches and is not used up; None if there is none.

        After a rule that continues, select again with its rank as `after`. NEED_BODY while the result depends on the
        body, or on deferred checks (`deferral.py`). AskUser where the request holds results of `python` matchers and
        one is missing. Call again in both cases. Selecting does not count as a use: call `use` with the rule. Raises
        MatcherError.
        """
        try:
            for candidate in self._index.candidates(request.path):
                limit = candidate.limit
                if (limit is not None and candidate.used >= limit) or candidate.rank <= after:
                    continue
                if request.websocket:
                    if not candidate.takes_upgrades:
                        continue
                elif candidate.only_upgrades:
                    continue
                answer = candidate.when.match(request)
                if answer is None:
                    return NEED_BODY
                if answer:
                    if request.params and not candidate.has_params:
                        request.params = NO_PARAMS  # left by a rule that matched the path only
                    rule = candidate
                    while rule.following is not None and rule.used >= rule.turns:
                        rule = rule.following
                    return rule
        except AskUser as missing:
            return missing  # the function gets the path parameters of its rule
        return None

    def use(self, rule: CompiledRule) -> None:
        """Count a use. Call it as soon as the rule is selected, before anything is awaited."""
        rule.used += 1

    @property
    def used(self) -> dict[str, int]:
        """Rule id → count of uses, in file order."""
        return {rule.rule.id: rule.used for rule in self.rules}

    def pending(self) -> tuple[CompiledRule, ...]:
        """The rules that were used less often than their `times` say, in file order."""
        return tuple(rule for rule in self.rules if rule.pending)


class _PathIndex:
    """An index: path → the rules that may match it, in rank order."""

    def __init__(self, ranked: Sequence[CompiledRule]) -> None:
        self._rank = {id(rule): rank for rank, rule in enumerate(ranked)}
        self._by_path: dict[str, list[CompiledRule]] = {}
        self._by_shape: dict[tuple[int, str | None], list[CompiledRule]] = {}
        rest = []
        for rule in ranked:
            path, template = _exact_path(rule.rule.when), rule.rule.when.expected.get("pathTemplate")
            if path is not None:
                self._by_path.setdefault(path, []).append(rule)
            elif template is not None:
                self._by_shape.setdefault(_template_shape(template), []).append(rule)
            else:
                rest.append(rule)
        self._rest = tuple(rest)
        self._memo: dict[str, tuple[CompiledRule, ...]] = {}
        self._shape_memo: dict[tuple[int, str | None], tuple[CompiledRule, ...]] = {}

    def candidates(self, path: str) -> tuple[CompiledRule, ...]:
        cached = self._memo.get(path)
        if cached is not None:
            return cached
        exact = self._by_path.get(path)
        if exact is None:
            return self._of_shape(path) if self._by_shape else self._rest
        return remember(self._memo, path, self._merge(exact, self._of_shape(path)), MEMO_SIZE)

    def _of_shape(self, path: str) -> tuple[CompiledRule, ...]:
        """The rules with a template of the same number of segments and the same first one, and those without a path."""
        count, first = path.count("/"), path[1:].partition("/")[0]
        shape = (count, first if (count, first) in self._by_shape else None)
        cached = self._shape_memo.get(shape)
        if cached is None:
            templates = [*self._by_shape.get((count, None), ())]
            if shape[1] is not None:
                templates += self._by_shape[shape]
            cached = remember(self._shape_memo, shape, self._merge(templates, self._rest), MEMO_SIZE)
        return cached

    def _merge(self, some: Sequence[CompiledRule], others: Sequence[CompiledRule]) -> tuple[CompiledRule, ...]:
        return tuple(sorted([*some, *others], key=lambda rule: self._rank[id(rule)]))


def _exact_path(when: When) -> str | None:
    """The only path that a `when` can match; None if there may be several."""
    path, url = when.expected.get("path"), when.expected.get("url")
    if path is not None:
        return normal_path(path)
    if url is not None and url.startswith("/"):
        return normal_path(url.split("#", 1)[0].split("?", 1)[0])
    return None


def _template_shape(template: str) -> tuple[int, str | None]:
    """The number of slashes, and the first segment if it is literal."""
    path = normal_path(template)
    first = path[1:].partition("/")[0]
    return path.count("/"), None if "{" in first else first


def _rank_of(one: CompiledRule) -> tuple[float, int]:
    return -one.rule.priority, one.rule.position


def _sequences(ranked: Sequence[CompiledRule]) -> list[tuple[CompiledRule, CompiledRule]]:
    """Return each member of a sequence but the last, with the member after it."""
    lasts: dict[Any, CompiledRule] = {}
    between: dict[Any, list[CompiledRule]] = {}
    links: list[tuple[CompiledRule, CompiledRule]] = []
    for rule in ranked:
        if rule.continues:  # it is in no sequence
            if rule.rule.edits_request:
                lasts.clear()  # from here on, the same `when` is evaluated for a changed request
            continue
        key = rule.sequence_key
        last = lasts.get(key)
        if rule.rule.times is not None:
            if last is not None:
                between.setdefault(key, []).append(rule)
            continue
        if last is not None:
            for following in (*between.pop(key, ()), rule):
                links.append((last, following))
                last = following
        lasts[key] = rule
    return links


def when_key(value: Any) -> Any:
    """A hashable form of a `when` (or of a value in it); equal exactly if the meaning is equal."""
    if isinstance(value, str):  # most are
        return (type(value).__name__, value)
    if isinstance(value, (list, tuple)):
        return ("list", *map(when_key, value))
    if isinstance(value, When):
        return frozenset((key, when_key(MATCHERS[key].canonical(item))) for key, item in value.expected.items())
    if isinstance(value, Condition | MultipartPart):
        return (type(value).__name__, *(when_key(getattr(value, name)) for name in value.__struct_fields__))
    if isinstance(value, Mapping):
        return ("mapping", frozenset((key, when_key(item)) for key, item in value.items()))
    return (type(value).__name__, value)


def upgrades_of(rule: Rule) -> tuple[bool, bool]:
    """Whether a rule applies to upgrades to WebSocket, and whether to nothing else."""
    if rule.continues:  # it does not answer, so only its matchers decide
        wanted = rule.when.expected.get("websocket")
        return wanted is not False, wanted is True
    step = rule.steps[-1].name
    only = step in _WEBSOCKET_STEPS
    return only or step in _STEPS_FOR_ANY_UPGRADE or _names_upgrades(rule.when), only


def _names_upgrades(when: When) -> bool:
    expected = when.expected
    return expected.get("websocket") is True or any(_names_upgrades(choice) for choice in expected.get("anyOf", ()))


def _no_handlers(handler: str) -> Handler:
    raise ConfigError(f"{handler}: python matchers cannot be used here")
