"""Digests of the values of two documents: two digests are equal if the values are, apart from volatile values.

Each value is hashed once, however many arrays contain it, and from the inside out, so that neither the time nor the
stack grows with the depth.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any

from mockrec.formats.diff.compare.documents import dump, type_name
from mockrec.formats.diff.compare.values import ValueComparer

_SMALL = 100_000_000
"""Smaller integers are never times."""


class Digests:
    """The digests of one comparison. Containers are cached by identity, so documents have to live as long as this."""

    def __init__(self, values: ValueComparer) -> None:
        self._values = values
        self._digests: dict[tuple[int, int], str] = {}
        """Side and identity of a container → its digest."""
        self._scalars: dict[tuple[int, type, Any], str] = {}
        """Side, type and value of a scalar → its digest: most values of a document occur many times."""
        self._names: dict[Any, str] = {}

    def of(self, value: Any, side: int) -> str:
        """Return the digest of a value. `side` is 0 for A's document, 1 for B's."""
        order, waiting = [], [value]
        while waiting:
            one = waiting.pop()
            if isinstance(one, (dict, list)) and (side, id(one)) not in self._digests:
                order.append(one)
                waiting.extend(one.values() if isinstance(one, dict) else one)
        for one in reversed(order):  # in `order`, members are after their container
            self._digests[side, id(one)] = self._of_container(one, side)
        return self._of(value, side)

    def _of(self, value: Any, side: int) -> str:
        if isinstance(value, (dict, list)):
            return self._digests[side, id(value)]
        key = (side, type(value), value)
        cached = self._scalars.get(key)
        if cached is None:
            cached = self._scalars[key] = self._of_scalar(value, side)
        return cached

    def _of_scalar(self, value: Any, side: int) -> str:
        if type(value) is int and abs(value) < _SMALL:
            return digest_of_text(f"number {value}")
        text = self._values.whole(value if isinstance(value, str) else dump(value), side)
        if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool) and "<" not in text:
            text = _by_value(value)
        return digest_of_text(f"{type_name(value)} {text}")

    def _of_container(self, value: Any, side: int) -> str:
        if isinstance(value, list):
            return digest_of_text("array " + " ".join([self._of(item, side) for item in value]))
        members = sorted([f"{self._name(key)} {self._of(item, side)}" for key, item in value.items()])
        return digest_of_text("object " + " ".join(members))

    def _name(self, key: Any) -> str:
        cached = self._names.get(key)
        if cached is None:
            cached = self._names[key] = digest_of_text(repr(key))
        return cached


def _by_value(number: int | float | Decimal) -> str:
    """Return the same text for equal numbers: `1`, `1.0` and `10e-1`. Its length does not grow with the exponent."""
    sign, digits, exponent = Decimal(number).as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    short = text.rstrip("0")
    if not short:
        return "0"
    place = int(exponent) + len(text) - len(short)
    if 0 <= place < 8 and len(short) + place <= 8:
        return f"{'-' if sign else ''}{short}{'0' * place}"  # as small integers are written
    return f"{'-' if sign else ''}{short}e{place}"


def digest_of_text(text: str) -> str:
    """Return the digest of a text."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()
