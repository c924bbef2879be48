"""A replay before anything is sent: what it finds in its session, and what its own session says of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mockrec.engine.replay.send.pace import Pace
from mockrec.engine.replay.send.send import ReplayRun, SendSettings
from mockrec.engine.replay.send.survey import SurveyedRequest
from mockrec.engine.replay.session.requests import RecordedRequest
from mockrec.engine.replay.session.selectors import parse_setting
from mockrec.formats.query import parse
from mockrec.formats.schema.errors import FormatError, SessionError

MARK = "redacted-0123abcd"
HERE = ("http", "127.0.0.1", 3000)
Make = Callable[..., ReplayRun]


def no_defect(error: BaseException) -> None:
    raise error


@pytest.fixture
def replay(recorded: Any, tmp_path: Path) -> Make:
    recorded.add("session-started", "", sessionId="before")
    for identity, fields in (
        ("1", {"path": "/open", "url": "http://a.test/open"}),
        ("2", {"path": "/secret", "url": "http://a.test/secret", "rawHeaders": [["Authorization", f"Bearer {MARK}"]]}),
        ("3", {"path": "/other", "url": "http://b.test/other"}),
    ):
        request = {**recorded.request(**fields), "identity": identity}
        recorded.add(request.pop("type"), **{key: value for key, value in request.items() if key != "id"})
        recorded.add("response", identity, statusCode=200)

    def make(**settings: Any) -> ReplayRun:
        path = tmp_path / "a.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for _, record in recorded.records), encoding="utf-8")
        return ReplayRun(SendSettings(**{"session": str(path), "servers": {"": HERE}, **settings}), no_defect)

    return make


def test_a_look_counts_and_reads_to_the_end(replay: Make) -> None:
    made = replay(servers={"a.test": HERE}, repeat=3)
    assert (made.total, made.reading) == (None, None)
    survey = made.look()
    assert (survey.requests, survey.to_send, made.total) == (3, 1, 3)
    assert dict(survey.marked) == {"GET /secret: header:authorization": 1}
    assert dict(survey.unmapped) == {"b.test": 1}
    assert made.reading is not None and "session-ended" in made.reading.cut_off


def test_each_request_can_be_heard_of(replay: Make) -> None:
    heard: list[tuple[str, str]] = []

    def each(call: RecordedRequest, judged: SurveyedRequest) -> None:
        heard.append((judged.draft.target, judged.reason))

    replay().look(each)
    assert heard == [("/open", ""), ("/secret", "redaction marks in header:authorization"), ("/other", "")]


@pytest.mark.parametrize(
    "filled",
    [
        {"headers": (("Authorization", "Bearer mine"),)},
        {"headers": (("authorization", ""),)},
        {"settings": (parse_setting("header:Authorization=mine"),)},
        {"settings": (parse_setting("name:Authorization=mine"),)},
        {"only": parse("path != /secret")},
    ],
)
def test_nothing_is_marked_once_it_is_filled_or_left_out(replay: Make, filled: dict[str, Any]) -> None:
    survey = replay(**filled).look()
    assert (survey.marked.total(), survey.skipped) == (0, 0)


def test_messages_are_filled_where_that_is_possible(replay: Make) -> None:
    texts = [parse_setting("json:$.token=mine"), parse_setting("text:ann=bob"), parse_setting("header:x=y")]
    fill = replay(settings=tuple(texts))._fill_message
    assert fill(b'{"token": "x", "name": "ann"}') == b'{"token": "mine", "name": "bob"}'
    data = b"\xff"
    assert replay()._fill_message(data) is data


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({}, False),
        ({"keep_host": True}, True),
        ({"headers": (("Host", "mine"),)}, True),
        ({"headers": (("Host", ""),)}, False),
        ({"settings": (parse_setting("header:host=mine"),)}, True),
        ({"settings": (parse_setting("query:host=mine"),)}, False),
    ],
)
def test_who_names_the_host_wants_it_sent(replay: Make, settings: dict[str, Any], kept: bool) -> None:
    assert replay(**settings)._targets.keep_host is kept


def test_the_new_session_says_what_it_replays(replay: Make) -> None:
    made = replay(pace=Pace(rate=5.0), servers={"": HERE, "a.test": ("https", "::1", 443)})
    told = made._started(frozenset(), None)["replay"]
    assert told == {
        "of": "before",
        "from": made.settings.session,
        "to": ["http://127.0.0.1:3000", "a.test=https://[::1]:443"],
        "pace": "5/s",
    }


def test_stdin_is_not_opened_twice(replay: Make) -> None:
    assert "of" not in replay(session="-")._started(frozenset(), None)["replay"]


def test_a_session_that_cannot_be_read(replay: Make, tmp_path: Path) -> None:
    with pytest.raises(SessionError):
        replay(session=str(tmp_path / "none.jsonl")).look()


def test_the_first_failure_of_the_recording_counts_but_for_a_closed_pipe(replay: Make) -> None:
    class Closed(FormatError):
        exit_code = 141

    class Full(FormatError):
        exit_code = 3

    made = replay()
    made.stop()  # before it has begun
    for error in (Closed("pipe"), Full("disk"), Full("another")):
        made._recording_failed(error)
    assert str(made.failure) == "disk"
