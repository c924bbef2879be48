"""The text of a 503: which recording came nearest to a request, and what differs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

from mockrec.engine.replay.cassette import Cassette, Miss
from mockrec.engine.replay.facts import Match
from mockrec.engine.rules.request import RequestView
from mockrec.engine.rules.words import printable, shorten

_MOST = 20
_LONGEST = 300
_MOST_OPTIONS = 10
_NEVER = frozenset(f"header:{name}" for name in ("range", "if-range", "if-none-match", "if-modified-since"))
"""What decides which bytes a client gets: to ignore it would give it wrong ones."""
_SELECTORS = ("query:", "form:", "header:", "json:")


def miss_text(request: RequestView, cassette: Cassette, miss: Miss) -> str:
    """For whoever reads the answer, or the log."""
    kind = " (an upgrade to WebSocket)" if request.websocket else ""
    lines = [
        "No recording answers this request.",
        "",
        f"The request: {printable(request.method)} {shorten(printable(request.url), _LONGEST)}{kind}",
        f"The session: {printable(cassette.path)}, {len(cassette.recordings)} recordings",
    ]
    nearest = miss.nearest
    if nearest is None:
        return "\n".join([*lines, "", "It holds no recording that can answer.", ""])
    named = f"{shorten(printable(nearest.name), _LONGEST)} ({nearest.id})"
    if miss.used_up:
        return "\n".join([*lines, "", f"All its recordings are used up; the last was {named}.", ""])
    lines += ["", f"Nearest is {named}, but"]
    for place, recorded, asked in miss.differs[:_MOST]:
        lines.append(f"  {printable(place) or 'request'}: recorded {_told(recorded)}, asked for {_told(asked)}")
    if len(miss.differs) > _MOST:
        lines.append(f"  and {len(miss.differs) - _MOST} more")
    remedy = _remedy([place for place, _, _ in miss.differs], cassette.match)
    return "\n".join([*lines, *(["", f"It would match with {printable(remedy)}"] if remedy else []), ""])


def _remedy(places: Sequence[str], match: Match) -> str:
    """The options that make such requests match; empty where none does, or they would be too many to be meant."""
    options: dict[str, None] = {}
    without = set()
    for place in places:
        top = place.partition("[")[0].partition(".")[0]
        if place in _NEVER:
            return ""
        if place.startswith(_SELECTORS) and not any(character in place for character in "\n\r\0"):
            options[f"--ignore {shlex.quote(place)}"] = None
        elif top in ("body", "form", "part", "parts", "json:$"):
            without.add("body")
        elif top in ("path", "method", "query"):
            without.add(top)
        else:
            return ""
    if without:
        if "path" in without:
            return ""  # a request for something else
        words = [part for word in match.by for part in (("path", "query") if word == "url" else (word,))]
        kept = [word for word in words if word not in without and not (word == "json" and "body" in without)]
        if "query" not in without and "url" in match.by:
            kept = [word for word in match.by if word not in without and not (word == "json" and "body" in without)]
        options = {f"--match {','.join(kept)}": None, **options} if kept else {}
    return " ".join(options) if len(options) <= _MOST_OPTIONS else ""


def _told(value: Any) -> str:
    if value is ...:
        return "nothing"
    return shorten(printable(json.dumps(value, ensure_ascii=False)), _LONGEST)
