"""What a request without a recording is told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from mockrec.engine.replay.serve.cassette import Miss, RecordedExchange
from mockrec.engine.replay.serve.miss import miss_text
from mockrec.engine.replay.session.fingerprint import MatchOptions
from mockrec.engine.rules.matching.request import RequestView

NEAREST = RecordedExchange("id-1", 0, name="GET /near")


def text(miss: Miss, *, websocket: bool = False, path: str = "/a") -> list[str]:
    cassette: Any = SimpleNamespace(path="a.jsonl", recordings=[NEAREST], match=MatchOptions())
    request = RequestView("GET", "http", f"http://shop.test{path}", "x", 80, path, {}, [], websocket, lambda: b"")
    return miss_text(request, cassette, miss).splitlines()


def test_nothing_is_near() -> None:
    assert text(Miss()) == [
        "No recording answers this request.",
        "",
        "The request: GET http://shop.test/a",
        "The session: a.jsonl, 1 recording",
        "",
        "It holds no recording that can answer.",
    ]


def test_the_nearest_and_what_differs() -> None:
    differs = [("query:a", ["1"], ...), ("json:$.name", "ä\x1b[31m", None), ("", 1, 2)]
    lines = text(Miss(NEAREST, differs), websocket=True)
    assert lines[2].endswith(" (an upgrade to WebSocket)")
    assert lines[5:] == [
        "Nearest is GET /near (id-1), but",
        '  query:a: recorded ["1"], asked for nothing',
        '  json:$.name: recorded "ä\\u001b[31m", asked for null',
        "  request: recorded 1, asked for 2",
    ]


def test_all_are_used_up() -> None:
    assert text(Miss(NEAREST, used_up=True))[-1] == "All its recordings are used up; the last was GET /near (id-1)."


def test_it_stays_short() -> None:
    lines = text(Miss(NEAREST, [(f"query:{n}", "x" * 5000, "y") for n in range(30)]), path=f"/{'p' * 5000}")
    assert lines[-1] == "  and 10 more"
    assert max(map(len, lines)) < 700
