"""`mockrec verify`: complete or not, what is wrong, and a repaired copy."""

from __future__ import annotations

import gzip
import io
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

Mockrec = Callable[..., Any]

A = "aaaaaaaa-0000-7000-8000-000000000000"
B = "bbbbbbbb-0000-7000-8000-000000000000"
NO_END = "  it has no session-ended record at its end"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.jsonl"


@pytest.fixture
def repaired(tmp_path: Path) -> Path:
    return tmp_path / "repaired.jsonl"


# ── verdicts ───────────────────────────────────────────────────────────────────────────────────────


def test_a_complete_session(recording: Any, mockrec: Mockrec, path: Path) -> None:
    recording.start().exchange(A).exchange(B).end().write(path)
    done = mockrec("verify", path)
    assert (done.code, done.err) == (0, "")
    assert done.out == f"{path}: complete: 8 records, 2 exchanges\n"


def test_a_cut_off_session(recording: Any, mockrec: Mockrec, path: Path) -> None:
    recording.start().exchange(A)
    recording.add("request-initiated", B)
    recording.write(path)
    done = mockrec("verify", path)
    assert done.code == 1
    assert done.lines == [f"{path}: cut off: 5 records, 2 exchanges", NO_END, "  1 exchange without an end"]


def test_a_torn_session(recording: Any, mockrec: Mockrec, path: Path) -> None:
    path.write_bytes(recording.start().exchange(A).data[:-5])
    done = mockrec("verify", path)
    assert done.code == 1
    assert done.lines == [
        f"{path}: cut off: 3 records, 1 exchange",
        "  line 4 is cut off",
        "  1 exchange without an end",
    ]


def test_a_session_that_breaks_a_guarantee(recording: Any, mockrec: Mockrec, path: Path) -> None:
    recording.start().exchange(A)
    recording.add("response", A)
    recording.end().write(path)
    done = mockrec("verify", path)
    assert done.code == 1
    assert done.lines == [
        f"{path}: not complete: 6 records, 1 exchange",
        f"  line 5: response: {A} has ended before, with response",
    ]


def test_a_bad_line_is_one_finding_among_others(recording: Any, mockrec: Mockrec, path: Path) -> None:
    data = recording.start().exchange(A).end().data
    path.write_bytes(data.replace(b"\n", b"\n{bad\n", 1))
    done = mockrec("verify", path)
    assert done.code == 1
    assert done.lines[0] == f"{path}: not complete: 5 records, 1 exchange"
    assert done.lines[1].startswith("  line 2: expected a record, found '{bad'")
    assert len(done.lines) == 2


def test_a_damaged_frame_ends_the_reading(recording: Any, mockrec: Mockrec, path: Path) -> None:
    frame = gzip.compress(recording.start().exchange(A).end().data)
    path.write_bytes(frame + b"no frame at all")
    done = mockrec("verify", path)
    assert done.code == 1
    assert done.lines[0] == f"{path}: not complete: 5 records, 1 exchange"
    assert done.lines[1].startswith(f"  the gzip frame at byte {len(frame)} is damaged: ")


def test_an_empty_file_is_not_complete(mockrec: Mockrec, path: Path) -> None:
    path.write_bytes(b"")
    done = mockrec("verify", path)
    assert (done.code, done.lines) == (1, [f"{path}: cut off: 0 records, 0 exchanges", NO_END])


def test_bodies_beside_the_session_are_checked(recording: Any, mockrec: Mockrec, path: Path) -> None:
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    recording.start().exchange(A, body={"size": 5, "file": f"2c/{digest}", "sha256": digest}).end().write(path)
    assert mockrec("verify", path).code == 1
    folder = path.with_name("s.jsonl.bodies")
    (folder / "2c").mkdir(parents=True)
    (folder / "2c" / digest).write_bytes(b"hello")
    assert mockrec("verify", path).code == 0
    (folder / "2c" / digest).write_bytes(b"HELLO")
    assert "the content is not what its hash says" in mockrec("verify", path).out


@pytest.mark.parametrize(("name", "word"), [("b.jsonl.gz", "line"), ("b.har", "record"), ("b.parquet", "record")])
def test_a_finding_names_the_line_or_where_there_are_none_the_record(
    recording: Any, mockrec: Mockrec, path: Path, name: str, word: str
) -> None:
    recording.start().exchange(A).add("response", A)
    recording.end().write(path)
    other = str(path.with_name(name))
    assert mockrec("filter", path, "-o", other).code == 0
    assert mockrec("verify", other).lines[1].startswith(f"  {word} 5: response: {A} has ended before")


def test_many_findings_are_told_when_asked(recording: Any, mockrec: Mockrec, path: Path) -> None:
    recording.start()
    for _ in range(25):
        recording.add("rules-reloaded", rules=5)
    recording.end().write(path)
    short, long = mockrec("verify", path), mockrec("verify", path, "-v")
    assert len(short.lines) == 1 + 20 + 1
    assert short.lines[-1] == "  … and 5 more"
    assert len(long.lines) == 1 + 25
    assert short.lines[:21] == long.lines[:21]


def test_findings_are_escaped(recording: Any, mockrec: Mockrec, path: Path) -> None:
    recording.start().exchange(A, tags=["x"], url="\x1b")
    recording.add("request-initiated", "\x1b\n")
    recording.end().write(path)
    done = mockrec("verify", path)
    assert len(done.lines) == 2
    assert r"  \x1b\n (request-initiated) has no end" in done.lines


def test_quiet_leaves_the_verdict(recording: Any, mockrec: Mockrec, path: Path, repaired: Path) -> None:
    recording.start().end().write(path)
    done = mockrec("verify", path, "-q", "--repair", repaired)
    assert (done.code, done.err) == (0, "")
    assert done.out == f"{path}: complete: 2 records, 0 exchanges\n"


def test_a_session_from_stdin(recording: Any, mockrec: Mockrec, monkeypatch: pytest.MonkeyPatch) -> None:
    data = recording.start().exchange(A).end().data
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    done = mockrec("verify", "-")
    assert (done.code, done.out) == (0, "stdin: complete: 5 records, 1 exchange\n")


def test_what_is_no_session_is_a_wrong_input(mockrec: Mockrec, path: Path) -> None:
    done = mockrec("verify", path)
    assert (done.code, done.out, done.err) == (2, "", f"mockrec: {path}: No such file or directory\n")


# ── repair ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_repaired_copy_of_a_torn_session_is_complete(
    recording: Any, mockrec: Mockrec, path: Path, repaired: Path
) -> None:
    recording.start().exchange(A)
    recording.add("request-initiated", B)
    whole = recording.data
    path.write_bytes(whole + b'{"seq":5,"ty')
    done = mockrec("verify", path, "--repair", repaired)
    assert done.code == 1
    assert done.err == f"repaired copy: {repaired}\n"
    copy = repaired.read_bytes()
    assert copy.startswith(whole)
    assert json.loads(copy.removeprefix(whole)) == {
        "seq": 5,
        "type": "session-ended",
        "timestamp": recording.records[-1]["timestamp"],
        "reason": "repaired",
        "counts": {"session-started": 1, "request-initiated": 2, "request": 1, "response": 1},
    }
    assert path.read_bytes() == whole + b'{"seq":5,"ty'
    again = mockrec("verify", repaired)
    assert (again.code, again.lines) == (
        0,
        [f"{repaired}: complete: 6 records, 2 exchanges", "  1 exchange without an end"],
    )


def test_a_repaired_copy_of_a_whole_session_is_the_same(
    recording: Any, mockrec: Mockrec, path: Path, repaired: Path
) -> None:
    recording.start().exchange(A).end().write(path)
    assert mockrec("verify", path, "--repair", repaired).code == 0
    assert repaired.read_bytes() == path.read_bytes()


def test_bad_lines_are_left_out_and_lines_kept_as_they_stand(
    recording: Any, mockrec: Mockrec, path: Path, repaired: Path
) -> None:
    first, *rest = recording.start().exchange(A).end().data.splitlines(keepends=True)
    odd = first.replace(b'":', b'" : ')
    path.write_bytes(odd + b"{bad\n\n" + b"".join(rest))
    assert mockrec("verify", path, "--repair", repaired).code == 1
    assert repaired.read_bytes() == odd + b"".join(rest)
    assert mockrec("verify", repaired).code == 0


def test_what_came_before_a_damaged_frame_is_kept(recording: Any, mockrec: Mockrec, path: Path, repaired: Path) -> None:
    whole = recording.start().exchange(A).data
    path.write_bytes(gzip.compress(whole) + b"no frame at all")
    assert mockrec("verify", path, "--repair", repaired).code == 1
    assert repaired.read_bytes().startswith(whole)
    assert mockrec("verify", repaired).code == 0


def test_a_copy_may_be_compressed_and_shared(recording: Any, mockrec: Mockrec, path: Path, tmp_path: Path) -> None:
    recording.start().exchange(A).end().write(path)
    out = tmp_path / "copy.jsonl.zst"
    assert mockrec("verify", path, "--repair", out, "--file-mode", "0640").code == 0
    assert zstandard.ZstdDecompressor().decompress(out.read_bytes()) == path.read_bytes()
    assert stat.S_IMODE(out.stat().st_mode) == 0o640


def test_a_copy_is_private(recording: Any, mockrec: Mockrec, path: Path, repaired: Path) -> None:
    recording.start().end().write(path)
    mockrec("verify", path, "--repair", repaired)
    assert stat.S_IMODE(repaired.stat().st_mode) == 0o600


def test_an_existing_file_is_overwritten_only_by_force(
    recording: Any, mockrec: Mockrec, path: Path, repaired: Path
) -> None:
    recording.start().end().write(path)
    repaired.write_bytes(b"precious")
    done = mockrec("verify", path, "--repair", repaired)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"mockrec: cannot write {repaired}: it exists already (--force overwrites it)\n"
    assert repaired.read_bytes() == b"precious"
    assert mockrec("verify", path, "--repair", repaired, "--force").code == 0
    assert repaired.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", ["s.jsonl", "link.jsonl"])
def test_the_session_itself_is_never_overwritten(recording: Any, mockrec: Mockrec, path: Path, name: str) -> None:
    data = recording.start().exchange(A).write(path).read_bytes()
    path.with_name("link.jsonl").symlink_to(path)
    done = mockrec("verify", path, "--repair", path.with_name(name), "--force")
    assert done.code == 2
    assert "it is the session itself" in done.err
    assert path.read_bytes() == data


def test_a_copy_does_not_go_among_the_findings(recording: Any, mockrec: Mockrec, path: Path) -> None:
    recording.start().write(path)
    done = mockrec("verify", path, "--repair", "-")
    assert (done.code, done.out) == (2, "")
    assert "name a file; stdout says what was found" in done.err


def test_a_copy_that_cannot_be_written(recording: Any, mockrec: Mockrec, path: Path) -> None:
    recording.start().write(path)
    done = mockrec("verify", path, "--repair", path / "out.jsonl")
    assert (done.code, done.out) == (3, "")
    assert done.err == f"mockrec: cannot write {path / 'out.jsonl'}: Not a directory\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_is_full(recording: Any, mockrec: Mockrec, path: Path) -> None:
    recording.start().write(path)
    done = mockrec("verify", path, "--repair", "/dev/full")
    assert (done.code, done.out) == (3, "")
    assert done.err == "mockrec: cannot write /dev/full: No space left on device\n"


def test_bodies_that_a_copy_needs_are_named(recording: Any, mockrec: Mockrec, path: Path, repaired: Path) -> None:
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    recording.start().exchange(A, body={"size": 5, "file": f"2c/{digest}", "sha256": digest}).end().write(path)
    done = mockrec("verify", path, "--repair", repaired)
    assert f"mockrec: warning: files in {path}.bodies belong to the session (1 references)" in done.err


def test_a_session_whose_seq_is_lost_gets_an_end_all_the_same(mockrec: Mockrec, path: Path, repaired: Path) -> None:
    path.write_bytes(b'{"type":"gap"}\n')
    assert mockrec("verify", path, "--repair", repaired).code == 1
    assert json.loads(repaired.read_bytes().splitlines()[-1]) == {
        "seq": 0,
        "type": "session-ended",
        "timestamp": "",
        "reason": "repaired",
        "counts": {"gap": 1},
    }


def test_an_empty_session_has_nothing_to_close(mockrec: Mockrec, path: Path, repaired: Path) -> None:
    path.write_bytes(b"{torn")
    assert mockrec("verify", path, "--repair", repaired).code == 1
    assert repaired.read_bytes() == b""


def test_the_help_shows_the_mode_as_people_write_it(mockrec: Mockrec) -> None:
    done = mockrec("verify", "--help")
    assert done.code == 0
    assert "0600" in done.out
    assert str(0o600) not in done.out


@pytest.mark.parametrize("by", ["s.parquet", "s.parquet.journal"])
def test_a_parquet_recording_that_was_cut_off_is_finished_in_its_place(
    recording: Any, mockrec: Mockrec, tmp_path: Path, by: str
) -> None:
    journal = tmp_path / "s.parquet.journal"
    journal.mkdir()
    (journal / "segment-000001.jsonl").write_bytes(recording.start().exchange().data + b'{"seq":4,"ty')
    done = mockrec("verify", tmp_path / by, "--repair", tmp_path / "s.parquet")
    assert done.code == 1
    assert "cut off: 4 records" in done.out
    assert done.err == f"repaired: {tmp_path / 's.parquet'}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["s.parquet"]
    assert mockrec("verify", tmp_path / "s.parquet").code == 0


def test_the_result_as_json(recording: Any, mockrec: Mockrec, path: Path) -> None:
    recording.start().exchange(A)
    recording.write(path)
    done = mockrec("verify", path, "--as", "json")
    found = json.loads(done.out)
    assert (done.code, found["complete"], found["verdict"]) == (1, False, "cut off")
    assert (found["exchanges"], found["records"]["response"], found["findings"]) == (1, 1, [])
