"""Which recording answers, in which order, and what is nearest to a miss."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mockrec.engine.replay.serve.cassette import Cassette, Miss, RecordedExchange
from mockrec.engine.replay.serve.store import Store
from mockrec.engine.replay.session.fingerprint import MatchOptions
from mockrec.engine.rules.matching.request import RequestView
from mockrec.formats.schema.errors import SessionError

MARK = "redacted-0123abcd"
Open = Callable[..., Cassette]


def asked(path: str = "/a?b=c", method: str = "GET", body: bytes = b"") -> RequestView:
    return RequestView(method, "http", f"http://x{path}", "x", 80, path, {}, [], False, lambda: body)


def found(one: RecordedExchange | Miss) -> str:
    assert isinstance(one, RecordedExchange), one
    return one.id


def missed(one: RecordedExchange | Miss) -> Miss:
    assert isinstance(one, Miss), one
    return one


def test_repeated_requests_get_their_answers_in_order_and_then_the_last(tape: Any, cassette: Open) -> None:
    for identity in ("1", "2"):
        tape.exchange(identity)
    tape.exchange("other", path="/z", url="http://shop.test/z")
    one = cassette()
    assert [found(one.find(asked(), None)) for _ in range(3)] == ["1", "2", "2"]
    assert [recording.id for recording in one.unused()] == ["other"]
    strict = cassette(repeat=False)
    assert [found(strict.find(asked(), None)) for _ in range(2)] == ["1", "2"]
    miss = missed(strict.find(asked(), None))
    assert miss.used_up and miss.nearest is not None and miss.nearest.id == "2"


def test_the_host_decides_only_where_it_is_asked_for(tape: Any, cassette: Open) -> None:
    tape.exchange("1", url="http://one.test/a?b=c")
    tape.exchange("2", url="http://two.test:81/a?b=c")
    one = cassette()
    assert found(one.find(asked(), "two.test:81")) == "2"
    assert missed(one.find(asked(), "three.test")).differs == [("host", "one.test", "three.test")]
    assert found(one.find(asked(), None)) == "1"


def test_marks_match_any_value_and_keep_the_order(tape: Any, cassette: Open) -> None:
    tape.exchange("1", path=f"/a?b={MARK}", url=f"http://shop.test/a?b={MARK}")
    tape.exchange("2")
    tape.exchange("3", path=f"/u/{MARK}/x", url=f"http://shop.test/u/{MARK}/x")
    one = cassette()
    assert [found(one.find(asked(), None)) for _ in range(3)] == ["1", "2", "2"]
    assert found(one.find(asked("/a?b=else"), None)) == "1"
    assert found(one.find(asked("/u/17/x"), None)) == "3"
    assert isinstance(one.find(asked("/u/17/y"), None), Miss)


def test_a_miss_tells_the_nearest_and_what_differs(tape: Any, cassette: Open) -> None:
    tape.exchange("1", method="POST", body="one")
    tape.exchange("2", method="POST", body="two", path="/a?b=d", url="http://shop.test/a?b=d")
    one = cassette()
    miss = missed(one.find(asked(method="POST", body=b"two"), None))
    assert miss.nearest is not None
    assert (miss.nearest.id, miss.differs) == ("1", [("body", "one", "two")])
    assert missed(one.find(asked("/ab"), None)).nearest is not None
    else_ = missed(one.find(asked("/entirely-else"), None))
    assert else_.nearest is not None and ("path", "/a", "/entirely-else") in else_.differs
    assert one.missed == 3
    assert one.misses["POST /a?b=c"] == 1


def test_what_has_no_answer_is_counted_and_does_not_answer(tape: Any, cassette: Open, recorded: Any) -> None:
    tape.exchange("left", end={"duration": 1.0})
    tape.exchange("broken", end={"error": {"code": "ECONNRESET"}}, path="/r", url="http://shop.test/r")
    recorded.add("request", "open")
    one = cassette()
    assert [recording.id for recording in one.recordings] == ["broken"]
    assert one.unanswered == 2
    assert isinstance(one.find(asked(), None), Miss)


def test_requests_that_were_cut_match_by_the_rest(tape: Any, cassette: Open) -> None:
    tape.exchange("1", body={"size": 9, "text": "x", "truncated": True})
    tape.exchange("2", body={"size": 9, "file": "nowhere"}, path="/b", url="http://shop.test/b")
    one = cassette()
    assert found(one.find(asked(body=b"anything"), None)) == "1"
    assert found(one.find(asked("/b"), None)) == "2"


def test_large_numbers_survive(tape: Any, cassette: Open) -> None:
    kind = [["Content-Type", "application/json"]]
    tape.exchange("1", method="POST", body='{"n": 123456789012345678901234567890}', rawHeaders=kind)
    one = cassette(MatchOptions(("path", "json")))
    assert found(one.find(asked(body=b'{"n": 123456789012345678901234567890}'), None)) == "1"
    differs = missed(one.find(asked(body=b'{"n": 123456789012345678901234567891}'), None)).differs
    assert differs == [("json:$.n", 123456789012345678901234567890, 123456789012345678901234567891)]


def test_what_was_kept_can_be_read(tape: Any, cassette: Open) -> None:
    tape.exchange("1", end=418)
    one = cassette()
    recording = one.recordings[0]
    assert recording.answer is not None
    assert one.read(recording.answer)["statusCode"] == 418


def test_a_miss_reads_few_recordings_however_many_there_are(
    tape: Any, cassette: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(600):
        tape.exchange(
            f"{number}", method="POST", body=f"b{number}", path=f"/a?b={number}", url=f"http://x/a?b={number}"
        )
    one = cassette()
    read: list[int] = []
    original = Store.read

    def counted(store: Store, spot: Any) -> Any:
        read.append(spot[1])
        return original(store, spot)

    monkeypatch.setattr(Store, "read", counted)
    miss = missed(one.find(asked("/a?b=599", "POST", b"other"), None))
    assert (miss.nearest.id if miss.nearest else None, miss.differs) == ("599", [("body", "b599", "other")])
    assert len(read) <= 50
    read.clear()
    assert found(one.find(asked("/a?b=7", "POST", b"b7"), None)) == "7"
    assert len(read) <= 2


def test_what_python_takes_for_equal_has_a_reason(tape: Any, cassette: Open) -> None:
    kind = [["Content-Type", "application/json"]]
    tape.exchange("1", method="POST", body='{"n": [1, {"a": 0}]}', rawHeaders=kind)
    one = cassette(MatchOptions(("path", "json")))
    miss = missed(one.find(asked(body=b'{"n": [true, {"a": false}]}'), None))
    assert miss.differs == [("json:$.n[0]", 1, True), ("json:$.n[1].a", 0, False)]


def test_requests_with_marks_are_found_among_many(tape: Any, cassette: Open) -> None:
    kind = [["Content-Type", "application/json"]]
    for number in range(300):
        body = f'{{"user": "u{number}", "pin": "redacted-{number:08x}"}}'
        tape.exchange(f"{number}", method="POST", body=body, rawHeaders=kind)
    one = cassette(MatchOptions(("method", "path", "json")))
    assert sum(len(layouts) for layouts in one._tape.layouts.values()) == 1
    assert found(one.find(asked(method="POST", body=b'{"user": "u250", "pin": 1}'), None)) == "250"
    assert missed(one.find(asked(method="POST", body=b'{"user": "v", "pin": 1}'), None)).differs


def test_what_is_told_at_the_end_outlives_the_files(tape: Any, cassette: Open) -> None:
    tape.exchange("1")
    tape.exchange("2")
    tape.exchange("3", path="/z", url="http://shop.test/z")
    one = cassette()
    one.find(asked(), None)
    one.finish()
    assert (one.unused_count, one.unused_names()) == (2, {"GET /a?b=c": 1, "GET /z": 1})


def test_answers_that_come_before_their_requests_are_complete(recorded: Any, cassette: Open) -> None:
    recorded.add("request-initiated", "1", url="http://x/a?b=c")
    recorded.add("response", "1", statusCode=200)
    record = recorded.request()
    record.pop("id")
    recorded.add(record.pop("type"), "1", **record)
    assert found(cassette().find(asked(), None)) == "1"


def test_when_the_pieces_of_a_body_came_is_known(recorded: Any, cassette: Open) -> None:
    recorded.add("request", "1", url="http://x/a?b=c", path="/a?b=c")
    for at, size in ((1.5, 3), (2.5, 0), (4.0, 2)):
        recorded.add("response-body-data", "1", eventTimestamp=at, content={"size": size})
    recorded.add("response", "1", statusCode=200)
    recorded.add("request", "2", url="http://x/b", path="/b")
    recorded.add("response", "2", statusCode=200)
    one = cassette()
    assert [list(one.pieces(recording)) for recording in one.recordings] == [[1.5, 3.0, 4.0, 2.0], []]


def test_no_session(tmp_path: Path) -> None:
    with pytest.raises(SessionError):
        Cassette(str(tmp_path / "none.jsonl"), MatchOptions())
