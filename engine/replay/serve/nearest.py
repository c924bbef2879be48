"""Find the recordings nearest to an unmatched request without scanning the session.

The index is a temporary SQLite database. It needs no memory, and a lookup takes a few hundred microseconds regardless
of the session's size.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, Final

from mockrec.engine.replay.session.fingerprint import MatchKey, text_of

_BATCH: Final = 500
_SAME: Final = 4
"""At most this many recordings are returned for each combination of equal properties (path, method, query, body)."""
_NEIGHBOURS: Final = 6
"""Paths that are compared before and after one, in alphabetical order and in the order of the reversed texts."""
_PATHS: Final = 3
_LONGEST: Final = 500
_NO_BODY: Final = (None, {"text": ""})
_SCHEMA: Final = """
CREATE TABLE near (path TEXT, method TEXT, body INT, query INT, place INT);
CREATE TABLE paths (path TEXT PRIMARY KEY, reversed TEXT) WITHOUT ROWID;
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -1024;
"""
_INDEXES: Final = """
CREATE INDEX by_body ON near (path, method, body, query, place);
CREATE INDEX by_query ON near (path, method, query, place);
CREATE INDEX by_reversed ON paths (reversed);
"""
_WEIGHTS: Final = {"websocket": 8, "path": 6, "method": 4, "host": 2}


class Nearest:
    """Path, method, query and body of recorded requests → places of the recordings."""

    def __init__(self) -> None:
        # An empty name: SQLite creates and deletes a temporary file, and writes to it only when its cache is full.
        self._data = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._data.executescript(_SCHEMA)
        self._waiting: list[tuple[Any, ...]] = []

    def add(self, place: int, facts: MatchKey) -> None:
        """Add a recording."""
        self._waiting.append((*_parts(facts), place))
        if len(self._waiting) >= _BATCH:
            self._write()

    def _write(self) -> None:
        self._data.execute("BEGIN")
        self._data.executemany("INSERT INTO near VALUES (?, ?, ?, ?, ?)", self._waiting)
        paths = {row[0]: row[0][::-1] for row in self._waiting}
        self._data.executemany("INSERT OR IGNORE INTO paths VALUES (?, ?)", paths.items())
        self._data.execute("COMMIT")
        self._waiting.clear()

    def done(self) -> None:
        """Write the last rows and create the indexes after the last `add`."""
        self._write()
        self._data.executescript(_INDEXES)

    def close(self) -> None:
        """Close the database, which deletes its file."""
        self._data.close()

    def places(self, facts: MatchKey) -> list[int]:
        """Return the places of candidates: recordings of the same path, or else of the most similar paths."""
        path, method, body, query = _parts(facts)
        found = list(dict.fromkeys(self._of_path(path, method, body, query)))
        if found:
            return found
        alike = sorted(self._alike(path), key=lambda one: -_likeness(path, one))[:_PATHS]
        return list(dict.fromkeys(place for one in alike for place in self._of_path(one, method, body, query)))

    def _of_path(self, path: str, method: str, body: int, query: int) -> Iterator[int]:
        ask = self._data.execute
        # INDEXED BY names the index: without it SQLite guesses, and may scan all recordings of a path.
        by_body, by_query = (f"SELECT place FROM near INDEXED BY by_{one} WHERE path = ?" for one in ("body", "query"))
        for question, values in (
            (f"{by_body} AND method = ? AND body = ? AND query = ? LIMIT {_SAME}", (path, method, body, query)),
            (f"{by_query} AND method = ? AND query = ? LIMIT {_SAME}", (path, method, query)),
            (f"{by_body} AND method = ? AND body = ? LIMIT {_SAME}", (path, method, body)),
            (f"{by_body} AND method = ? LIMIT {_SAME}", (path, method)),
            (f"{by_body} LIMIT {_SAME}", (path,)),
        ):
            yield from (place for (place,) in ask(question, values))

    def _alike(self, path: str) -> set[str]:
        backwards = path[::-1]
        found: set[str] = set()
        for column, value in (("path", path), ("reversed", backwards)):
            for order in (f"{column} < ? ORDER BY {column} DESC", f"{column} > ? ORDER BY {column}"):
                question = f"SELECT path FROM paths WHERE {order} LIMIT {_NEIGHBOURS}"
                found.update(one for (one,) in self._data.execute(question, (value,)))
        return found


def _parts(facts: MatchKey) -> tuple[str, str, int, int]:
    path = facts.get("path")
    kind = "WebSocket" if facts.get("websocket") else str(facts.get("method", ""))
    text = path[:_LONGEST] if isinstance(path, str) else ""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    header, body, query = facts.get("header"), facts.get("body"), facts.get("query")
    content = 0 if not header and body in _NO_BODY else hash(text_of({"body": body, "header": header}))
    return text, kind, content, hash(text_of(query)) if query else 0


def _likeness(one: str, other: str) -> float:
    """Return the likeness of two paths, 0 to 2: the share of equal characters at both ends, and of equal segments."""
    shorter = min(len(one), len(other))
    front = next((at for at in range(shorter) if one[at] != other[at]), shorter)
    rest = shorter - front
    back = next((at for at in range(rest) if one[-1 - at] != other[-1 - at]), rest)
    mine, others = one.split("/"), other.split("/")
    equal = len({*mine} & {*others}) / max(len(mine), len(others))
    return (front + back) / max(len(one), len(other), 1) + equal


def distance(differences: Iterable[tuple[str, Any, Any]]) -> int:
    """Return the distance of a recording from a request by their differences: the sum of the weights of the places."""
    return sum(_WEIGHTS.get(place, 1) for place, _, _ in differences)
