"""Which recordings answer a request, by the hashes of its facts: about a hundred bytes of memory for each recording."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from mockrec.engine.replay.serve.store import Spot


class Index:
    """Recordings in the order in which they ended (their *places*), found by the hashes of their requests."""

    def __init__(self) -> None:
        self.numbers = array("I")
        """Place → place of its request in the session."""
        self.used = array("I")
        """Place → how often it has answered."""
        self.variants = array("Q")
        """Place → digest of its variant."""
        self.deciding = array("Q")
        """Place → digest of the fields by which its server told requests apart (`Variant.deciding`)."""
        self.parts = array("Q")
        """Place → digest of the range that a part was sent for; 0 for what is no part."""
        self._offsets = array("Q")
        self._lengths = array("I")
        self._keys = array("Q"), array("Q")
        self._orders = array("I"), array("I")
        self.in_order = array("I")
        """Places, in the order of the session."""

    def __len__(self) -> int:
        return len(self.numbers)

    def add(
        self, number: int, exact: int, loose: int, variant: int, deciding: int, card: Spot, *, part: int = 0
    ) -> None:
        """Remember a recording; `exact` and `loose` are hashes of its request."""
        self.numbers.append(number)
        self.used.append(0)
        self.variants.append(variant)
        self.deciding.append(deciding)
        self.parts.append(part)
        self._offsets.append(card[0])
        self._lengths.append(card[1])
        self._keys[0].append(exact)
        self._keys[1].append(loose)

    def done(self) -> None:
        """All have been added: they can be looked for."""
        order = sorted(range(len(self.numbers)), key=self.numbers.__getitem__)
        self.in_order = array("I", order)
        orders = []
        for keys in self._keys:
            order.sort(key=keys.__getitem__)
            orders.append(array("I", order))
            order = list(self.in_order)
        self._orders = orders[0], orders[1]

    def card(self, place: int) -> Spot:
        """Where the store has what else is known of a recording."""
        return self._offsets[place], self._lengths[place]

    def run(self, key: int, *, loose: bool) -> tuple[int, int]:
        """The part of an order in which recordings have this hash: from, to."""
        keys, order = self._keys[loose], self._orders[loose]
        first = bisect_left(order, key, key=keys.__getitem__)
        return first, bisect_right(order, key, first, key=keys.__getitem__)

    def places(self, run: tuple[int, int], *, loose: bool) -> Sequence[int]:
        """The recordings of a run, in the order of the session."""
        return self._orders[loose][run[0] : run[1]]

    def unused(self) -> Iterator[int]:
        """Places of recordings that have never answered."""
        return (place for place in self.in_order if not self.used[place])
