"""`mockrec compact`: nothing is lost, whatever happens in between; equal input gives equal output."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from mockrec.cli import compact as command
from mockrec.formats.fleet import compact as module
from mockrec.formats.fleet import output_lock
from mockrec.formats.fleet.output_lock import only_writer
from mockrec.formats.fleet.skipped import Skipped
from mockrec.formats.parquet.atomic_file import AtomicFile
from mockrec.formats.schema.errors import OutputError
from mockrec.formats.sessions.session import open_session

NAMES = ("a.jsonl", "b.parquet", "c/", "d.har", "e.jsonl")


@pytest.fixture
def folder(recording: Any, tmp_path: Path, mockrec: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(NAMES):
        one = type(recording)().start(sessionId=f"s{number}")
        for index in range(6):
            one.exchange(f"e{number}-{index}", duration=float(index))
        one.end().write(tmp_path / "given")
        place = tmp_path / "ci" / f"branch=b{number % 2}" / f"run={number}"
        place.mkdir(parents=True)
        assert mockrec("filter", "given", "-q", "-o", f"{place}/{name}").code == 0
    (tmp_path / "given").unlink()
    return tmp_path


def records(session: str) -> list[str]:
    """The records of a session, which all have the `sessionId`, in a form that can be compared."""
    with open_session(session) as opened:
        found = [record for _, record in opened]
    identity = next(record["sessionId"] for record in found if "sessionId" in record)
    return sorted(
        json.dumps({**record, "sessionId": record.get("sessionId", identity)}, sort_keys=True) for record in found
    )


def everything(folder: Path) -> list[str]:
    return sorted(line for number, name in enumerate(NAMES) for line in records(place(number, name)))


def place(number: int, name: str) -> str:
    return f"ci/branch=b{number % 2}/run={number}/{name}"


def compacted() -> list[str]:
    with open_session("out") as opened:
        return sorted(json.dumps(record, sort_keys=True) for _, record in opened)


def digests() -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in Path("out").rglob("*.parquet")}


def test_every_record_is_there_and_a_second_run_adds_nothing(folder: Path, mockrec: Callable[..., Any]) -> None:
    before = everything(folder)
    done = mockrec("compact", "ci", "-o", "out")
    assert (done.code, done.err) == (0, "5 sessions compacted into 1 file of out\n")
    assert compacted() == before
    made = digests()
    done = mockrec("compact", "ci", "-o", "out")
    assert done.err == "0 sessions compacted into 0 files of out; 5 were there before\n"
    assert digests() == made
    assert everything(folder) == before


def test_equal_input_gives_equal_bytes_whatever_its_order(folder: Path, mockrec: Callable[..., Any]) -> None:
    assert mockrec("compact", "ci/**", "-o", "out").code == 0
    made = list(digests().values())
    Path("out").rename("first")
    names = [place(number, name) for number, name in enumerate(NAMES)]
    assert mockrec("compact", *reversed(names), "-o", "out").code == 0
    assert list(digests().values()) == made


def test_keys_are_columns_and_rows_are_sorted_by_them(folder: Path, mockrec: Callable[..., Any]) -> None:
    assert mockrec("compact", "ci", "-o", "out").code == 0
    table = pq.read_table("out/events/part-000001.parquet", columns=["session", "branch", "run"])
    runs = [
        run
        for run, before in zip(table["run"].to_pylist(), [None, *table["run"].to_pylist()], strict=False)
        if run != before
    ]
    assert runs == ["0", "2", "4", "1", "3"]
    query = "select branch, count(distinct session) as n, count(*) as rows from exchanges group by all order by branch"
    done = mockrec("sql", query, "out", "--as", "csv")
    assert done.lines == ["branch,n,rows", "b0,3,18", "b1,2,12"]


def test_new_sessions_become_further_parts(folder: Path, mockrec: Callable[..., Any]) -> None:
    assert mockrec("compact", "ci/*/run=[0-2]", "-o", "out").code == 0
    made = digests()
    done = mockrec("compact", "ci", "-o", "out")
    assert done.err == "2 sessions compacted into 1 file of out; 3 were there before\n"
    assert made.items() <= digests().items()
    assert compacted() == everything(folder)


def test_parts_have_a_size(folder: Path, mockrec: Callable[..., Any]) -> None:
    assert mockrec("compact", "ci", "-o", "out", "--part-size", "1").err.startswith("5 sessions compacted into 5 files")
    assert compacted() == everything(folder)


def test_delete_removes_only_what_is_compacted(folder: Path, mockrec: Callable[..., Any]) -> None:
    before = everything(folder)
    Path("ci/branch=b0/bad.jsonl").write_text("no session\n", encoding="utf-8")
    Path("ci/notes.md").write_text("kept\n", encoding="utf-8")
    done = mockrec("compact", "ci", "-o", "out", "--delete")
    assert done.code == 4
    assert "5 sessions removed" in done.err
    assert sorted(str(path) for path in Path("ci").rglob("*") if path.is_file()) == [
        "ci/branch=b0/bad.jsonl",
        "ci/notes.md",
    ]
    assert compacted() == before


def test_a_session_that_was_recorded_again_stays(folder: Path, mockrec: Callable[..., Any]) -> None:
    assert mockrec("compact", "ci", "-o", "out").code == 0
    path = Path(place(0, "a.jsonl"))
    path.write_bytes(path.read_bytes().replace(b'"sessionId":"s0"', b'"sessionId":"s9"'))
    done = mockrec("compact", "ci", "-o", "out", "--delete")
    assert "a.jsonl: it has changed since it was compacted, and stays" in done.err
    assert path.exists()


def test_a_session_that_has_grown_is_not_counted_twice(folder: Path, mockrec: Callable[..., Any]) -> None:
    assert mockrec("compact", "ci", "-o", "out").code == 0
    before = compacted()
    path = Path(place(0, "a.jsonl"))
    path.write_bytes(path.read_bytes() + path.read_bytes().splitlines(keepends=True)[-1])
    done = mockrec("compact", "ci", "-o", "out", "--delete")
    assert done.code == 4
    assert "a.jsonl: it has changed since it was compacted; out has it as it was" in done.err
    assert path.exists()
    assert compacted() == before


def test_another_session_with_the_name_of_a_former_one(folder: Path, mockrec: Callable[..., Any]) -> None:
    assert mockrec("compact", "ci", "-o", "out").code == 0
    before = compacted()
    path = Path(place(0, "a.jsonl"))
    path.write_bytes(path.read_bytes().replace(b'"sessionId":"s0"', b'"sessionId":"another"'))
    more = records(str(path))
    for words in ("1 session compacted", "0 sessions compacted"):
        assert words in mockrec("compact", "ci", "-o", "out").err
        assert compacted() == sorted(before + more)


def test_names_from_another_folder_are_those_of_the_same_sessions(
    folder: Path, mockrec: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mockrec("compact", "ci", "-o", "out").code == 0
    made = digests()
    monkeypatch.chdir(folder / "ci")
    for name in (".", str(folder / "ci"), "../ci"):
        done = mockrec("compact", name, "-o", "../out")
        assert (done.code, done.err) == (0, "0 sessions compacted into 0 files of ../out; 5 were there before\n")
    monkeypatch.chdir(folder)
    assert digests() == made


@pytest.mark.parametrize("levels", [300, 1000])
def test_a_record_that_no_part_can_have(folder: Path, mockrec: Callable[..., Any], levels: int) -> None:
    path = Path(place(0, "a.jsonl"))
    path.write_bytes(path.read_bytes() + b'{"type":"rule-event","x":' + b"[" * levels + b"]" * levels + b"}\n")
    done = mockrec("compact", "ci", "-o", "out", "--delete")
    assert done.code == 4
    assert "nested more than 254 levels deep" in done.err
    assert path.exists()
    assert mockrec("stats", path).code == 0
    assert mockrec("sql", "select count(*) from events", path).code == 2


@pytest.mark.parametrize("published", [0, 1])
def test_an_interrupt_loses_nothing(
    folder: Path, mockrec: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, published: int
) -> None:
    before = everything(folder)
    publish = AtomicFile.publish
    count = 0

    def stop(file: AtomicFile) -> None:
        nonlocal count
        if count == published:
            raise KeyboardInterrupt
        count += 1
        publish(file)

    monkeypatch.setattr(AtomicFile, "publish", stop)
    assert mockrec("compact", "ci", "-o", "out", "--delete").code == 130
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert everything(folder) == before
    assert not list(Path("out").rglob("*.tmp"))
    assert not list(Path("out").rglob("events/*.parquet"))
    done = mockrec("compact", "ci", "-o", "out", "--delete")
    assert (done.code, compacted()) == (0, before)


def test_an_interrupt_between_two_removals(
    folder: Path, mockrec: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(folder)
    remove = module.remove
    seen: list[str] = []

    def stop(session: str, known: Any) -> bool:
        if seen:
            raise KeyboardInterrupt
        seen.append(session)
        return remove(session, known)

    monkeypatch.setattr(module, "remove", stop)
    assert mockrec("compact", "ci", "-o", "out", "--delete").code == 130
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert mockrec("compact", "ci", "-o", "out", "--delete").code == 0
    assert compacted() == before
    assert not [path for path in Path("ci").rglob("*") if path.is_file()]


def test_body_files_are_kept_once(
    recording: Any,
    tmp_path: Path,
    mockrec: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    body = b"x" * 1000
    digest = hashlib.sha256(body).hexdigest()
    name = f"{digest[:2]}/{digest}"
    for number in range(2):
        path = tmp_path / "ci" / f"{number}.jsonl"
        kept = Path(f"{path}.bodies", name)
        kept.parent.mkdir(parents=True)
        kept.write_bytes(body)
        one = type(recording)().start(sessionId=f"s{number}")
        one.exchange("e", body={"size": 1000, "file": name, "sha256": digest})
        one.end().write(path)
    assert mockrec("compact", "ci", "-o", "out", "--delete").code == 0
    (shared,) = [path for path in Path("out.bodies").rglob("*") if path.is_file()]
    assert shared.read_bytes() == body
    assert pq.read_table("out/events", columns=["bodyFile"])["bodyFile"].drop_null().to_pylist().count(name) == 2
    assert not list(Path("ci").rglob("*.bodies"))


def test_the_output_in_its_own_prefix(folder: Path, mockrec: Callable[..., Any]) -> None:
    for expected in ("5 sessions compacted", "0 sessions compacted"):
        assert mockrec("compact", "ci", "-o", "ci/out/").err.startswith(expected)


@pytest.mark.parametrize("output", ["out.parquet", "ci/branch=b0/run=2/c"])
def test_an_output_that_is_no_place_for_parts(folder: Path, mockrec: Callable[..., Any], output: str) -> None:
    before = everything(folder)
    assert mockrec("compact", "ci", "-o", output).code in (2, 3)
    assert everything(folder) == before
    assert command._PART_SIZE == module.PART_SIZE


def test_a_session_that_was_cut_off_is_compacted_with_a_warning(folder: Path, mockrec: Callable[..., Any]) -> None:
    cut = folder / place(0, NAMES[0])
    cut.write_bytes(b"".join(cut.read_bytes().splitlines(keepends=True)[:-1])[:-20])
    said = mockrec("compact", "ci", "-o", "out")
    assert said.code == 0
    assert f"{place(0, NAMES[0])}: the session was cut off: it has no session-ended record at its end" in said.err
    assert said.err.count("cut off") == 1
    assert "cut off" not in mockrec("compact", "ci", "-o", "out").err


def test_two_at_once_do_not_write_into_one_output(folder: Path, mockrec: Callable[..., Any]) -> None:
    with only_writer("out"):
        said = mockrec("compact", "ci", "-o", "out")
        assert said.code == 2
        assert "is writing it" in said.err
    assert not (folder / "out").exists()
    assert mockrec("compact", "ci", "-o", "out").code == 0
    assert compacted() == everything(folder)
    assert [file.name for file in (folder / "out").iterdir() if file.name.startswith(".")] == []


def test_parts_are_not_written_after_another_writer_may_have_begun(
    folder: Path, mockrec: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(folder)
    a_part = (None, None, None)  # before it is begun, and before each of its files
    checks = iter((*a_part, *a_part, OutputError("out", "its lock could not be renewed")))

    def check() -> None:
        if error := next(checks):
            raise error

    monkeypatch.setattr(output_lock, "_certain", check)
    said = mockrec("compact", "ci", "-o", "out", "--part-size=1", "--delete")
    assert (said.code, said.err.splitlines()[-1]) == (3, "mockrec: cannot write out: its lock could not be renewed")
    assert len(digests()) == 4
    assert everything(folder) == before


def test_a_part_does_not_appear_after_another_writer_may_have_begun(folder: Path) -> None:
    """The writer slept while it wrote the part."""
    checks: list[str] = []

    def check() -> None:
        checks.append("asked")
        raise OutputError("out/", "another writer has begun")

    made = module.plan(["ci/branch=b0/run=0/a.jsonl"], "out/", Skipped())
    with pytest.raises(OutputError, match="another writer"):
        module.write_part("out/", made.parts[0], check=check)
    assert checks
    assert not [path for path in (folder / "out").rglob("*") if path.is_file()]


def test_only_sessions_that_the_output_has_by_now_may_be_deleted(folder: Path) -> None:
    sessions = ["ci/branch=b0/run=0/a.jsonl", "ci/branch=b1/run=1/b.parquet"]
    made = module.plan(sessions, "out/", Skipped())
    done, _ = module.write_part("out/", made.parts[0])
    by_name = {one.name: one for one in done}
    assert module.still_there("out/", by_name) == by_name
    other = module.plan(sessions[:1], "other/", Skipped())
    module.write_part("other/", other.parts[0])
    (folder / "other/events/part-000001.parquet").replace(folder / "out/events/part-000001.parquet")
    assert list(module.still_there("out/", by_name)) == sessions[:1]
