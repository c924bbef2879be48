"""The index of recordings by the hash of their match key: about a hundred bytes of memory for each recording."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Sequence

from mockrec.engine.replay.serve.store import Spot


class Index:
    """Recordings by the hashes of their requests. A *place* is a recording's position in order of end."""

    def __init__(self) -> None:
        self.numbers = array("I")
        """Place → number of the exchange in session order."""
        self.used = array("I")
        """Place → how often it was served."""
        self._used_before = array("I")
        """Place → how often it was served before the last reset; empty if there was none."""
        self.variants = array("Q")
        """Place → digest of the variant."""
        self.deciding = array("Q")
        """Place → digest of the request's values in the fields that selected the response (`Variant.deciding`)."""
        self.parts = array("Q")
        """Place → digest of the range that a partial response (206) was sent for; 0 for any other response."""
        self._offsets = array("Q")
        self._lengths = array("I")
        self._keys = array("Q"), array("Q")
        self._orders = array("I"), array("I")
        self.in_order = array("I")
        """Places in session order."""

    def __len__(self) -> int:
        return len(self.numbers)

    def add(
        self, number: int, exact: int, loose: int, variant: int, deciding: int, card: Spot, *, part: int = 0
    ) -> None:
        """Add a recording.

        `exact` and `loose` are the hashes of its match key, with and without volatile values. `card` is where the store
        holds the recording.
        """
        self.numbers.append(number)
        self.used.append(0)
        self.variants.append(variant)
        self.deciding.append(deciding)
        self.parts.append(part)
        self._offsets.append(card[0])
        self._lengths.append(card[1])
        self._keys[0].append(exact)
        self._keys[1].append(loose)

    def done(self, replaced: Collection[int] = ()) -> None:
        """Sort the index after the last `add`; lookups are possible from then on. `replaced` places are never found."""
        places = (place for place in range(len(self.numbers)) if place not in replaced)
        order = sorted(places, key=self.numbers.__getitem__)
        self.in_order = array("I", order)
        orders = []
        for keys in self._keys:
            order.sort(key=keys.__getitem__)
            orders.append(array("I", order))
            order = list(self.in_order)
        self._orders = orders[0], orders[1]

    def card(self, place: int) -> Spot:
        """Return where the store holds the recording."""
        return self._offsets[place], self._lengths[place]

    def run(self, key: int, *, loose: bool) -> tuple[int, int]:
        """Return the range of recordings with this hash, in the order sorted by hash: start and end."""
        keys, order = self._keys[loose], self._orders[loose]
        first = bisect_left(order, key, key=keys.__getitem__)
        return first, bisect_right(order, key, first, key=keys.__getitem__)

    def places(self, run: tuple[int, int], *, loose: bool) -> Sequence[int]:
        """Return the places of a run, in session order."""
        return self._orders[loose][run[0] : run[1]]

    def unused(self) -> Iterator[int]:
        """Return the places of recordings that were never served, in session order."""
        used, before = self.used, self._used_before
        return (place for place in self.in_order if not (used[place] or (before and before[place])))

    def reset(self) -> None:
        """Begin again: no recording has been served so far. `unused` still knows those that were."""
        before = self._used_before or array("I", bytes(4 * len(self.used)))
        self._used_before = array("I", map(max, before, self.used))
        self.used = array("I", bytes(self.used.itemsize * len(self.used)))
