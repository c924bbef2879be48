"""Pair items of two runs that have no equal items: those with most features in common, in order.

The cost is bounded: the number of comparisons is proportional to the number of items (`ComparisonBudget`), and only
`FEATURES` members of an item are compared.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable

_MOST = 4096
"""Pairs of items that are compared for one run."""
_FOR_EACH = 16
"""Pairs that are compared for each item of a document, on average."""
_FLOOR = 0.3
"""Share of common features below which items are not paired."""
FEATURES = 64
"""Members of an item that are compared."""

Features = frozenset[object]
"""Members of an item, hashed. Empty for an item that is only paired with an equal one."""
Weigh = Callable[[int, int], float]


class ComparisonBudget:
    """The number of pairs that may still be compared in one comparison of documents."""

    def __init__(self) -> None:
        self._left = _MOST

    def earn(self, items: int) -> None:
        """Raise the budget, because a sequence with this number of items was found."""
        self._left += _FOR_EACH * items

    def spend(self, pairs: int) -> bool:
        """Take this number of pairs from the budget. False, and nothing taken, if there are not enough."""
        if pairs > min(_MOST, self._left):
            return False
        self._left -= pairs
        return True


class ItemLikeness:
    """The likeness of items of two sequences; symmetric."""

    def __init__(self, a: Callable[[int], Features], b: Callable[[int], Features], budget: ComparisonBudget) -> None:
        self._of = (a, b)
        self._cache: tuple[dict[int, Features], dict[int, Features]] = ({}, {})
        self.budget = budget

    def __call__(self, i: int, j: int) -> float:
        """Return the share of features that both items have, from 0 to 1."""
        a, b = self._features(0, i), self._features(1, j)
        if not (a and b):
            return 0.0
        common = len(a & b)
        return common / (len(a) + len(b) - common)

    def difference(self, i: int | None, j: int | None) -> float:
        """Return the number of members in which two items differ, at least 1; 1 for an item without a partner."""
        if i is None or j is None:
            return 1.0
        a, b = self._features(0, i), self._features(1, j)
        return max(1.0, (len(a) + len(b)) / 2 - len(a & b))

    def in_order(self, run_a: range, run_b: range, *, swapped: bool) -> list[tuple[int, int]]:
        """Return pairs of two runs, both rising. Items below the floor of likeness are not paired.

        Among equally good results, the choice depends on the side that comes first; with `swapped` that is B.
        """
        first, second, sides = (run_b, run_a, (1, 0)) if swapped else (run_a, run_b, (0, 1))
        if self.budget.spend(len(first) * len(second)):
            weigh = (lambda i, j: self(second[j], first[i])) if swapped else (lambda i, j: self(first[i], second[j]))
            places = best_in_order(len(first), len(second), weigh)
            found = [(first[i], second[j]) for i, j in places]
        else:
            found = self._by_rare_features(first, second, sides)
        return [(i, j) for j, i in found] if swapped else found

    def _by_rare_features(self, first: range, second: range, sides: tuple[int, int]) -> list[tuple[int, int]]:
        """Return such pairs in linear time: items with features that no other item of the runs has."""
        places: list[dict[object, int]] = []
        for side, run in zip(sides, (first, second), strict=True):
            owners: dict[object, int] = {}
            for index in run:
                for feature in self._features(side, index):
                    owners[feature] = -1 if feature in owners else index
            places.append(owners)
        votes: Counter[tuple[int, int]] = Counter()
        for feature, index in places[0].items():
            other = places[1].get(feature, -1)
            if index >= 0 and other >= 0:
                votes[index, other] += 1
        partners: dict[int, int] = {}
        taken: set[int] = set()
        for index, other in sorted(votes, key=lambda pair: (-votes[pair], pair)):
            if index not in partners and other not in taken:
                partners[index] = other
                taken.add(other)
        return rising(sorted(partners.items()))

    def _features(self, side: int, index: int) -> Features:
        found = self._cache[side].get(index)
        if found is None:
            found = self._cache[side][index] = self._of[side](index)
        return found


def rising(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return a longest subsequence of the pairs, which rise in their first number, that rises in the second one too."""
    ends: list[int] = []
    """Index: length - 1 of a subsequence; value: the smallest second number with which one of this length ends."""
    last: list[int] = []
    """The index of that subsequence's last pair."""
    before: list[int] = []
    for number, (_, other) in enumerate(pairs):
        length = bisect_left(ends, other)
        before.append(last[length - 1] if length else -1)
        ends[length : length + 1] = [other]
        last[length : length + 1] = [number]
    found = []
    number = last[-1] if last else -1
    while number >= 0:
        found.append(pairs[number])
        number = before[number]
    return found[::-1]


def best_in_order(count_a: int, count_b: int, weigh: Weigh) -> list[tuple[int, int]]:
    """Return pairs of indexes, both rising, with the greatest total weight. Pairs below the floor are left out.

    It weighs `count_a * count_b` pairs: take them from the budget first.
    """
    # best[i][j]: the greatest total weight of the first i items of A and the first j of B.
    best = [[0.0] * (count_b + 1) for _ in range(count_a + 1)]
    paired = [[0.0] * count_b for _ in range(count_a)]
    for i in range(count_a):
        row, above = best[i + 1], best[i]
        for j in range(count_b):
            weight = weigh(i, j)
            taken = above[j] + weight if weight >= _FLOOR else -1.0
            paired[i][j] = taken
            row[j + 1] = max(taken, above[j + 1], row[j])
    found: list[tuple[int, int]] = []
    i, j = count_a, count_b
    while i and j:
        here = best[i][j]
        if paired[i - 1][j - 1] == here:
            i, j = i - 1, j - 1
            found.append((i, j))
        elif best[i - 1][j] == here:
            i -= 1
        else:
            j -= 1
    return found[::-1]


def best_anywhere(count_a: int, count_b: int, weigh: Weigh, budget: ComparisonBudget) -> list[tuple[int, int]]:
    """Return pairs of indexes in any order: first those with the greatest weights, then the rest one by one."""
    weighed = []
    for i in range(count_a if budget.spend(count_a * count_b) else 0):
        for j in range(count_b):
            weight = weigh(i, j)
            if weight >= _FLOOR:
                weighed.append((-weight, abs(i - j), i + j, i, j))
    found = {}
    taken = set()
    for *_, i, j in sorted(weighed):
        if i not in found and j not in taken:
            found[i] = j
            taken.add(j)
    rest_a = [i for i in range(count_a) if i not in found]
    rest_b = [j for j in range(count_b) if j not in taken]
    found.update(zip(rest_a, rest_b, strict=False))
    return sorted(found.items())
