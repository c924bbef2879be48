"""The text of a 503 response to an unmatched request: the nearest recording, and the differences."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from mockrec.engine.replay.serve.cassette import Cassette, Miss
from mockrec.engine.replay.session.fingerprint import MatchOptions
from mockrec.engine.rules.matching.request import RequestView
from mockrec.engine.rules.wording import printable, shorten

_MAX_DIFFERENCES = 20
_LONGEST = 300
_MOST_OPTIONS = 10
_NEVER_IGNORED = frozenset(f"header:{name}" for name in ("range", "if-range", "if-none-match", "if-modified-since"))
"""Fields that decide which bytes a client receives: if they were ignored, it would receive wrong ones."""
_INSIDE = ("form:", "json:")
_SELECTORS = ("query:", "form:", "header:", "json:")


def miss_text(request: RequestView, cassette: Cassette, miss: Miss) -> str:
    """Return the explanation for the body of the 503 response."""
    kind = " (an upgrade to WebSocket)" if request.websocket else ""
    count = len(cassette.recordings)
    lines = [
        "No recording answers this request.",
        "",
        f"The request: {printable(request.method)} {shorten(printable(request.url), _LONGEST)}{kind}",
        f"The session: {printable(cassette.path)}, {count} recording{'' if count == 1 else 's'}",
    ]
    nearest = miss.nearest
    if nearest is None:
        return "\n".join([*lines, "", "It holds no recording that can answer.", ""])
    named = f"{shorten(printable(nearest.name), _LONGEST)} ({nearest.id})"
    if miss.stale:
        return "\n".join([*lines, "", _stale_text(named, miss.stale, nearest.began), ""])
    if miss.used_up:
        return "\n".join([*lines, "", f"All its recordings are used up; the last was {named}.", ""])
    lines += ["", f"Nearest is {named}, but"]
    for place, recorded, asked in miss.differs[:_MAX_DIFFERENCES]:
        lines.append(
            f"  {printable(place) or 'request'}: recorded {_described(recorded)}, asked for {_described(asked)}"
        )
    if len(miss.differs) > _MAX_DIFFERENCES:
        lines.append(f"  and {len(miss.differs) - _MAX_DIFFERENCES} more")
    remedy = remedy_of(cassette, miss)
    return "\n".join([*lines, *(["", f"It would match with {printable(remedy)}"] if remedy else []), ""])


def _stale_text(named: str, why: str, began: float) -> str:
    """Return why a recording that matches is not served; `began` is its time, in seconds since the epoch."""
    if why != "expired":
        return f"Its recording, {named}, is to be made again (--refresh)."
    if began <= 0:
        return f"Its recording, {named}, has expired: it has no time, and maxAge is set."
    made = datetime.fromtimestamp(began, UTC).strftime("%Y-%m-%d")
    return f"Its recording, {named}, has expired: it was made on {made}, longer ago than maxAge allows."


def remedy_of(cassette: Cassette, miss: Miss) -> str:
    """Return the options with which such a request matches the nearest recording; empty if there are none."""
    if miss.nearest is None or miss.used_up or miss.stale:
        return ""
    return _remedy([place for place, _, _ in miss.differs], cassette.match)


def _remedy(places: Sequence[str], match: MatchOptions) -> str:
    """Return the options with which such requests match; empty if there are none, or more than `_MOST_OPTIONS`."""
    ignored: list[str] = []
    without: set[str] = set()
    for place in dict.fromkeys(places):
        kind = place.partition("[")[0].partition(".")[0]
        if place.startswith(_SELECTORS) and place not in _NEVER_IGNORED and place.isprintable():
            ignored.append(place)
        elif kind in ("body", "form", "part", "parts"):
            without.add("body")
        elif kind in ("method", "query"):
            without.add(kind)
        else:
            return ""  # another resource: no option should make it match
    if "body" in without:
        ignored = [place for place in ignored if not place.startswith(_INSIDE)]
    options = [f"--ignore {shlex.quote(place)}" for place in ignored]
    if without:
        words: list[str] = []
        for word in match.by:
            words += ("path", "query") if word == "url" and "query" in without else (word,)
        kept = [word for word in words if word not in without and not (word == "json" and "body" in without)]
        if not kept:
            return ""
        options.insert(0, f"--match {','.join(kept)}")
    return " ".join(options) if len(options) <= _MOST_OPTIONS else ""


def _described(value: Any) -> str:
    if value is ...:
        return "nothing"
    return shorten(printable(json.dumps(value, ensure_ascii=False)), _LONGEST)
