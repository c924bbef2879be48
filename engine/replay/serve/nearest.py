"""What of a session is nearest to a request that nothing in it answers, found without going through all of it.

An index in a temporary file: it costs no memory, and a question a few hundred microseconds whatever the session's size.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, Final

from mockrec.engine.replay.session.fingerprint import MatchKey, text_of

_BATCH: Final = 500
_SAME: Final = 4
"""Recordings that are looked at of those that have a path and another part in common with the request."""
_NEIGHBOURS: Final = 6
"""Paths that are looked at on either side of one, in alphabetical order and in that of the reversed text."""
_PATHS: Final = 3
_LONGEST: Final = 500
_NO_BODY: Final = (None, {"text": ""})
_SCHEMA: Final = """
CREATE TABLE near (path TEXT, method TEXT, body INT, query INT, place INT);
CREATE TABLE paths (path TEXT PRIMARY KEY, behind TEXT) WITHOUT ROWID;
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -1024;
"""
_INDEXES: Final = """
CREATE INDEX by_body ON near (path, method, body, query, place);
CREATE INDEX by_query ON near (path, method, query, place);
CREATE INDEX by_behind ON paths (behind);
"""
_WEIGHTS: Final = {"websocket": 8, "path": 6, "method": 4, "host": 2}


class Nearest:
    """The paths, methods, queries and bodies of recorded requests → where the recordings are."""

    def __init__(self) -> None:
        # Without a name: a file that SQLite makes for itself and removes, written where its cache is too small.
        self._data = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._data.executescript(_SCHEMA)
        self._waiting: list[tuple[Any, ...]] = []

    def add(self, place: int, facts: MatchKey) -> None:
        """Remember a recording."""
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
        """All of the session has been added."""
        self._write()
        self._data.executescript(_INDEXES)

    def close(self) -> None:
        """Let the index go."""
        self._data.close()

    def places(self, facts: MatchKey) -> list[int]:
        """Recordings that may be nearest: of the same path if there are any, otherwise of those that are most alike."""
        path, method, body, query = _parts(facts)
        found = list(dict.fromkeys(self._of_path(path, method, body, query)))
        if found:
            return found
        alike = sorted(self._alike(path), key=lambda one: -_likeness(path, one))[:_PATHS]
        return list(dict.fromkeys(place for one in alike for place in self._of_path(one, method, body, query)))

    def _of_path(self, path: str, method: str, body: int, query: int) -> Iterator[int]:
        ask = self._data.execute
        # Which index is named: SQLite guesses otherwise, and may go through all recordings of a path.
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
        behind = path[::-1]
        found: set[str] = set()
        for column, value in (("path", path), ("behind", behind)):
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
    """How much of two paths is the same, 0 to 1: equal characters in front and behind, and equal segments."""
    shorter = min(len(one), len(other))
    front = next((at for at in range(shorter) if one[at] != other[at]), shorter)
    rest = shorter - front
    back = next((at for at in range(rest) if one[-1 - at] != other[-1 - at]), rest)
    mine, others = one.split("/"), other.split("/")
    equal = len({*mine} & {*others}) / max(len(mine), len(others))
    return (front + back) / max(len(one), len(other), 1) + equal


def distance(differences: Iterable[tuple[str, Any, Any]]) -> int:
    """How far a recording is from a request that it differs from in these places."""
    return sum(_WEIGHTS.get(place, 1) for place, _, _ in differences)
