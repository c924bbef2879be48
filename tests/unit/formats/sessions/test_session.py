"""A session from its first record to its last: lines, torn ends, bad lines, versions."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
import zstandard

from mockrec.formats.files import line_blocks
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.sessions.inputs import Source
from mockrec.formats.sessions.session import Line, Session, open_session

STARTED = b'{"seq":0,"type":"session-started","schemaVersion":1}\n'
GAP = b'{"seq":1,"type":"gap"}\n'
ENDED = b'{"seq":2,"type":"session-ended"}\n'
WHOLE = STARTED + GAP + ENDED
NO_END = "it has no session-ended record at its end"


def session_of(data: bytes) -> Session:
    return Session(Source("s.jsonl", io.BytesIO(data)))


def scanned(session: Session) -> list[tuple[int, bytes, bool]]:
    """Number, bytes and whether it is torn, of the lines that are no records."""
    return [(line.number, line.raw, line.torn) for line in session.scan() if line.record is None]


# ── whole sessions ─────────────────────────────────────────────────────────────────────────────────


def test_records_come_with_their_line_numbers() -> None:
    session = session_of(WHOLE)
    assert [(number, record["type"]) for number, record in session] == [
        (1, "session-started"),
        (2, "gap"),
        (3, "session-ended"),
    ]


def test_a_whole_session_is_complete() -> None:
    session = session_of(WHOLE)
    list(session)
    assert session.complete
    assert (session.cut_off, session.torn) == ("", "")
    assert session.ended == {"seq": 2, "type": "session-ended"}


def test_a_real_session_is_complete(recording: Any, tmp_path: Path) -> None:
    path = recording.start().exchange().end().write(tmp_path / "s.jsonl")
    with open_session(path) as session:
        assert [record for _, record in session] == recording.records
        assert session.complete


def test_the_header_is_known_at_once() -> None:
    session = session_of(WHOLE)
    assert session.header == {"seq": 0, "type": "session-started", "schemaVersion": 1}
    assert next(iter(session)) == (1, session.header)


def test_every_line_is_there_as_it_stands() -> None:
    data = b'{"type" : "gap"}\r\n\n  \n{"type":"later"}'
    assert list(session_of(data).scan()) == [
        Line(1, b'{"type" : "gap"}\r', {"type": "gap"}),
        Line(4, b'{"type":"later"}', {"type": "later"}),
    ]


def test_a_last_line_without_its_end_is_a_line() -> None:
    session = session_of(WHOLE[:-1])
    assert len(list(session)) == 3
    assert session.complete


def test_blank_lines_at_the_end_change_nothing() -> None:
    session = session_of(WHOLE + b"\n  \n")
    list(session)
    assert session.complete


def test_records_of_unknown_types_are_read() -> None:
    assert [record for _, record in session_of(b'{"type":"later","x":null}\n')] == [{"type": "later", "x": None}]


def test_lines_may_be_longer_than_a_piece_of_the_file() -> None:
    long = b'{"type":"gap","x":"' + b"y" * 1_000_000 + b'"}\n'
    session = session_of(STARTED + long + ENDED)
    assert [len(line.raw) for line in session.scan()] == [len(line) - 1 for line in (STARTED, long, ENDED)]


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_frames_may_be_cut_anywhere_in_a_line(compress: Any) -> None:
    data = compress(WHOLE[:10]) + compress(WHOLE[10:60]) + compress(WHOLE[60:])
    assert [number for number, _ in session_of(data)] == [1, 2, 3]


# ── cut-off sessions ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("length", range(len(STARTED + GAP) + 1, len(WHOLE) - 1))
def test_a_torn_last_line_is_said_and_all_before_it_read(length: int) -> None:
    session = session_of(WHOLE[:length])
    assert [number for number, _ in session] == [1, 2]
    assert session.torn == session.cut_off == "line 3 is cut off"
    assert not session.complete
    assert session.ended is None


def test_a_torn_line_is_told_from_a_bad_one() -> None:
    assert scanned(session_of(STARTED + b'{"bad\n' + b'{"torn')) == [(2, b'{"bad', False), (3, b'{"torn', True)]


def test_a_session_that_is_only_a_torn_line() -> None:
    session = session_of(b'{"seq":0,"type":"sess')
    assert session.header is None
    assert list(session) == []
    assert session.cut_off == "line 1 is cut off"


def test_a_session_cut_between_lines_has_no_end() -> None:
    session = session_of(STARTED + GAP)
    assert len(list(session)) == 2
    assert (session.torn, session.cut_off) == ("", NO_END)


def test_an_end_that_is_not_the_last_record_is_none() -> None:
    session = session_of(WHOLE + GAP)
    list(session)
    assert session.cut_off == NO_END
    assert session.ended == {"seq": 2, "type": "session-ended"}


def test_a_torn_line_after_the_end_is_said() -> None:
    session = session_of(WHOLE + b'{"seq')
    list(session)
    assert session.cut_off == "line 4 is cut off"


def test_an_empty_session() -> None:
    session = session_of(b"")
    assert list(session) == []
    assert (session.header, session.cut_off) == (None, NO_END)


def test_a_torn_frame_is_said_even_between_lines() -> None:
    frame = zstandard.ZstdCompressor().compress(WHOLE)
    session = session_of(frame + zstandard.ZstdCompressor().compress(GAP)[:-3])
    assert len(list(session)) == 3
    assert session.cut_off == f"the last zstd frame (at byte {len(frame)}) is cut off"


def test_a_torn_frame_is_why_its_line_is_torn() -> None:
    session = session_of(gzip.compress(WHOLE)[:-12])
    assert [number for number, _ in session][:1] == [1]
    assert session.torn == "the last gzip frame (at byte 0) is cut off"


# ── bad lines ──────────────────────────────────────────────────────────────────────────────────────


def test_a_record_is_nested_only_so_deep() -> None:
    for depth, good in ((253, True), (254, False), (1000, False)):
        for opened, closed in ((b"[", b"]"), (b'{"a":', b"}")):
            line = b'{"type":"x","a":' + opened * depth + b"1" + closed * depth + b"}\n"
            (number, raw, torn), *_ = [*scanned(session_of(STARTED + line + ENDED)), (0, b"", False)]
            assert (number, torn) == ((0, False) if good else (2, False)), raw[:40]
    text = b'{"type":"x","a":"' + b"[" * 9999 + b'"}\n'
    assert scanned(session_of(STARTED + text + ENDED)) == []


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (b'{"seq":1,"ty', 'expected a record, found \'{"seq":1,"ty\' ('),
        (b"\xff", "expected a record, found '\\ufffd' ("),
        (b"[1]", "expected an object with a type, found '[1]'"),
        (b'{"seq":1}', "expected an object with a type, found '{\"seq\":1}'"),
        (b'{"type":5}', "expected an object with a type, found '{\"type\":5}'"),
        (b"{" + b"x" * 59, "expected a record, found '{" + "x" * 59 + "' ("),
        (b"{" + b"x" * 100, "expected a record, found '{" + "x" * 59 + "\\u2026' ("),
    ],
)
def test_a_bad_line_in_the_middle_is_an_error_at_its_place(bad: bytes, problem: str) -> None:
    session = session_of(STARTED + bad + b"\n" + ENDED)
    with pytest.raises(SessionError) as caught:
        list(session)
    assert (caught.value.file, caught.value.line, caught.value.exit_code) == ("s.jsonl", 2, 2)
    assert caught.value.message.startswith(problem)
    assert str(caught.value).startswith("s.jsonl:2: ")


def test_what_stands_before_a_bad_line_is_read() -> None:
    session = session_of(STARTED + GAP + b"{\n" + ENDED)
    records = iter(session)
    assert [next(records)[0], next(records)[0]] == [1, 2]
    with pytest.raises(SessionError):
        next(records)


def test_a_scan_goes_on_after_bad_lines() -> None:
    session = session_of(b"{\n" + STARTED + b"{\n{\n" + ENDED)
    assert scanned(session) == [(1, b"{", False), (3, b"{", False), (4, b"{", False)]
    assert session.complete


def test_an_object_that_is_no_record_is_bad_even_at_the_end() -> None:
    session = session_of(WHOLE + b'{"seq":3}')
    with pytest.raises(SessionError, match=r"^s\.jsonl:4: expected an object with a type"):
        list(session)
    assert session.torn == ""


def test_a_line_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_blocks, "MAX_LINE", 1000)
    with pytest.raises(SessionError, match=r"^s\.jsonl:2: no record is longer than 1000 bytes$"):
        list(session_of(STARTED + b'{"type":"' + b"x" * 2000))


# ── headers and versions ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("first", [GAP, b'{"type":"later"}\n', b"{bad\n"])
def test_a_session_may_begin_with_something_else(first: bytes) -> None:
    session = session_of(first + STARTED + ENDED)
    assert session.header is None
    assert len([line for line in session.scan() if line.record]) >= 2


@pytest.mark.parametrize("version", [2, 99])
def test_a_newer_schema_is_refused(version: int) -> None:
    record = {"type": "session-started", "schemaVersion": version}
    with pytest.raises(SessionError, match=rf"^s\.jsonl:1: written by a newer mockrec: schema {version}, this one"):
        session_of(json.dumps(record).encode())


@pytest.mark.parametrize("version", [None, 0, 1, "2", 1.5, True])
def test_any_other_version_is_read(version: Any) -> None:
    record = {"type": "session-started", "schemaVersion": version}
    assert session_of(json.dumps(record).encode()).header == record


# ── opening ────────────────────────────────────────────────────────────────────────────────────────


def test_bodies_lie_beside_the_session(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl.gz"
    path.write_bytes(gzip.compress(WHOLE))
    with open_session(path) as session:
        assert session.name == str(path)
        assert session.bodies_folder == tmp_path / "s.jsonl.gz.bodies"


def test_stdin_has_no_bodies_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(WHOLE)))
    with open_session("-") as session:
        assert session.bodies_folder is None
        assert len(list(session)) == 3


def test_a_refused_file_is_closed(tmp_path: Path) -> None:
    """An open file that is forgotten is a warning, and warnings are errors here."""
    path = tmp_path / "s.jsonl"
    path.write_bytes(b'{"type":"session-started","schemaVersion":2}')
    with pytest.raises(SessionError):
        open_session(path)


def test_a_session_can_be_closed_before_its_end(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(WHOLE * 10000)
    with open_session(path) as session:
        assert next(iter(session))[0] == 1
    with pytest.raises(StopIteration):
        next(iter(session))
