"""The rules in force, for everybody and in each scope: those of the rule file, and those added at run time.

Counts of uses are kept apart: a scope has copies of all rules. Nothing is compiled twice but rules with recordings,
which every scope replays from their beginning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Any, Final

import anyio
from msgspec.structs import replace

from mockrec.engine.errors import ConfigError
from mockrec.engine.message.scope import Scope
from mockrec.engine.replay.serve.cassettes import Replays
from mockrec.engine.rules.language.load import Loaded
from mockrec.engine.rules.matching.select import SPAN, CompiledRule, RuleSet, rule_copy
from mockrec.engine.rules.model import Replay
from mockrec.engine.run.control.cassette import ScopeCassette
from mockrec.engine.run.responder import Responder, if_many

_FOR_EVERYBODY: Final = -SPAN
"""The position of the first rule that is added for everybody."""
_FOR_A_SCOPE: Final = -2 * SPAN
"""The position of the first rule that is added for a scope: before those for everybody."""


class _Added:
    """Rules that were added together."""

    def __init__(self, rules: Sequence[CompiledRule], replays: Replays) -> None:
        self.rules = list(rules)
        self.replays = replays


class ScopeRules:
    """The rules of one scope."""

    def __init__(self, scope: Scope, cassette: ScopeCassette | None, replays: Replays) -> None:
        self.scope = scope
        self.cassette = cassette
        self.own: list[_Added] = []
        """Rules that were added for this scope."""
        self.copies: list[CompiledRule] = []
        """Of the rules for everybody."""
        self.replays = replays
        """The recordings of those copies."""

    @property
    def rules(self) -> Iterable[CompiledRule]:
        """All rules that may answer in this scope."""
        return self.scope.rules.rules

    @property
    def recordings(self) -> list[Replays]:
        """Everything that the scope replays."""
        own = [self.replays, *(added.replays for added in self.own)]
        return own if self.cassette is None else [*own, self.cassette.replays]


class RuntimeRules:
    """Adds rules to a responder's, removes them, and sets counts back."""

    def __init__(self, responder: Responder, use: Callable[[RuleSet], None], is_idle: Callable[[], bool]) -> None:
        """`use` is called with the rule set for everybody when it changes; `is_idle`: whether no exchange is open, so
        that recordings that nobody replays any more can be closed."""
        self._responder = responder
        self._use = use
        self._is_idle = is_idle
        self._retired: list[Replays] = []
        self._file = responder.rules
        self._has_recordings = _has_recordings(self._file.rules)
        """Whether a rule for everybody answers from a recording."""
        self._added: list[_Added] = []
        self._scopes: dict[Scope, ScopeRules] = {}
        self._positions = count(_FOR_EVERYBODY)
        self._scope_positions = count(_FOR_A_SCOPE)
        self._ids = count(1)
        self._changing = anyio.Lock()
        """Held while the rules for everybody, or those of a scope, are replaced by others, which may take long."""
        self._uses: Counter[str] = Counter()
        """Uses of the file's rules that are in no count in force any more."""

    def _new_replays(self, *, keeps_exchanges: bool = True) -> Replays:
        responder = self._responder
        return Replays(responder.websocket, is_local=responder.endpoints.is_local, keeps_exchanges=keeps_exchanges)

    # ── for everybody ──────────────────────────────────────────────────────────────────────────────

    async def use(self, loaded: Loaded) -> None:
        """Answer by another rule file, and by the rules that were added. Raises what `Responder.use` raises."""
        async with self._changing:
            await self._responder.use(loaded)
            self._file = self._responder.rules
            self._answer_by(await self._arranged(self._added))

    async def add(self, loaded: Loaded, scope: Scope | None) -> list[str]:
        """Add rules, before those of the file and after those added before. Return their ids. Raises ConfigError."""
        async with self._changing:
            self._check_open(scope)
            replays, taken = self._new_replays(keeps_exchanges=False), self._taken_ids(scope)
            try:
                compiled = await if_many(loaded.rule_file.rules, lambda: self._compile(loaded, scope, taken, replays))
                added = _Added(compiled, replays)
                if scope is None:
                    everybody = await self._arranged([*self._added, added])
                self._check_open(scope)
            except BaseException:
                self._retire(replays)
                raise
            if scope is None:
                self._added.append(added)
                self._answer_by(everybody)
            else:
                self._scopes[scope].own.append(added)
                self._rebuild_scope(self._scopes[scope])
        return [rule.rule.id for rule in compiled]

    def _check_open(self, scope: Scope | None) -> None:
        """Raise ConfigError if a scope was closed while its rules waited, or were compiled."""
        if scope is not None and scope not in self._scopes:
            raise ConfigError(f"the scope {scope.name!r} was closed meanwhile")

    def _compile(
        self, loaded: Loaded, scope: Scope | None, taken: set[str], replays: Replays
    ) -> tuple[CompiledRule, ...]:
        """Give rules their ids and positions, and compile them. `taken` are ids that they cannot have."""
        positions = self._positions if scope is None else self._scope_positions
        rules = []
        for rule in loaded.rule_file.rules:
            name = rule.id if rule.id not in taken and not _is_default(rule.id, rule.position) else self._new_id(taken)
            taken.add(name)
            rules.append(replace(rule, id=name, position=next(positions)))
        loaded = replace(loaded, rule_file=replace(loaded.rule_file, rules=tuple(rules)))
        return self._responder.compile_more(loaded, replays).rules

    async def remove(self, name: str | None = None, scope: Scope | None = None) -> int:
        """Remove rules that were added: all of them, those of a scope, or the one with this id. Return how many."""

        def left(group: _Added) -> _Added:
            return _Added([one for one in group.rules if name is not None and one.rule.id != name], group.replays)

        async with self._changing:
            if scope is None:
                added = [left(group) for group in self._added]
                if removed := _size(self._added) - _size(added):
                    everybody = await self._arranged(added)
                    self._added = self._kept(added)
                    self._answer_by(everybody)
            else:
                removed = 0
            for each in [one for one in self._scopes.values() if scope is None or one.scope is scope]:
                own = [left(group) for group in each.own]
                if fewer := _size(each.own) - _size(own):
                    each.own = self._kept(own)
                    self._rebuild_scope(each)
                    removed += fewer
        return removed

    def _kept(self, groups: Sequence[_Added]) -> list[_Added]:
        """Return the groups that have rules, and close the recordings of the others."""
        self._retire(*(group.replays for group in groups if not group.rules))
        return [group for group in groups if group.rules]

    async def reset(self) -> None:
        """Remove the rules that were added, and set counts, sequences and recordings back."""
        async with self._changing:
            everybody = await self._arranged([]) if self._added else None
            for group in [*self._added, *(group for each in self._scopes.values() for group in each.own)]:
                self._retire(group.replays)
            self._added = []
            self._file_uses_kept(self._file.rules)
            self._responder.replays.reset()
            for each in self._scopes.values():
                had_own = bool(each.own)
                each.own = []
                self._file_uses_kept(each.copies)
                for rule in each.rules:
                    rule.used = 0
                each.replays.reset()
                if each.cassette is not None:
                    each.cassette.reset()
                each.scope.reset()
                if had_own:
                    self._rebuild_scope(each)
            if everybody is not None:
                self._answer_by(everybody)

    def finish(self) -> None:
        """The run ends: the rules of the file get the uses that they had before resets and in scopes."""
        for each in self._scopes.values():
            self._file_uses_kept(each.copies)
        for rule in self._file.rules:
            rule.used += self._uses.pop(rule.rule.id, 0)
        self._retire(*(replays for each in self._scopes.values() for replays in each.recordings))
        self._close_retired()

    # ── scopes ─────────────────────────────────────────────────────────────────────────────────────

    def open(self, name: str, cassette: ScopeCassette | None) -> Scope:
        """Open a scope. Its name is not that of an open one."""
        scope = Scope(name)
        each = self._scopes[scope] = ScopeRules(scope, cassette, self._new_replays())
        scope.unmatched_steps = self._responder.unmatched_steps(lambda: scope.rules)
        self._rebuild_scope(each)
        return scope

    def of(self, scope: Scope) -> ScopeRules:
        """Return the rules of an open scope."""
        return self._scopes[scope]

    def writer_of(self, path: str, name: str) -> str | None:
        """Return the name of an open scope, other than `name`, that records into a cassette; None if there is none."""
        for scope, each in self._scopes.items():
            if (
                scope.name != name
                and each.cassette is not None
                and each.cassette.records
                and each.cassette.path == path
            ):
                return scope.name
        return None

    def close(self, scope: Scope) -> None:
        """Close a scope. Exchanges under way are answered by its rules to their ends."""
        each = self._scopes.pop(scope)
        self._file_uses_kept(each.copies)
        self._retire(*each.recordings)

    def listed(self) -> list[dict[str, Any]]:
        """Return id, uses and scope of all rules, for people and programs."""
        places = [(None, self._responder.rules.rules), *((s.name, each.rules) for s, each in self._scopes.items())]
        return [
            {"id": rule.rule.id, "used": rule.used, "pending": rule.pending, "scope": scope}
            for scope, rules in places
            for rule in rules
        ]

    # ── composition ────────────────────────────────────────────────────────────────────────────────

    async def _arranged(self, added: Sequence[_Added]) -> RuleSet:
        """Return the rule set for everybody, of these rules and those of the file. It is not in force yet: call
        `_answer_by` with it."""
        everybody = [*(rule for group in added for rule in group.rules), *self._file.rules]
        asks = self._file.asks_user
        return await if_many(everybody, lambda: RuleSet.arranged(everybody, asks_user=asks))

    def _answer_by(self, everybody: RuleSet) -> None:
        """Put a rule set for everybody in force."""
        everybody.put_in_force()
        if not self._added:
            self._file = everybody
        self._responder.rules = everybody
        self._use(everybody)
        self._has_recordings = _has_recordings(everybody.rules)
        for each in self._scopes.values():
            self._rebuild_scope(each)

    def _copy(self, each: ScopeRules) -> None:
        """Give a scope copies of the rules for everybody; those that it has keep their counts."""
        known = {id(copied.rule): copied for copied in each.copies}
        each.copies = [
            known.get(id(rule.rule)) or self._copied(rule, each)
            for rule in (*(one for group in self._added for one in group.rules), *self._file.rules)
        ]

    def _copied(self, rule: CompiledRule, each: ScopeRules) -> CompiledRule:
        if _has_recordings([rule]):
            return self._responder.recompile(rule.rule, each.replays)
        return rule_copy(rule)

    def _rebuild_scope(self, each: ScopeRules) -> None:
        def made() -> RuleSet:
            self._copy(each)
            own = [rule for group in each.own for rule in group.rules]
            last = [] if each.cassette is None else [each.cassette.rule]
            return RuleSet.of([*own, *each.copies, *last], asks_user=self._file.asks_user)

        each.scope.use_rules(made)
        if self._has_recordings:
            _ = each.scope.rules  # made at once: the recordings of a scope are counted from its start

    def _taken_ids(self, scope: Scope | None) -> set[str]:
        rules = [*self._responder.rules.rules, *(() if scope is None else self._scopes[scope].rules)]
        return {rule.rule.id for rule in rules}

    def _new_id(self, taken: set[str]) -> str:
        while (name := f"added-{next(self._ids)}") in taken:
            pass
        return name

    def _retire(self, *retired: Replays) -> None:
        """Close recordings as soon as no exchange is open: one under way may still read them."""
        self._retired += retired
        if self._is_idle():
            self._close_retired()

    def _close_retired(self) -> None:
        for replays in self._retired:
            for cassette in replays.cassettes:
                cassette.close()
        self._retired.clear()

    def _file_uses_kept(self, rules: Iterable[CompiledRule]) -> None:
        """Remember uses before the counts are set to 0 or dropped."""
        for rule in rules:
            if rule.used and rule.rule.position >= 0:
                self._uses[rule.rule.id] += rule.used
            rule.used = 0


def _size(groups: Iterable[_Added]) -> int:
    return sum(len(group.rules) for group in groups)


def _has_recordings(rules: Iterable[CompiledRule]) -> bool:
    return any(isinstance(step, Replay) for rule in rules for step in rule.rule.steps)


def _is_default(name: str, position: int) -> bool:
    """Whether a rule has the id that rules without one get in a file: added rules get others."""
    return name == f"rule-{position + 1}"
