"""Headers of a batch of rows: clients and servers repeat their heads, so each is decoded once.

Also where `headers` is compared with what follows from `rawHeaders`: only the pairs are stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import orjson

from mockrec.formats.text.fields import header_table

Pairs = Sequence[Sequence[str]]

_decoder: msgspec.json.Decoder[list[tuple[str, str]]] = msgspec.json.Decoder(list[tuple[str, str]])


class Heads:
    """The different lists of pairs of a batch. Number 0 is that of rows without one."""

    def __init__(self) -> None:
        self.pairs: list[Pairs | None] = [None]
        self.tables: list[dict[str, Any]] = [{}]
        self._numbers: dict[bytes, int] = {b"\0": 0}

    def number(self, pairs: Any, table: Any) -> int:
        """The number of a head, from the JSON of `rawHeaders` and of `headers` (None: no such key).

        -1 when the one does not follow from the other, or they are something else altogether.
        """
        known = bytes(pairs or b"") + b"\0" + bytes(table or b"")
        number = self._numbers.get(known)
        if number is None:
            number = self._numbers[known] = self._add(pairs, table)
        return number

    def _add(self, pairs: Any, table: Any) -> int:
        if pairs is None:
            return -1
        try:
            decoded = _decoder.decode(pairs)
            said = None if table is None else orjson.loads(bytes(table))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, orjson.JSONDecodeError):
            return -1
        made = header_table(decoded)
        if (made or None) != said:
            return -1
        self.pairs.append(decoded)
        self.tables.append(made)
        return len(self.pairs) - 1
