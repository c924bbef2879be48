"""A small mutator: bytes in, bytes a little different out. Everything it does follows from the random numbers it is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

MOST = 4096
"""Inputs grow no longer: what a length does is found by small limits, not by large inputs."""
_NUMBERS = (
    b"0|1|-1|+1|255|65535|65536|2147483647|4294967296|9223372036854775807|18446744073709551616|1e999|0x10|NaN|\0|\xff"
    b'|\xff\xff\xff\xff|\x7f\xff\xff\xff|\r\n|\n|\r|\r\n\r\n| |\t|:|;|,|"|\\|%0d%0a'
).split(b"|")
"""What readers stumble over, whatever they read."""


class Mutator:
    """Changes inputs of one kind; `tokens` are what such inputs are made of."""

    def __init__(self, chance: Random, tokens: Sequence[bytes], most: int = MOST) -> None:
        self._chance = chance
        self._most = most
        self._tokens = [*tokens, *_NUMBERS]
        self._acts: list[Callable[[bytearray, bytes], None]] = [
            self._flip, self._set, self._insert, self._delete, self._repeat, self._token, self._token, self._replace,
            self._splice, self._count,
        ]  # fmt: skip

    def changed(self, data: bytes, other: bytes) -> bytes:
        """`data` after one to some changes; `other` is an input to take pieces from."""
        out = bytearray(data)
        for _ in range(min(int(self._chance.expovariate(0.5)) + 1, 12)):
            self._chance.choice(self._acts)(out, other)
        return bytes(out[: self._most])

    def _place(self, out: bytearray) -> int:
        return self._chance.randint(0, len(out))

    def _range(self, out: bytes | bytearray) -> tuple[int, int]:
        start = self._chance.randint(0, len(out))
        return start, min(start + min(int(self._chance.expovariate(0.1)) + 1, 200), len(out))

    def _flip(self, out: bytearray, other: bytes) -> None:
        if out:
            out[self._chance.randrange(len(out))] ^= 1 << self._chance.randrange(8)

    def _set(self, out: bytearray, other: bytes) -> None:
        if out:
            out[self._chance.randrange(len(out))] = self._chance.randrange(256)

    def _insert(self, out: bytearray, other: bytes) -> None:
        at = self._place(out)
        out[at:at] = self._chance.randbytes(self._chance.randint(1, 4))

    def _delete(self, out: bytearray, other: bytes) -> None:
        start, end = self._range(out)
        del out[start:end]

    def _repeat(self, out: bytearray, other: bytes) -> None:
        start, end = self._range(out)
        out[end:end] = out[start:end] * self._chance.choice((1, 1, 2, 10))

    def _token(self, out: bytearray, other: bytes) -> None:
        at = self._place(out)
        out[at:at] = self._chance.choice(self._tokens)

    def _replace(self, out: bytearray, other: bytes) -> None:
        start, end = self._range(out)
        out[start:end] = self._chance.choice(self._tokens)

    def _splice(self, out: bytearray, other: bytes) -> None:
        start, end = self._range(out)
        first, last = self._range(other)
        out[start:end] = other[first:last]

    def _count(self, out: bytearray, other: bytes) -> None:
        """A byte that may be a length."""
        if out:
            at = self._chance.randrange(len(out))
            out[at] = (out[at] + self._chance.choice((-1, 1, 16, 127))) & 0xFF
