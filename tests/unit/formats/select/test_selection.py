"""Selecting from sessions: whole exchanges, byte for byte, from any kind of input, in memory that does not grow."""

from __future__ import annotations

import gzip
import os
import threading
from pathlib import Path
from typing import Any

import orjson
import pytest

from mockrec.formats.files import reader as source
from mockrec.formats.query import parse
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.select.answers import lines_at, lines_of
from mockrec.formats.select.selection import Selection, open_input
from mockrec.formats.sessions import blocks, units
from mockrec.formats.sessions.outputs import open_sink


def ids(selection: Selection) -> list[tuple[str, str]]:
    try:
        records = [orjson.loads(kept.raw) for kept in selection]
    finally:
        selection.close()
    return [(record["type"], record.get("id", "")) for record in records]


def selected(path: Path | str, expression: str, **more: Any) -> list[tuple[str, str]]:
    records = more.pop("records", False)
    return ids(Selection([str(path)], parse(expression, records=records), **more))


@pytest.fixture
def session(recording: Any, tmp_path: Path) -> Path:
    """Two exchanges that overlap, a tunnel, a fault, and a late record."""
    recording.start()
    recording.add("request-initiated", "a")
    recording.add("request-initiated", "b")
    recording.add("response", "b", statusCode=404)
    recording.add("raw-passthrough-opened", "t")
    recording.add("response", "a", statusCode=500)
    recording.add("gap")
    recording.add("rule-event", "b")
    recording.add("client-error", "e", exchangeId="a")
    recording.add("raw-passthrough-closed", "t")
    return recording.end().write(tmp_path / "s.jsonl")


FRAME = ["session-started", "gap", "session-ended"]


def test_an_exchange_is_kept_whole_with_late_records_and_those_of_the_session(session: Path) -> None:
    assert selected(session, "status == 404") == [
        ("session-started", ""),
        ("request-initiated", "b"),
        ("response", "b"),
        ("gap", ""),
        ("rule-event", "b"),
        ("session-ended", ""),
    ]


def test_tunnels_and_faults_are_units_of_their_own(session: Path) -> None:
    assert [pair for pair in selected(session, "type startswith raw") if pair[1]] == [
        ("raw-passthrough-opened", "t"),
        ("raw-passthrough-closed", "t"),
    ]
    assert [pair for pair in selected(session, "type == client-error") if pair[1]] == [("client-error", "e")]


def test_single_records(session: Path) -> None:
    assert selected(session, "status >= 400", records=True) == [
        ("session-started", ""),
        ("response", "b"),
        ("response", "a"),
        ("gap", ""),
        ("client-error", "e"),
        ("session-ended", ""),
    ]


def test_lines_are_copied_as_they_stand(tmp_path: Path) -> None:
    lines = [
        b'{"seq":0,"type":"session-started","schemaVersion":1}',
        b'{ "seq":1, "type" : "response", "id":"a", "statusCode": 5.0E+2, "u":"\\u00e9\\/", "big":123456789012345678901234567890}',
        b'{"seq":2,"type":"session-ended"}\r',
    ]
    path = tmp_path / "s.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    selection = Selection([str(path)], parse("status == 500"))
    assert [kept.raw for kept in selection] == lines
    assert selection.found == 1


@pytest.mark.parametrize("expression", ["status == 404", "type == x", "not type == x", "url"])
def test_counting_agrees_with_selecting(session: Path, expression: str) -> None:
    for records in (False, True):
        selection = Selection([str(session)], parse(expression, records=records))
        kept = {pair for pair in selection if pair.unit}
        found = len({pair.unit for pair in kept})
        assert selection.found == found
        assert Selection([str(session)], parse(expression, records=records)).count() == found


def test_a_limit_counts_exchanges(session: Path) -> None:
    found = selected(session, "status", limit=1)
    assert [pair for pair in found if pair[1]] == [("request-initiated", "a"), ("response", "a")]
    assert [pair[0] for pair in found if not pair[1]] == FRAME
    assert [pair for pair in selected(session, "status", limit=2, records=True) if pair[1]] == [
        ("response", "b"),
        ("response", "a"),
    ]


@pytest.mark.parametrize("records", [False, True])
def test_a_compressed_session_and_a_pipe(session: Path, tmp_path: Path, records: bool) -> None:
    expected = selected(session, "status == 500", records=records)
    packed = tmp_path / "s.jsonl.gz"
    packed.write_bytes(gzip.compress(session.read_bytes()))
    assert selected(packed, "status == 500", records=records) == expected
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(session.read_bytes()))
    writer.start()
    assert selected(pipe, "status == 500", records=records) == expected
    writer.join()


def test_a_pipe_that_comes_in_other_pieces_than_what_was_kept_of_it(
    session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept of a pipe is read again in one piece; the records are counted block by block."""
    monkeypatch.setattr(blocks, "SMALLEST", 1)
    monkeypatch.setattr(source, "CHUNK", 400)
    expected = selected(session, "status == 500")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(session.read_bytes()))
    writer.start()
    assert selected(pipe, "status == 500") == expected
    writer.join()


def test_a_file_that_grows_between_the_readings(session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "SMALLEST", 1)
    whole = session.read_bytes()
    for cut in range(len(whole) // 2, len(whole), 37):
        session.write_bytes(whole[:cut])
        known = open_input(str(session))
        judged = known.judge(parse("type"))
        session.write_bytes(whole)
        with monkeypatch.context() as patch:
            patch.setattr(source, "CHUNK", 100)
            lines = [kept.raw for kept in known.take(judged)]
        assert lines == whole[: whole.rfind(b"\n", 0, cut + 1)].split(b"\n")


def test_a_har_that_is_recorded_meanwhile(recording: Any, tmp_path: Path) -> None:
    """Exchanges that are open stand in it without their long bodies; when they end, other entries take their place."""
    path = tmp_path / "s.har"
    recording.start().add("request-initiated", "a")
    recording.add("request", "a", body={"size": 100_000, "text": "x" * 100_000})
    lines = recording.data
    recording.add("response", "a", statusCode=200)
    recorded = open_sink(str(path), live=True)
    recorded.write(lines)
    recorded.sync_point()
    known = open_input(str(path))
    judged = known.judge(parse("type"))
    kept = known.take(judged)
    recorded.write(recording.data[len(lines) :])
    recorded.close()
    records = [orjson.loads(each.raw) for each in kept]
    known.close()
    assert [record["type"] for record in records] == ["session-started", "request-initiated", "request"]
    assert records[2]["body"]["text"] == "", "what there was when it was judged"


@pytest.mark.parametrize("name", ["s/", "s.parquet"])
def test_a_journal_that_becomes_rows_meanwhile(session: Path, tmp_path: Path, name: str) -> None:
    """Numbers have another spelling there, and keys another order."""
    path = f"{tmp_path}/{name}"
    recorded = open_sink(path, live=True)
    lines = session.read_bytes().replace(b'"type":"gap",', b'"later":1.50000000000,"type":"gap",')
    recorded.write(lines)
    recorded.sync_point()
    known = open_input(path)
    kept = known.take(known.judge(parse("type")))
    recorded.close()
    assert b"".join(each.raw + b"\n" for each in kept) == lines
    known.close()


def test_a_file_that_may_not_be_read(session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SessionError, match=r"s\.jsonl: Permission denied$"):
        open_input(str(session))


def test_a_pipe_larger_than_memory_is_kept_in_a_file_without_a_name(
    session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "_IN_MEMORY", 100)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(session.read_bytes()))
    writer.start()
    selection = Selection([str(pipe)], parse("status == 404"))
    lines = iter(selection)
    next(lines)
    assert list((tmp_path / "tmp").iterdir()) == []
    assert len(list(lines)) == 5
    selection.close()
    writer.join()


def test_blocks_may_begin_and_end_anywhere(session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = selected(session, "status == 404")
    for size in (1, 7, 100, 4096):
        monkeypatch.setattr("mockrec.formats.files.reader.CHUNK", size)
        assert selected(session, "status == 404") == expected


def test_ids_of_ended_exchanges_are_forgotten(recording: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "REMEMBERED", 2)
    recording.start()
    for name in "abcd":
        recording.exchange(name, statusCode=500 if name == "a" else 200)
    recording.add("rule-event", "d")
    recording.add("rule-event", "a")
    path = recording.end().write(tmp_path / "s.jsonl")
    found = [pair for pair in selected(path, "status == 200") if pair[1] == "d"]
    assert [kind for kind, _ in found][-1] == "rule-event"
    assert [kind for kind, name in selected(path, "status == 500") if name == "a"] == [
        "request-initiated",
        "request",
        "response",
    ]


@pytest.mark.parametrize("blank", [b"\n", b"  \n\n", b"\r\n"])
def test_blank_lines_are_nothing(session: Path, blank: bytes) -> None:
    expected = selected(session, "status == 404")
    session.write_bytes(session.read_bytes().replace(b"\n", b"\n" + blank))
    assert selected(session, "status == 404") == expected


def test_a_torn_end_is_left_out_and_told(session: Path) -> None:
    whole = session.read_bytes().splitlines()
    session.write_bytes(b"\n".join(whole[:-1]) + b'\n{"type":"sess')
    selection = Selection([str(session)], parse("status == 404"))
    assert [kind for kind, _ in ids(selection)][-1] == "rule-event"
    assert selection.inputs[0].cut_off == f"line {len(whole)} is cut off"
    session.write_bytes(b"\n".join(whole[:-1]) + b"\n")
    selection = Selection([str(session)], parse("status == 404", records=True))
    assert len(ids(selection)) == 3
    assert selection.inputs[0].cut_off == "it has no session-ended record at its end"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{nothing}", "expected a record"),
        (b"[1]", "an object with a type"),
        (b'{"type":7}', "an object with a type"),
        (b"{}", "an object with a type"),
    ],
)
@pytest.mark.parametrize("records", [False, True])
def test_a_bad_line_in_the_middle_is_named(session: Path, line: bytes, said: str, records: bool) -> None:
    whole = session.read_bytes().splitlines()
    session.write_bytes(b"\n".join([*whole[:4], b"", line, *whole[4:]]))
    with pytest.raises(SessionError, match=said) as caught:
        selected(session, "status == 404", records=records)
    assert caught.value.line == 6


def test_records_that_share_a_line_are_refused() -> None:
    with pytest.raises(SessionError, match="a line of its own"):
        lines_of(b'{"type":"a"}{"type":"b"}\n', 2, "s.jsonl")


@pytest.mark.parametrize(
    ("block", "count"),
    [
        (b"", 0),
        (b"{}\n", 1),
        (b"{}", 1),
        (b'{"type":"a"}\n{"type":"b"}\n{"type":"c"}\n', 3),
        (b'{"type":"a"}\n{"type":"b"}\n{"type":"c"}', 3),
        (b'\n{"type":"a"}\n \n{"type":"b"}\n\n', 2),
        (b'{"type":"a"}\n{"type":"b"}\n{"ty', 2),
    ],
)
def test_lines_at_places_are_those_of_all_lines(block: bytes, count: int) -> None:
    every = lines_of(block, count, "s.jsonl")
    for places in ([], [*range(count)], [count - 1] if count else [], [*range(0, count, 2)]):
        assert lines_at(block, count, "s.jsonl", places) == [every[place] for place in places]


def test_shared_line_is_refused_also_where_no_line_is_wanted() -> None:
    with pytest.raises(SessionError, match="a line of its own"):
        lines_at(b'{"type":"a"}{"type":"b"}\n', 2, "s.jsonl", [])


def test_a_newer_session_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(b'{"seq":0,"type":"session-started","schemaVersion":99}\n')
    with pytest.raises(SessionError, match="newer mockrec"):
        selected(path, "status")


def test_objects_that_are_none_are_read_the_slow_way(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(
        b'{"type":"client-error","id":"a","response":"aborted"}\n{"type":"response","id":"b","statusCode":500}\n'
    )
    assert selected(path, "status == 500") == [("response", "b")]


def test_a_session_that_grows_meanwhile_is_taken_as_it_was_judged(session: Path) -> None:
    selection = Selection([str(session)], parse("status"))
    judged = selection.inputs[0].judge(parse("status"))
    before = session.read_bytes()
    session.write_bytes(before + b'{"type":"response","id":"z","statusCode":500}\n')
    assert b"".join(kept.raw + b"\n" for kept in selection.inputs[0].take(judged)).count(b'"z"') == 0


def test_several_sessions_come_in_the_order_of_their_timestamps(tmp_path: Path) -> None:
    paths = []
    for name, seconds in (("a", (1, 4, 3)), ("b", (2, 2, 9))):
        path = tmp_path / f"{name}.jsonl"
        lines = [
            {"type": "rule-event", "id": f"{name}{second}", "timestamp": f"2026-01-01T00:00:0{second}.000000Z"}
            for second in seconds
        ]
        path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in [*lines, {"type": "later", "id": f"{name}x"}]))
        paths.append(str(path))
    found = [name for _, name in ids(Selection(paths, None))]
    assert found == ["a1", "b2", "b2", "a4", "a3", "ax", "b9", "bx"]
    assert [name for _, name in ids(Selection(paths, parse("id"), limit=3))] == ["a1", "b2", "b2", "a4"]


def test_a_cassette_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading it takes longer than what is made of it: both readings of a selection give the same."""
    one = "- {request: {method: GET, uri: 'http://a.test/%d'}, response: {status: {code: 200}, body: {string: ok}}}\n"
    path = tmp_path / "s.yaml"
    path.write_text("interactions:\n" + "".join(one % number for number in range(2_000)))
    opened: list[str] = []
    real = blocks.open_source
    monkeypatch.setattr(blocks, "open_source", lambda name: opened.append(name) or real(name))
    found = selected(path, "path == /7 or path == /1999")
    assert [kind for kind, _ in found] == [
        "session-started",
        *["request-initiated", "request", "response"] * 2,
        "session-ended",
    ]
    assert opened == [str(path)]
