"""Lines → HAR: the visible file during a recording, and bounded memory."""

from __future__ import annotations

import errno
import io
import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mockrec.formats.files.jsonl import encode_lines
from mockrec.formats.har import assemble
from mockrec.formats.har.sink import SHOW_MS, HarSink, open_har
from mockrec.formats.har.spool import LineSpool
from mockrec.formats.schema.errors import OutputError, OutputExistsError
from mockrec.formats.sessions.inputs import Source
from mockrec.formats.sessions.outputs import open_sink
from mockrec.formats.sessions.session import Session, open_session

Record = dict[str, Any]
RecordOf = Callable[..., Record]
Problems = Callable[[Any], list[str]]


def lines(*records: Record) -> bytes:
    return encode_lines(records)


def shown(path: Path) -> Record:
    found: Record = json.loads(path.read_text("utf-8"))["log"]
    return found


def back(path: Path) -> bytes:
    with open_session(path) as session:
        found = b"".join(line.raw + b"\n" for line in session.scan())
    assert session.problems == []
    return found


class Recording:
    """Makes the records of a session, numbered."""

    def __init__(self, record_of: RecordOf) -> None:
        self._record_of = record_of
        self.count = 0
        self.lines = b""

    def __call__(self, *kinds_and_ids: tuple[str, str]) -> bytes:
        records = []
        for kind, identity in kinds_and_ids:
            record = self._record_of(kind, self.count)
            record.update({key: identity for key in ("id", "streamId", "requestId") if key in record})
            if kind == "session-started":
                record["events"] = ["request-initiated", "websocket-request"]
            records.append(record)
            self.count += 1
        self.lines += lines(*records)
        return lines(*records)


@pytest.fixture
def recording(record_of: RecordOf) -> Recording:
    return Recording(record_of)


# ── during a recording ───────────────────────────────────────────────────────────────────────────


def test_an_empty_file_is_whole_already(tmp_path: Path, har_problems: Problems) -> None:
    sink = open_har(tmp_path / "s.har", force=False, file_mode=0o640)
    assert har_problems(json.loads((tmp_path / "s.har").read_text())) == []
    sink.close()
    sink.close()
    assert [path.name for path in tmp_path.iterdir()] == ["s.har"]
    assert (tmp_path / "s.har").stat().st_mode & 0o777 == 0o640


def test_what_is_open_is_shown_and_then_replaced(tmp_path: Path, recording: Recording, har_problems: Problems) -> None:
    path = tmp_path / "s.har"
    sink = open_har(path, force=False, file_mode=0o600)
    sink.write(recording(("session-started", ""), ("request-initiated", "a"), ("request-initiated", "b")))
    sink.sync_point(None)
    assert [entry["_mockrec"].get("pending") for entry in shown(path)["entries"]] == [True, True]
    sink.write(recording(("response", "b"), ("request", "a")))
    sink.sync_point(None)
    first, second = shown(path)["entries"]
    assert (first["response"]["status"], first["_mockrec"].get("pending")) == (201, None)
    assert (second["response"]["status"], second["_mockrec"].get("pending")) == (0, True)
    assert back(path) == recording.lines, "what is open is in it"
    sink.write(recording(("response", "a"), ("session-ended", "")))
    sink.close()
    assert [entry["_mockrec"].get("pending") for entry in shown(path)["entries"]] == [None, None]
    assert back(path) == recording.lines
    assert har_problems({"log": shown(path)}) == []


def test_it_is_shown_when_something_has_been_waiting(tmp_path: Path, recording: Recording) -> None:
    path = tmp_path / "s.har"
    sink = open_har(path, force=False, file_mode=0o600)
    sink.sync_point(1000.0)
    sink.write(recording(("session-started", ""), ("request-initiated", "a"), ("response", "a")))
    sink.sync_point(1000.0 + SHOW_MS - 1)
    assert shown(path)["entries"] == []
    sink.sync_point(1000.0 + SHOW_MS)
    assert len(shown(path)["entries"]) == 1
    before = path.stat().st_ino
    sink.sync_point(5000.0)
    assert path.stat().st_ino == before, "nothing is written while nothing happens"
    sink.close()


def test_large_bodies_of_what_is_open_are_not_written_again_and_again(tmp_path: Path, record_of: RecordOf) -> None:
    path = tmp_path / "s.har"
    sink = open_har(path, force=False, file_mode=0o600)
    request = {**record_of("request", 0), "type": "websocket-request", "body": {"size": 200_000, "text": "x" * 200_000}}
    sink.write(lines(request))
    sink.sync_point(None)
    assert path.stat().st_size < 20_000
    with open_session(path) as session:
        ((_, seen),) = list(session)
    assert seen["body"] == {"size": 200_000, "text": "", "truncated": True}
    sink.close()
    assert back(path) == lines(request), "what never ends is whole at the end"


def test_a_long_conversation_goes_on_in_further_entries(
    tmp_path: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch, har_problems: Problems
) -> None:
    monkeypatch.setattr(assemble, "OPEN_BYTES", 3000)
    path = tmp_path / "s.har"
    sink = open_har(path, force=False, file_mode=0o600)
    sink.write(recording(("session-started", ""), ("websocket-request", "a"), ("websocket-accepted", "a")))
    for _ in range(20):
        sink.write(recording(("websocket-message-sent", "a")))
    sink.write(recording(("websocket-close", "a"), ("session-ended", "")))
    sink.close()
    entries = shown(path)["entries"]
    assert len(entries) > 3
    assert [entry["_mockrec"].get("more", False) for entry in entries] == [True] * (len(entries) - 1) + [False]
    assert {entry["request"]["url"] for entry in entries} == {"https://example.test/hello?a=b"}
    assert {entry["response"]["status"] for entry in entries} == {101}
    assert sum(len(entry["_webSocketMessages"]) for entry in entries) == 20
    assert back(path) == recording.lines
    assert har_problems({"log": shown(path)}) == []


def test_many_orphans_are_written_with_an_entry(
    tmp_path: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assemble, "ORPHAN_BYTES", 3000)
    path = tmp_path / "s.har"
    sink = open_har(path, force=False, file_mode=0o600)
    for number in range(20):
        sink.write(recording(("client-error", "c"), ("request-initiated", str(number)), ("response", str(number))))
    sink.close()
    log = shown(path)
    assert len(log["_mockrec"]["events"]) < 5
    assert sum(len(entry["_mockrec"].get("others", [])) for entry in log["entries"]) > 15
    assert back(path) == recording.lines


def test_pages_are_after_the_entries(tmp_path: Path, recording: Recording, har_problems: Problems) -> None:
    path = tmp_path / "s.har"
    sink = open_har(path, force=False, file_mode=0o600)
    lines_ = recording(
        ("session-started", ""), ("request-initiated", "a"), ("request-initiated", "b"), ("response", "b")
    )
    browser = b'"headers":{"sec-fetch-dest":"document","host"'
    lines_ = lines_.replace(b'"headers":{"host"', browser, 1)
    count = lines_.count(browser)
    sink.write(lines_)
    sink.sync_point(None)
    assert count == 1
    log = shown(path)
    assert [(page["id"], page["title"]) for page in log["pages"]] == [("page_1", "https://example.test/hello?a=b")]
    assert sorted(entry.get("pageref", "") for entry in log["entries"]) == ["", "page_1"], "also of what is open"
    assert har_problems({"log": log}) == []
    sink.close()
    assert back(path) == lines_


def test_a_file_of_the_first_format_is_read(tmp_path: Path, recording: Recording) -> None:
    """In this format pseudo-headers are among the headers, and `pages` precede the entries."""
    path = tmp_path / "s.har"
    sink = open_har(path, force=False, file_mode=0o600)
    lines = recording(("session-started", ""), ("request-initiated", "a"), ("response", "a"), ("session-ended", ""))
    lines = lines.replace(b'"rawHeaders":[[', b'"rawHeaders":[[":status","200"],[')
    sink.write(lines)
    sink.close()
    log = shown(path)
    log["_mockrecSession"]["format"] = 1
    for entry in log["entries"]:
        for message in (entry["request"], entry["response"]):
            message["headers"] = message.pop("_pseudoHeaders") + message["headers"]
    first = {name: log[name] for name in ("version", "creator", "pages", "_mockrecSession", "entries", "_mockrec")}
    path.write_text(json.dumps({"log": first}), encoding="utf-8")
    assert back(path) == lines


def test_memory_does_not_grow_with_the_session(tmp_path: Path, recording: Recording) -> None:
    sink = open_har(tmp_path / "s.har", force=False, file_mode=0o600)
    peaks = []
    tracemalloc.start()
    try:
        for number in range(600):
            batch = recording(("request-initiated", str(number)), ("request", str(number)), ("response", str(number)))
            recording.lines = b""
            sink.write(batch)
            sink.sync_point(None)
            if number % 200 == 199:
                peaks.append(tracemalloc.get_traced_memory()[0])
        assert peaks[2] - peaks[1] < 20_000
    finally:
        tracemalloc.stop()
        sink.close()


# ── files ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_visible_file_is_never_written_to(tmp_path: Path, recording: Recording) -> None:
    """A process that has the file open keeps a complete version."""
    path = tmp_path / "s.har"
    sink = open_har(path, force=False, file_mode=0o600)
    seen = []
    for number in range(4):
        sink.write(recording(("request-initiated", str(number)), ("response", str(number))))
        sink.sync_point(None)
        with path.open("rb") as file:
            before = file.read()
            sink.write(recording(("request-initiated", "more")))
            file.seek(0)
            assert file.read() == before
        seen.append(len(json.loads(before)["log"]["entries"]))
    assert seen[0] == 1 and seen == sorted(seen)
    sink.close()


@pytest.mark.parametrize("output_format", [None, "har"])
def test_an_existing_file_is_not_overwritten_unless_forced(
    tmp_path: Path, recording: Recording, output_format: str | None
) -> None:
    path = tmp_path / ("s.har" if output_format is None else "s")
    path.write_bytes(b"mine")
    with pytest.raises(OutputExistsError):
        open_sink(path, output_format=output_format)
    assert path.read_bytes() == b"mine"
    for name in (f".{path.name}.1", f".{path.name}.2"):
        (tmp_path / name).write_bytes(b"of a run that was killed")
    sink = open_sink(path, output_format=output_format, force=True)
    sink.write(recording(("request-initiated", "a")))
    sink.close()
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    assert back(path) == recording.lines


def test_a_link_stays_a_link(tmp_path: Path, recording: Recording) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.har").symlink_to(tmp_path / "real" / "s.har")
    sink = open_har(tmp_path / "link.har", force=True, file_mode=0o600)
    sink.write(recording(("request-initiated", "a"), ("response", "a")))
    sink.sync_point(None)
    sink.close()
    assert (tmp_path / "link.har").is_symlink()
    assert back(tmp_path / "real" / "s.har") == recording.lines
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["s.har"]


def test_a_device_gets_a_whole_har_at_the_end(tmp_path: Path, recording: Recording) -> None:
    os.mkfifo(tmp_path / "s.har")
    reader = os.open(tmp_path / "s.har", os.O_RDONLY | os.O_NONBLOCK)
    sink = open_har(tmp_path / "s.har", force=False, file_mode=0o600)
    sink.write(recording(("session-started", ""), ("request-initiated", "a"), ("response", "a")))
    sink.sync_point(None)
    sink.close()
    sink.close()
    data = os.read(reader, 1_000_000)
    os.close(reader)
    session = Session(Source("s.har", io.BytesIO(data)))
    assert b"".join(line.raw + b"\n" for line in session.scan()) == recording.lines


def test_without_hard_links_it_grows_in_place(
    tmp_path: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, "not here")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "s.har"
    sink = open_har(path, force=False, file_mode=0o600)
    for number in range(5):
        sink.write(recording(("request-initiated", str(number)), ("response", str(number))))
        sink.sync_point(None)
        assert back(path) == recording.lines
    sink.close()
    assert [one.name for one in tmp_path.iterdir()] == ["s.har"]
    assert back(path) == recording.lines


def test_a_full_disk_leaves_what_was_whole(
    tmp_path: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.har"
    sink = open_har(path, force=False, file_mode=0o600)
    sink.write(recording(("session-started", ""), ("request-initiated", "a"), ("response", "a")))
    sink.sync_point(None)
    before = path.read_bytes()

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        sink.write(recording(("request-initiated", "b")))
        with pytest.raises(OutputError, match="No space left on device"):
            sink.sync_point(None)
        sink.close()
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["s.har"]


def test_a_conversion_is_shown_once(tmp_path: Path, recording: Recording) -> None:
    """No process reads the file during a conversion, so no data is written twice."""
    path = tmp_path / "s.har"
    sink = open_sink(path)
    assert isinstance(sink, HarSink)
    inode = path.stat().st_ino
    for number in range(2000):
        sink.write(recording(("request-initiated", str(number)), ("response", str(number))))
    assert path.stat().st_ino == inode
    sink.close()
    assert back(path) == recording.lines


# ── the order of lines ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("memory", [0, 10, 1000])
def test_lines_come_when_it_is_their_turn(memory: int) -> None:
    spool = LineSpool(memory)
    for place in (2, 1):
        spool.put(place, b"line %d" % place)
    assert list(spool.ready()) == []
    spool.put(0, b"line 0")
    assert list(spool.ready()) == [b"line 0", b"line 1", b"line 2"]
    for place in (9, 4, 7):
        spool.put(place, b"line %d" % place)
    assert list(spool.ready()) == []
    assert list(spool.rest()) == [b"line 4", b"line 7", b"line 9"]
    spool.close()
