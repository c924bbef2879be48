"""The names of parts, how they are found, and the sink that goes from one to the next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mockrec.formats.files.jsonl import JsonlSink, encode_lines
from mockrec.formats.files.part_names import first_path, numbered_parts, part_path
from mockrec.formats.files.rotation import PartSink
from mockrec.formats.schema.errors import OutputExistsError
from mockrec.formats.sessions.inputs import open_part
from mockrec.formats.sessions.outputs import open_sink
from mockrec.formats.sessions.parts import find_part, header_of, without_followers
from mockrec.formats.sessions.session import open_session


@pytest.mark.parametrize(
    ("path", "second"),
    [
        ("s.jsonl", "s.0002.jsonl"),
        ("a/s.jsonl.gz", "a/s.0002.jsonl.gz"),
        ("/a.b/s.JSONL.ZST", "/a.b/s.0002.JSONL.ZST"),
        ("s.gz", "s.0002.gz"),
        ("s.2026-11-29.jsonl", "s.2026-11-29.0002.jsonl"),
        ("log", "log.0002"),
        ("run.log", "run.0002.log"),
        (".jsonl", ".jsonl.0002"),
    ],
)
def test_names(path: str, second: str) -> None:
    assert part_path(path, 1) == path
    assert part_path(path, 2) == second
    assert part_path(path, 12_345) == second.replace("0002", "12345")
    assert first_path(second) == path
    assert first_path(path) == path


def started(number: int | None, session: str = "s", seq: int = 0) -> dict[str, Any]:
    part = {} if number is None else {"part": number}
    return {"seq": seq, "type": "session-started", "timestamp": "", "schemaVersion": 1, "sessionId": session, **part}


def ended(number: int, seq: int) -> dict[str, Any]:
    return {"seq": seq, "type": "session-ended", "timestamp": "", "reason": "rotated", "part": number}


def put(path: Path, *records: dict[str, Any]) -> Path:
    path.write_bytes(encode_lines(records))
    return path


def seqs(path: Path) -> tuple[list[int], str]:
    with open_session(path) as session:
        return [record["seq"] for _, record in session], session.cut_off


def test_parts_are_joined_as_far_as_they_follow_one_another(tmp_path: Path) -> None:
    first = put(tmp_path / "s.jsonl", started(1), ended(1, 1))
    assert seqs(first) == ([0, 1], "it continues in part 2, which is not in its folder")
    second = put(tmp_path / "s.0002.jsonl", started(2, "another", 2), ended(2, 3))
    assert seqs(first)[0] == [0, 1], "that one is of another session"
    put(second, started(2, seq=2), ended(2, 3))
    put(
        tmp_path / "s.any name.jsonl",
        started(3, seq=4),
        {"seq": 5, "type": "session-ended", "timestamp": "", "reason": "x"},
    )
    assert seqs(first) == ([0, 1, 2, 3, 4, 5], "")
    assert seqs(second) == ([2, 3], ""), "a later part is read by itself"
    assert find_part(str(first), "s", 3, open_part) == str(tmp_path / "s.any name.jsonl")


@pytest.mark.parametrize("part", ["1", None, True, [1], {"a": 1}, 1.5, -1, 10**30])
def test_what_a_file_says_of_its_part_may_be_anything(tmp_path: Path, part: Any) -> None:
    header, end = started(1) | {"part": part}, ended(1, 1) | {"part": part}
    path = put(tmp_path / "s.jsonl", header, end)
    assert seqs(path)[0] == [0, 1]


def test_a_part_that_names_itself_the_next_one_is_not_read_for_ever(tmp_path: Path) -> None:
    put(tmp_path / "s.jsonl", started(1), ended(1, 1))
    put(tmp_path / "s.0002.jsonl", started(2, seq=2), ended(1, 3))
    assert seqs(tmp_path / "s.jsonl")[0] == [0, 1, 2, 3]


def test_a_glob_is_its_first_part(tmp_path: Path) -> None:
    first = str(put(tmp_path / "s.jsonl", started(1), ended(1, 1)))
    second = str(put(tmp_path / "s.0002.jsonl", started(2, seq=2), ended(2, 3)))
    other = str(put(tmp_path / "o.jsonl", started(None, "o")))
    assert without_followers([second, first, other, "-", "none"], open_part) == [first, other, "-", "none"]
    assert without_followers([second, other], open_part) == [second, other]
    assert without_followers([second], open_part) == [second]
    assert numbered_parts(first) == [Path(second)]
    assert numbered_parts(str(tmp_path / "none" / "s.jsonl")) == []


def test_a_file_that_is_no_session_has_no_header(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    for content in (b"", b"{", b"[]\n", b"\x1f\x8b", b"\x28\xb5\x2f\xfd\n", b'{"type":"gap"}\n', b"x" * 100):
        path.write_bytes(content)
        assert header_of(str(path), open_part) is None


# ── the sink ───────────────────────────────────────────────────────────────────────────────────────


def open_file(name: str, force: bool) -> Any:
    sink = open_sink(name, force=force)
    assert isinstance(sink, JsonlSink)
    return sink


def test_it_asks_for_the_next_part_once(tmp_path: Path) -> None:
    asked: list[int] = []
    sink = PartSink(str(tmp_path / "s.jsonl"), open_file, most_bytes=10, most_ms=1000.0)
    sink.on_due = asked.append
    sink.write(b"a long first line of a part\n")
    sink.sync_point(0.0)
    sink.sync_point(5000.0)
    assert asked == [], "a part in which nothing has happened is the last one"
    sink.write(b"b\n")
    sink.sync_point(5001.0)
    sink.sync_point(5002.0)
    assert asked == [1]
    sink.begin(2)
    sink.write(b"c\nd\n")
    sink.sync_point(6000.0)
    sink.sync_point(6999.0)
    assert asked == [1]
    sink.sync_point(7000.0)
    assert asked == [1, 2], "for its age"
    sink.close()
    assert (tmp_path / "s.0002.jsonl").read_bytes() == b"c\nd\n"


def test_only_a_renamed_file_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    sink = PartSink(str(path), open_file)
    sink.write(b"a\n")
    sink.begin_again(2)
    sink.write(b"b\n")
    path.rename(tmp_path / "old")
    sink.write(b"c\n")
    assert sink.is_moved
    path.touch()  # who renames logs makes an empty one
    sink.begin_again(3)
    sink.write(b"d\n")
    sink.close()
    assert ((tmp_path / "old").read_bytes(), path.read_bytes()) == (b"a\nb\nc\n", b"d\n")


def test_what_is_in_the_way_is_not_overwritten(tmp_path: Path) -> None:
    sink = PartSink(str(tmp_path / "s.jsonl"), open_file)
    (tmp_path / "s.0002.jsonl").write_text("precious")
    with pytest.raises(OutputExistsError):
        sink.begin(2)
    sink.close()
    assert (tmp_path / "s.0002.jsonl").read_text() == "precious"
