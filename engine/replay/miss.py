"""The text of a 503: which recording came nearest to a request, and what differs."""

from __future__ import annotations

import json
from typing import Any

from mockrec.engine.replay.cassette import Cassette, Miss
from mockrec.engine.rules.request import RequestView
from mockrec.engine.rules.words import printable, shorten

_MOST = 20
_LONGEST = 300


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
        return "\n".join([*lines, "", "Nothing in it is like this request.", ""])
    named = f"{shorten(printable(nearest.name), _LONGEST)} ({nearest.id})"
    if miss.used_up:
        return "\n".join([*lines, "", f"All its recordings are used up; the last was {named}.", ""])
    lines += ["", f"Nearest is {named}, but"]
    for place, recorded, asked in miss.differs[:_MOST]:
        lines.append(f"  {printable(place) or 'request'}: recorded {_told(recorded)}, asked for {_told(asked)}")
    if len(miss.differs) > _MOST:
        lines.append(f"  and {len(miss.differs) - _MOST} more")
    return "\n".join([*lines, ""])


def _told(value: Any) -> str:
    if value is ...:
        return "nothing"
    return shorten(printable(json.dumps(value, ensure_ascii=False)), _LONGEST)
