"""Which records belong to the exchanges that `--only` selects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mockrec.engine.replay.session.only import judge
from mockrec.formats.query import parse
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.sessions.session import open_session


@pytest.fixture
def session(recorded: Any, tmp_path: Path) -> Path:
    for identity in ("1", "2", "3"):
        url = f"http://shop.test/{identity}"
        recorded.add("request", identity, method="GET", url=url, path=f"/{identity}")
    for identity in ("3", "1", "2"):
        recorded.add("response", identity, statusCode=int(identity) * 100)
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for _, record in recorded.records), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("expression", "selected"),
    [
        ("status >= 200", [("request", "2"), ("request", "3"), ("response", "3"), ("response", "2")]),
        ("path == /1", [("request", "1"), ("response", "1")]),
        ("path == /4", []),
    ],
)
def test_whole_exchanges_are_kept_in_their_order(session: Path, expression: str, selected: Any) -> None:
    only = judge(str(session), parse(expression))
    with open_session(str(session)) as opened:
        assert [(record["type"], record["id"]) for _, record in only.of(opened)] == selected


def test_what_has_come_since_is_left_out(session: Path) -> None:
    only = judge(str(session), parse("method == GET"))
    with session.open("a", encoding="utf-8") as file:
        file.write('{"type":"request","id":"4","method":"GET","url":"http://shop.test/4","path":"/4"}\n')
    with open_session(str(session)) as opened:
        assert len([*only.of(opened)]) == 6


def test_a_session_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("nothing\n", encoding="utf-8")
    with pytest.raises(SessionError):
        judge(str(tmp_path / "a.jsonl"), parse("status == 200"))
