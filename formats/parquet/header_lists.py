"""The header lists of a batch of rows: clients and servers repeat theirs, so each different list is decoded once.

Only the list of pairs (`rawHeaders`) is stored. So `headers` is compared with the table that follows from the pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import orjson

from mockrec.formats.text.fields import header_table

Pairs = Sequence[Sequence[str]]

_decoder: msgspec.json.Decoder[list[tuple[str, str]]] = msgspec.json.Decoder(list[tuple[str, str]])


class HeaderLists:
    """The different lists of pairs of a batch. Number 0 stands for no list."""

    def __init__(self) -> None:
        self.pairs: list[Pairs | None] = [None]
        self.tables: list[dict[str, Any]] = [{}]
        self._numbers: dict[bytes, int] = {b"\0": 0}

    def number(self, pairs: Any, table: Any) -> int:
        """The number of a list, from the JSON of `rawHeaders` and of `headers` (None: no such key).

        -1 if `headers` does not follow from `rawHeaders`, or if either has another form.
        """
        known = b"%b\0%b" % (pairs or b"", table or b"")
        number = self._numbers.get(known)
        if number is None:
            number = self._numbers[known] = self._add(pairs, table)
        return number

    def _add(self, pairs: Any, table: Any) -> int:
        if pairs is None:
            return -1
        try:
            decoded = _decoder.decode(pairs)
            recorded = {} if table is None else orjson.loads(bytes(table))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, orjson.JSONDecodeError):
            return -1
        made = header_table(decoded)
        # The recorder leaves an empty table out, so one that is there does not follow from the pairs.
        if recorded != made or (table is not None and not made):
            return -1
        self.pairs.append(decoded)
        self.tables.append(made)
        return len(self.pairs) - 1
