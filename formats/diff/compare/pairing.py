"""Pair the exchanges of A and B in four stages; the first stage with a partner decides.

1. a name: the tag of a replay, or the header that `--pair-header` names
2. the same method, URL and body
3. the same endpoint and query, without ids and ignored parameters
4. the most similar exchange of the same endpoint (`likeness.py`)

In stages 2 to 4, exchanges of a scope that both sessions have are paired within it. Within equal keys, exchanges with
equal responses are paired in any order, because concurrent requests have no order. The rest is paired n-th to n-th. All
stages are linear in the number of exchanges.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field

from mockrec.formats.diff.compare.keys import Keys
from mockrec.formats.diff.compare.likeness import ExchangeLikeness
from mockrec.formats.diff.model.exchange import Digest, Pair

Shape = Callable[[Digest, int], Hashable]
"""Digest and side (0 for A, 1 for B) → a summary of the response without volatile values."""
SameShape = Callable[[Digest, Digest], bool]
"""A digest of A and one of B → True if their shapes are equal."""


@dataclass
class Pairing:
    """All pairs in A's order, and the exchanges without a partner, in their session's order."""

    pairs: list[Pair]
    only_a: list[Digest] = field(default_factory=list)
    only_b: list[Digest] = field(default_factory=list)


def pair(a: list[Digest], b: list[Digest], keys: Keys, shape: Shape, have_same_shape: SameShape) -> Pairing:
    """Pair the exchanges of two sessions."""
    stage = _Stages(a, b, shape, have_same_shape)
    stage.by_name()
    stage.by_key("exact", stage.within_scopes(keys.exact))
    stage.by_key("normalised", stage.within_scopes(keys.normalised))
    stage.by_likeness()
    pairs = [Pair(a[index], b[other], by) for index, (other, by) in sorted(stage.found.items())]
    return Pairing(pairs, [a[index] for index in stage.left_a], [b[index] for index in stage.left_b])


class _Stages:
    def __init__(self, a: list[Digest], b: list[Digest], shape: Shape, have_same_shape: SameShape) -> None:
        self._a = a
        self._b = b
        self._shape = shape
        self._have_same_shape = have_same_shape
        self._scopes = ({one.scope for one in a} & {one.scope for one in b}) - {""}
        """The scopes of both sessions."""
        self.found: dict[int, tuple[int, str]] = {}
        """Index in A → index in B, and the name of the stage."""
        self.left_a: list[int] = list(range(len(a)))
        self.left_b: list[int] = list(range(len(b)))

    def by_name(self) -> None:
        """Pair replays of each other, or of the same exchange; then exchanges with equal values of the header."""
        if any(digest.replay_of for digest in (*self._a, *self._b)):
            ids = {digest.id for digest in (*self._a, *self._b)}
            replayed = {digest.replay_of for digest in (*self._a, *self._b)} & ids

            def name(digest: Digest, side: int) -> Hashable:
                return digest.replay_of or (digest.id if digest.id in replayed else None)

            self.by_key("replay", name)
        if any(digest.marker for digest in self._a):
            self.by_key("header", lambda digest, side: digest.marker or None)

    def within_scopes(self, key: Callable[[Digest, int], Hashable]) -> Callable[[Digest, int], Hashable]:
        """Return a function of keys that are equal only within a scope of both sessions, or outside of these."""
        if not self._scopes:
            return key
        return lambda digest, side: (self._scope(digest), key(digest, side))

    def _scope(self, digest: Digest) -> str:
        return digest.scope if digest.scope in self._scopes else ""

    def by_key(self, by: str, key: Callable[[Digest, int], Hashable]) -> None:
        """Pair within equal keys. Exchanges with the key None are left for the next stage."""
        if not (self.left_a and self.left_b):
            return
        keys_a, keys_b = (
            [key(digests[index], side) for index in left]
            for side, digests, left in ((0, self._a, self.left_a), (1, self._b, self.left_b))
        )
        self._pair_identical(keys_a, keys_b, by)
        groups: dict[Hashable, tuple[list[int], list[int]]] = {}
        paired_b = {other for other, _ in self.found.values()}
        for made, index in zip(keys_a, self.left_a, strict=True):
            if made is not None and index not in self.found:
                groups.setdefault(made, ([], []))[0].append(index)
        for made, other in zip(keys_b, self.left_b, strict=True):
            if made in groups and other not in paired_b:
                groups[made][1].append(other)
        for ours, theirs in groups.values():
            if ours and theirs:
                self._within(ours, theirs, by)
        self._forget_paired()

    def _pair_identical(self, keys_a: list[Hashable], keys_b: list[Hashable], by: str) -> None:
        """Pair exchanges with equal keys and identical responses, one by one."""
        waiting: dict[Hashable, list[int]] = {}
        for made, other in zip(reversed(keys_b), reversed(self.left_b), strict=True):
            digest = self._b[other]
            same = (made, digest.response, None if digest.messages is None else tuple(digest.messages))
            same_answer = waiting.get(same)
            if same_answer is None:
                waiting[same] = [other]
            else:
                same_answer.append(other)
        for made, index in zip(keys_a, self.left_a, strict=True):
            digest = self._a[index]
            same = (made, digest.response, None if digest.messages is None else tuple(digest.messages))
            similar = waiting.get(same)
            if similar and made is not None:
                self.found[index] = (similar.pop(), by)

    def by_likeness(self) -> None:
        """Pair the rest by likeness, within each endpoint."""
        if not (self.left_a and self.left_b):
            return
        groups: dict[Hashable, tuple[list[int], list[int]]] = {}
        for side, digests, left in ((0, self._a, self.left_a), (1, self._b, self.left_b)):
            for index in left:
                groups.setdefault((self._scope(digests[index]), digests[index].endpoint), ([], []))[side].append(index)
        likeness = ExchangeLikeness(self._a, self._b, self._shape)
        for ours, theirs in groups.values():
            for index, other in likeness.best(ours, theirs):
                self.found[index] = (other, "likeness")
        self._forget_paired()

    def _within(self, ours: list[int], theirs: list[int], by: str) -> None:
        """Pair exchanges with responses that are alike, then the rest one by one."""
        # If each is like the one at its place, pairing by shapes gives these pairs, too.
        if (len(ours) > 1 or len(theirs) > 1) and not self._are_alike(ours, theirs):
            ours, theirs = self._alike(ours, theirs, by)
        for index, other in zip(ours, theirs, strict=False):
            self.found[index] = (other, by)

    def _are_alike(self, ours: list[int], theirs: list[int]) -> bool:
        return len(ours) == len(theirs) and all(
            self._have_same_shape(self._a[index], self._b[other]) for index, other in zip(ours, theirs, strict=True)
        )

    def _alike(self, ours: list[int], theirs: list[int], by: str) -> tuple[list[int], list[int]]:
        """Pair exchanges whose responses are equal apart from volatile values. Return the rest."""
        waiting: dict[Hashable, list[int]] = {}
        for other in reversed(theirs):
            waiting.setdefault(self._shape(self._b[other], 1), []).append(other)
        rest = []
        taken = set()
        for index in ours:
            similar = waiting.get(self._shape(self._a[index], 0))
            if similar:
                other = similar.pop()
                taken.add(other)
                self.found[index] = (other, by)
            else:
                rest.append(index)
        return rest, [other for other in theirs if other not in taken]

    def _forget_paired(self) -> None:
        paired = {other for other, _ in self.found.values()}
        self.left_a = _without(self.left_a, self.found)
        self.left_b = _without(self.left_b, paired)


def _without(indexes: Iterable[int], paired: dict[int, tuple[int, str]] | set[int]) -> list[int]:
    return [index for index in indexes if index not in paired]
