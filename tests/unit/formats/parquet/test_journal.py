"""The sink of a recording: segments, the helper's part, and what is there when something goes wrong."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from waiting import until

from mockrec.formats.files.jsonl import encode_lines
from mockrec.formats.files.locks import lock
from mockrec.formats.parquet import helper, recover
from mockrec.formats.parquet import journal as journal_module
from mockrec.formats.parquet import journal_lock as locks
from mockrec.formats.parquet.helper_process import HelperProcess
from mockrec.formats.parquet.journal import JournalSink, open_journal_sink
from mockrec.formats.parquet.journal_lock import RECORDER, take_lock
from mockrec.formats.parquet.paths import own_journal, segment_name
from mockrec.formats.parquet.recover import finish_journal
from mockrec.formats.schema.errors import OutputError, OutputExistsError, OutputLostError
from mockrec.formats.sessions.outputs import open_sink

Record = dict[str, Any]
Read = Callable[[Path | str], list[Record]]


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "SEGMENT_RECORDS", 2)


def open_live(path: Path | str, **options: Any) -> JournalSink:
    sink = open_sink(path, live=True, **options)
    assert isinstance(sink, JournalSink)
    return sink


def write(sink: JournalSink, records: list[Record]) -> None:
    for record in records:
        sink.write(encode_lines([record]))


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize("name", ["s.parquet", "s/"])
def test_what_is_recorded_becomes_parquet(tmp_path: Path, recording: Any, read_records: Read, name: str) -> None:
    records = recording.start().exchange("a").exchange("b").add("request-initiated", "open") and recording.records
    sink = open_live(f"{tmp_path}/{name}")
    assert sink.name == f"{tmp_path}/{name}"
    write(sink, records)
    assert read_records(f"{tmp_path}/{name}") == records, "while it is recorded"
    sink.close()
    sink.close()
    assert read_records(f"{tmp_path}/{name}") == records
    if name == "s/":
        exchanges = pq.read_table(tmp_path / "s/exchanges").to_pylist()
        assert [(row["id"], row["type"], row["seqLast"]) for row in exchanges] == [
            ("a", "response", 3),
            ("b", "response", 6),
            ("open", None, 7),
        ]
        assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ["events", "exchanges"]
        assert stat.S_IMODE((tmp_path / "s/events").stat().st_mode) == 0o700
    else:
        assert [path.name for path in tmp_path.iterdir()] == ["s.parquet"]
        assert stat.S_IMODE((tmp_path / "s.parquet").stat().st_mode) == 0o600


def test_lines_are_on_disk_at_once(tmp_path: Path, recording: Any) -> None:
    sink = open_live(tmp_path / "s.parquet")
    write(sink, recording.start().records)
    segment = tmp_path / "s.parquet.journal" / segment_name(1)
    assert segment.read_bytes() == encode_lines(recording.records)
    assert stat.S_IMODE(segment.stat().st_mode) == 0o600
    assert stat.S_IMODE(segment.parent.stat().st_mode) == 0o700
    sink.close()


def test_a_segment_that_is_old_is_closed(tmp_path: Path, recording: Any, read_records: Read) -> None:
    sink = open_live(f"{tmp_path}/s/")
    sink.sync_point(1000.0)
    write(sink, recording.start().records)
    sink.sync_point(1050.0)
    sink.sync_point(1000.0 + journal_module.SEGMENT_AGE_MS - 1)
    assert sink._helper.pid is None
    sink.sync_point(1000.0 + journal_module.SEGMENT_AGE_MS)
    until(lambda: sink._helper.pid is not None)
    write(sink, recording.exchange().records[1:])
    assert (tmp_path / "s/journal" / segment_name(2)).exists()
    sink.close()
    assert read_records(tmp_path / "s") == recording.records


@pytest.mark.usefixtures("small_segments")
def test_no_line_waits_for_the_helper(
    tmp_path: Path, recording: Any, read_records: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes half a second to start, and any time to make rows: what is written meanwhile is on disk all the same."""
    may_start, real = threading.Event(), HelperProcess._is_ready

    def slow(helper: HelperProcess) -> bool:
        assert may_start.wait(20)
        return real(helper)

    monkeypatch.setattr(HelperProcess, "_is_ready", slow)
    sink = open_live(tmp_path / "s.parquet")
    records = recording.start().exchange("a").exchange("b").records
    write(sink, records)
    assert read_records(tmp_path / "s.parquet.journal") == records, "and no helper has started yet"
    may_start.set()
    sink.close()
    assert read_records(tmp_path / "s.parquet") == records


@pytest.mark.usefixtures("small_segments")
def test_a_helper_that_gives_up_ends_the_recording(
    tmp_path: Path, recording: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def convert(helper: HelperProcess, number: int) -> None:
        raise OutputError("s.parquet", "No space left on device")

    monkeypatch.setattr(HelperProcess, "convert", convert)
    sink = open_live(tmp_path / "s.parquet")
    write(sink, recording.start().exchange("a").records[:2])

    def told() -> bool:
        try:
            sink.sync_point(1.0)
        except OutputError as error:
            return "No space left on device" in str(error)
        return False

    until(told)
    with pytest.raises(OutputError, match="No space left"):
        sink.close()


def test_nothing_recorded_leaves_nothing(tmp_path: Path) -> None:
    for name in ("s.parquet", "s/"):
        open_live(f"{tmp_path}/{name}").close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("small_segments")
def test_a_helper_that_dies_is_replaced(tmp_path: Path, recording: Any, read_records: Read) -> None:
    sink = open_live(tmp_path / "s.parquet")
    records = recording.start().exchange("a").exchange("b").records
    write(sink, records[:3])
    until(lambda: sink._helper.pid is not None)
    assert sink._helper.pid is not None
    os.kill(sink._helper.pid, signal.SIGKILL)
    write(sink, records[3:])
    sink.close()
    assert read_records(tmp_path / "s.parquet") == records


@pytest.mark.usefixtures("small_segments")
def test_a_helper_that_cannot_write_leaves_the_journal(tmp_path: Path, recording: Any, read_records: Read) -> None:
    sink = open_live(tmp_path / "s.parquet")
    write(sink, recording.start().exchange().records)
    (tmp_path / "s.parquet").mkdir()
    with pytest.raises(OutputError, match=r"s\.parquet: .* \(the recording is in .*s\.parquet\.journal\)"):
        sink.close()
    assert read_records(tmp_path / "s.parquet.journal") == recording.records


@pytest.mark.usefixtures("small_segments")
def test_a_recorder_that_dies_leaves_the_journal(tmp_path: Path, recording: Any, read_records: Read) -> None:
    """Its helper sees the end of its stdin, which nobody announced."""
    records = recording.start().exchange().records
    sink = open_live(tmp_path / "s.parquet")
    write(sink, records)
    sink._helper._end()  # the thread goes with the recorder
    process = sink._helper._helper._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait() == 0
    assert read_records(tmp_path / "s.parquet") == records
    assert not (tmp_path / "s.parquet").exists()
    sink.close()


# ── what is there before ───────────────────────────────────────────────────────────────────────────


def test_nothing_is_overwritten_unless_forced(tmp_path: Path, recording: Any, read_records: Read) -> None:
    for name in ("s.parquet", "s/"):
        path = f"{tmp_path}/{name}"
        for force in (False, True):
            sink = open_live(path, force=force)
            write(sink, recording.start().records[-1:])
            sink.close()
            with pytest.raises(OutputExistsError):
                open_live(path)
        assert len(read_records(path)) == 1


def test_the_journal_of_a_cut_off_recording_is_not_overwritten(tmp_path: Path, recording: Any) -> None:
    journal = tmp_path / "s.parquet.journal"
    journal.mkdir()
    (journal / segment_name(1)).write_bytes(encode_lines(recording.start().records))
    with pytest.raises(OutputExistsError, match="holds a recording that was cut off") as caught:
        open_live(tmp_path / "s.parquet")
    assert f"mockrec verify {journal} --repair {tmp_path / 's.parquet'} finishes it" in str(caught.value)
    sink = open_live(tmp_path / "s.parquet", force=True)
    assert list(journal.glob("segment-*")) == []
    sink.close()


def test_two_recorders_do_not_share_a_journal(tmp_path: Path) -> None:
    sink = open_live(tmp_path / "s.parquet")
    with pytest.raises(OutputError, match="is writing it"):
        open_live(tmp_path / "s.parquet", force=True)
    sink.close()


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "d.parquet").mkdir()
    with pytest.raises(OutputError, match="it is a folder"):
        open_journal_sink(str(tmp_path / "d.parquet"), force=True)
    with pytest.raises(OutputError, match="No such file"):
        open_journal_sink(str(tmp_path / "nowhere/s.parquet"))


def test_a_folder_that_is_removed_while_a_segment_is_opened(
    tmp_path: Path, recording: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the look at the folder, so that only opening the segment fails."""
    sink = open_live(tmp_path / "s.parquet")
    open_output = journal_module.open_output

    def removed_first(path: Path, **options: Any) -> Any:
        shutil.rmtree(path.parent)
        return open_output(path, **options)

    monkeypatch.setattr(journal_module, "open_output", removed_first)
    with pytest.raises(OutputLostError, match="was removed"):
        write(sink, recording.start().records)
    with pytest.raises(OutputError):
        sink.close()


def test_an_object_store_that_is_not_there_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="nowhere://"):
        open_live("nowhere://bucket/s.parquet")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize("name", ["s.parquet", "set"])
def test_recording_to_a_uri(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recording: Any, read_records: Read, name: str
) -> None:
    """`file://` goes the way that object stores go; the journal is in the current folder meanwhile."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "store").mkdir()
    uri = f"file://{tmp_path}/store/{name}"
    records = recording.start().exchange().records
    sink = open_live(uri)
    write(sink, records)
    assert (tmp_path / f"{name}.journal").is_dir()
    sink.close()
    assert not (tmp_path / f"{name}.journal").exists()
    assert read_records(uri) == records
    with pytest.raises(OutputExistsError):
        open_live(uri)
    assert not (tmp_path / f"{name}.journal").exists()
    sink = open_live(uri, force=True)
    write(sink, records[:1])
    sink.close()
    assert read_records(uri) == records[:1]


# ── finishing what was cut off ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("tail", "kept"), [(b"", 4), (b'{"seq":4,"ty', 4), (b'{"seq":4,"type":"gap","counts":{"request":1}}', 5)]
)
def test_a_journal_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recording: Any, read_records: Read, tail: bytes, kept: int
) -> None:
    monkeypatch.setattr(recover, "_TAIL", 7)
    records = recording.start().exchange().records
    journal = tmp_path / "s.parquet.journal"
    journal.mkdir()
    (journal / segment_name(1)).write_bytes(encode_lines(records[:2]))
    (journal / segment_name(2)).write_bytes(encode_lines(records[2:]) + tail)
    finish_journal(str(tmp_path / "s.parquet"), journal, b'{"type":"session-ended"}\n')
    read = read_records(tmp_path / "s.parquet")
    assert len(read) == kept + 1
    assert read[:4] == records
    assert not journal.exists()


def test_a_data_set_whose_segments_are_all_parts_is_finished(
    tmp_path: Path, recording: Any, read_records: Read, write_tables: Any
) -> None:
    records = recording.start().exchange("a").add("request-initiated", "open") and recording.records
    (tmp_path / "s/events").mkdir(parents=True)
    (tmp_path / "s/journal").mkdir()
    write_tables(tmp_path / "s/events/part-000001.parquet", records[:2])
    write_tables(tmp_path / "s/events/part-000002.parquet", records[2:])
    (tmp_path / "s/events/.part-000003.parquet.9.tmp").write_bytes(b"half")
    (tmp_path / "s/exchanges").mkdir()
    (tmp_path / "s/exchanges/.part-000002.parquet.9.tmp").write_bytes(b"half")
    assert own_journal(f"{tmp_path}/s", f"{tmp_path}/s/") == tmp_path / "s/journal"
    finish_journal(f"{tmp_path}/s/", tmp_path / "s/journal", encode_lines(recording.end().records[-1:]))
    assert read_records(tmp_path / "s") == recording.records
    # The exchanges that were open at the end are a part of their own.
    for folder, parts in (("events", 3), ("exchanges", 4)):
        names = sorted(path.name for path in (tmp_path / "s" / folder).iterdir())
        assert names == [f"part-00000{number}.parquet" for number in range(1, parts + 1)]
    exchanges = pq.read_table(tmp_path / "s/exchanges").to_pylist()
    assert [(row["id"], row["type"], row["seqFirst"]) for row in exchanges] == [("a", "response", 1), ("open", None, 4)]


def test_what_was_finished_meanwhile_needs_nothing(tmp_path: Path) -> None:
    finish_journal(str(tmp_path / "s.parquet"), tmp_path / "s.parquet.journal", b"")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def journal_that_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The journal of `s/`, which another process finishes while its helper's lock is waited for."""
    journal = tmp_path / "s" / "journal"
    journal.mkdir(parents=True)
    (journal / segment_name(31)).write_bytes(b"")

    def last_moment(fd: int, *, wait: bool) -> str:
        if wait:
            shutil.rmtree(journal)
        return lock(fd, wait=wait)

    monkeypatch.setattr(locks, "lock", last_moment)
    return journal


def test_what_is_finished_while_its_lock_is_waited_for(tmp_path: Path, journal_that_goes: Path) -> None:
    """The helper of a recorder that ended well goes on without it."""
    finish_journal(f"{tmp_path}/s/", journal_that_goes, b'{"type":"session-ended"}\n')
    assert list((tmp_path / "s").iterdir()) == []


def test_a_helper_that_starts_when_all_is_finished_leaves_it_alone(tmp_path: Path, journal_that_goes: Path) -> None:
    """Its recorder was killed while it started, and `verify --repair` has made the data set: it would make parts again."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)}
    try:
        assert helper.main(f"{tmp_path}/s/", str(journal_that_goes), "0o600", "keep") == 0
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert list((tmp_path / "s").iterdir()) == []


def test_what_is_still_recorded_is_not_finished(tmp_path: Path, recording: Any) -> None:
    sink = open_live(tmp_path / "s.parquet")
    write(sink, recording.start().records)
    with pytest.raises(OutputError, match="is writing it"):
        finish_journal(str(tmp_path / "s.parquet"), tmp_path / "s.parquet.journal", b"")
    sink.close()


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom mockrec.formats.parquet.journal_lock import *\n"
        f"lock = take_lock(Path({str(tmp_path)!r}), RECORDER, wait=False)\nprint('held', flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert take_lock(tmp_path, RECORDER, wait=False) is None
        process.kill()
        process.wait()
    lock = take_lock(tmp_path, RECORDER, wait=False)
    assert lock is not None
    lock.release()


def test_whose_journal_it_is(tmp_path: Path) -> None:
    path = str(tmp_path / "s.parquet")
    assert own_journal(path, path) is None
    (tmp_path / "s.parquet.journal").mkdir()
    (tmp_path / "s.parquet.journal" / segment_name(1)).write_bytes(b"")
    assert own_journal(path, path) == tmp_path / "s.parquet.journal"
    assert own_journal(f"{path}.journal", path) == tmp_path / "s.parquet.journal"
    assert own_journal("other.jsonl", path) is None
    (tmp_path / "s.parquet").write_bytes(b"")
    assert own_journal(path, path) is None


def test_recording_needs_no_pyarrow(tmp_path: Path) -> None:
    """Only its helper does."""
    program = (
        "import sys\nfrom mockrec.formats.sessions.outputs import open_sink\n"
        f"sink = open_sink({str(tmp_path / 's.parquet')!r}, live=True)\n"
        "sink.write(b'{}\\n')\nsink.close()\n"
        "assert 'pyarrow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert (tmp_path / "s.parquet").exists()
