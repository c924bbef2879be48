"""`mockrec filter`: what is kept, how it is printed, and what is said of wrong use."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from mockrec.cli import filter_output
from mockrec.cli import progress as progress_module

A = "aaaaaaaa-1111-7000-8000-000000000000"
B = "bbbbbbbb-0000-7000-8000-000000000000"
C = "cccccccc-0000-7000-8000-000000000000"

Filter = Callable[..., Any]


@pytest.fixture
def session(recording: Any, tmp_path: Path) -> Path:
    recording.start().exchange(A, statusCode=200, duration=5.0)
    recording.exchange(B, statusCode=503, duration=812.5, matchedRuleId=None)
    recording.exchange(C, statusCode=404, duration=20.0)
    return recording.end().write(tmp_path / "s.jsonl")


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Filter:
    """Runs `mockrec filter` in this process, in the session's folder; its output goes to the descriptor itself."""
    from mockrec.cli.__main__ import main

    monkeypatch.chdir(tmp_path)

    class Outcome:
        def __init__(self, code: int, out: str, err: str) -> None:
            self.code, self.out, self.err = code, out, err
            self.lines = out.splitlines()

        @property
        def ids(self) -> list[tuple[str, str]]:
            records = map(json.loads, self.lines)
            return [(record["type"], record.get("id", "")[:1]) for record in records]

    def call(*arguments: object, command: str = "filter") -> Outcome:
        capfd.readouterr()
        code = main([command, *map(str, arguments)])
        return Outcome(code, *capfd.readouterr())

    return call


# ── sessions ───────────────────────────────────────────────────────────────────────────────────────


def test_the_whole_exchange_is_printed_unchanged(session: Path, run: Filter) -> None:
    done = run("s.jsonl", "status >= 500")
    assert (done.code, done.err) == (0, "")
    assert done.ids == [
        ("session-started", ""),
        ("request-initiated", "b"),
        ("request", "b"),
        ("response", "b"),
        ("session-ended", ""),
    ]
    assert done.lines[1:] == [session.read_text().splitlines()[place] for place in (4, 5, 6, 10)]


def test_the_first_record_says_where_it_comes_from_and_verify_accepts_the_holes(session: Path, run: Filter) -> None:
    assert run("s.jsonl", "status >= 500", "-o", "out.jsonl").err == "1 exchange written to out.jsonl\n"
    first = json.loads(Path("out.jsonl").read_text().splitlines()[0])
    assert first["derived"] == {"from": "s.jsonl", "expression": "status >= 500"}
    done = run("out.jsonl", command="verify")
    assert (done.code, done.lines[0]) == (0, "out.jsonl: complete: 5 records, 1 exchange")
    assert run("out.jsonl", "method == POST", "-o", "again.jsonl").code == 0
    first = json.loads(Path("again.jsonl").read_text().splitlines()[0])
    assert first["derived"] == {
        "from": "out.jsonl",
        "expression": "method == POST",
        "before": {"from": "s.jsonl", "expression": "status >= 500"},
    }
    assert run("again.jsonl", command="verify").code == 0


@pytest.mark.parametrize("name", ["out.jsonl.gz", "out.jsonl.zst", "out.jsonl"])
def test_without_an_expression_it_converts_without_a_change(session: Path, run: Filter, name: str) -> None:
    assert run("s.jsonl", "-o", name).code == 0
    done = run(name)
    assert done.out == session.read_text()
    assert Path(name).stat().st_mode & 0o777 == 0o600


def test_parquet_and_back(session: Path, run: Filter) -> None:
    assert run("s.jsonl", "-o", "out.parquet").err == "11 records written to out.parquet\n"
    assert list(map(json.loads, run("out.parquet").lines)) == list(map(json.loads, session.read_text().splitlines()))
    assert run("out.parquet", "status == 503").ids == run("s.jsonl", "status == 503").ids
    rows = ["--fields", "status,duration,header[accept]", "--as", "csv"]
    assert run("out.parquet", *rows).out == run("s.jsonl", *rows).out
    assert run("out.parquet", "status == 404", "-o", "less.parquet").code == 0
    assert run("less.parquet", command="verify").code == 0


def test_a_table_of_exchanges(session: Path, run: Filter) -> None:
    assert (
        run("s.jsonl", "status >= 400", "-o", "x.parquet", "--table", "exchanges").err
        == "2 exchanges written to x.parquet\n"
    )
    table = pyarrow.parquet.read_table("x.parquet")
    assert table.column("statusCode").to_pylist() == [503, 404]
    for output in ("x.jsonl", "folder/", "-"):
        assert "it is of Parquet files" in run("s.jsonl", "-o", output, "--table", "exchanges").err


def test_single_records(session: Path, run: Filter) -> None:
    done = run("s.jsonl", "status == 4xx", "--records", "-o", "out.jsonl")
    assert done.err == "1 record written to out.jsonl\n"
    assert [record["type"] for record in map(json.loads, Path("out.jsonl").read_text().splitlines())] == [
        "session-started",
        "response",
        "session-ended",
    ]
    assert run("out.jsonl", command="verify").code == 0


def test_several_sessions_are_merged_by_time(recording: Any, session: Path, run: Filter) -> None:
    other = type(recording)()
    other.start(sessionId="other", seq=0).exchange(C.replace("c", "d"), statusCode=503).end()
    for record in other.records:
        record["timestamp"] = record["timestamp"].replace("2024", "2023")
    other.write(Path("t.jsonl"))
    done = run("s.jsonl", "t.jsonl", "status == 503", "-o", "out.jsonl")
    assert done.err == "2 exchanges written to out.jsonl\n"
    records = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [record.get("id", "")[:1] for record in records] == ["", "d", "d", "d", "", "", "b", "b", "b", ""]
    assert {record["sessionId"] for record in records} == {"other", "01890a5d-0000-7000-8000-000000000000"}
    assert records[0]["derived"]["from"] == ["s.jsonl", "t.jsonl"]
    assert run("out.jsonl", command="verify").code == 0
    both = run("s.jsonl", "t.jsonl", "-o", "all.jsonl")
    assert both.code == 0
    assert run("all.jsonl", command="verify").code == 0


@pytest.mark.parametrize("expression", [["status"], []])
@pytest.mark.parametrize("out", ["out.jsonl", "out.har", "-"])
def test_bodies_that_are_lost_are_told_and_stop_nothing(
    recording: Any, run: Filter, keep: Callable[[Path, bytes], dict[str, Any]], out: str, expression: list[str]
) -> None:
    gone, damaged = (keep(Path("s.jsonl.bodies"), text) for text in (b"gone", b"damaged"))
    recording.start().exchange(A, body=gone).exchange(B, body=damaged).exchange(C, body={"size": 1, "text": "x"})
    recording.end().write(Path("s.jsonl"))
    Path("s.jsonl.bodies", gone["file"]).unlink()
    Path("s.jsonl.bodies", damaged["file"]).write_bytes(b"other")
    done = run("s.jsonl", *expression, "-o", out)
    assert done.code == 0
    lost = 1 if out == "out.jsonl" else 2  # a copy beside the new log is damaged like the first one
    assert f"warning: bodies beside the session that could not be taken along: {lost};" in done.err
    lines = done.lines if out == "-" else run(out).lines
    bodies = [record["body"] for record in map(json.loads, lines) if record["type"] == "response"]
    assert bodies == [gone, damaged, {"size": 1, "text": "x"}]


@pytest.mark.parametrize(("options", "stay"), [((), 0), (("status >= 500",), 0), (("--follow",), 1)])
def test_a_signal_takes_the_bodies_with_the_output(
    recording: Any, run: Filter, keep: Any, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], stay: int
) -> None:
    """But a session that is followed is ended by a signal, and so far it is whole."""
    body = keep(Path("s.jsonl.bodies"), b"x" * 300)
    recording.start().exchange(A, body=body, statusCode=500).end().write(Path("s.jsonl"))

    def interrupted(self: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(filter_output, "_warn_of_lost", interrupted)
    assert run("s.jsonl", *options, "-o", "out.jsonl").code == 130
    assert len([path for path in Path("out.jsonl.bodies").rglob("*") if path.is_file()]) == stay


def test_bodies_beside_the_log_go_along(
    recording: Any, run: Filter, keep: Callable[[Path, bytes], dict[str, Any]]
) -> None:
    body = keep(Path("s.jsonl.bodies"), b"x" * 300)
    recording.start().exchange(A, body=body, statusCode=500).exchange(B, body=keep(Path("s.jsonl.bodies"), b"other"))
    recording.end().write(Path("s.jsonl"))
    assert run("s.jsonl", "status == 500", "-o", "out.jsonl").code == 0
    assert [path.read_bytes() for path in Path("out.jsonl.bodies").rglob("*") if path.is_file()] == [b"x" * 300]
    assert run("out.jsonl", command="verify").code == 0
    printed = [json.loads(line) for line in run("s.jsonl", "status == 500").lines]
    assert printed[3]["body"] == {"size": 300, "sha256": body["sha256"], "text": "x" * 300}
    assert run("s.jsonl", "body contains xxx", "--count").out == "1\n"


@pytest.fixture
def keep() -> Callable[[Path, bytes], dict[str, Any]]:
    def into(folder: Path, data: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (folder / digest[:2]).mkdir(parents=True, exist_ok=True)
        (folder / digest[:2] / digest).write_bytes(data)
        return {"size": len(data), "file": f"{digest[:2]}/{digest}", "sha256": digest}

    return into


def test_stdin(session: Path, run: Filter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(session.read_bytes())))
    assert run("-", "status == 404").ids[1:4] == [("request-initiated", "c"), ("request", "c"), ("response", "c")]


def test_a_cut_off_session_is_a_warning(session: Path, run: Filter) -> None:
    session.write_bytes(session.read_bytes()[:-30])
    done = run("s.jsonl", "status == 404", "--count")
    assert (done.code, done.out) == (0, "1\n")
    assert done.err == "mockrec: warning: s.jsonl: the session was cut off: line 11 is cut off\n"
    assert run("s.jsonl", "status == 404", "--count", "-q").err == ""


# ── counts and rows ────────────────────────────────────────────────────────────────────────────────


def test_counts(session: Path, run: Filter) -> None:
    assert run("s.jsonl", "status", "--count").out == "3\n"
    assert run("s.jsonl", "status", "--count", "--limit", 2).out == "2\n"
    assert run("s.jsonl", "id", "--count", "--records").out == "9\n"
    assert run("s.jsonl", "--count").out == "3\n"
    assert run("s.jsonl", "--count", "--records").out == "11\n"
    assert run("s.jsonl", "-w", "status", "-e").code == 0
    assert run("s.jsonl", "status == 100", "--count", "-e").code == 1
    assert run("s.jsonl", "status == 100", "--count").code == 0


def test_a_table_of_fields(session: Path, run: Filter) -> None:
    done = run("s.jsonl", "--fields", "status,duration,rule,header[accept]")
    assert done.lines == [
        "STATUS  DURATION  RULE   HEADER[ACCEPT]",
        "   200     5.0ms  greet  text/html, */*",
        "   503     812ms  greet  text/html, */*",
        "   404    20.0ms  greet  text/html, */*",
    ]


def test_rows_as_csv_and_json_lines(session: Path, run: Filter) -> None:
    done = run("s.jsonl", "status >= 400", "--fields", "id,status,type,tag,json[a],ws.count", "--as", "csv")
    assert list(csv.reader(io.StringIO(done.out))) == [
        ["id", "status", "type", "tag", "json[a]", "ws.count"],
        [B, "503", "response", "slow", "", ""],
        [C, "404", "response", "slow", "", ""],
    ]
    done = run("s.jsonl", "status >= 400", "--fields", "id,status,close_code", "--as", "jsonl")
    assert [json.loads(line) for line in done.lines] == [{"id": B, "status": 503}, {"id": C, "status": 404}]
    done = run("s.jsonl", "status >= 400", "--as", "csv")
    assert done.lines[0] == "time,status,method,url,duration,rule"


def test_sorted_rows_and_the_first_of_them(session: Path, run: Filter) -> None:
    def ids(*more: object) -> list[str]:
        return [line[:1] for line in run("s.jsonl", "--fields", "id", "--as", "csv", *more).lines[1:]]

    assert ids("--sort", "duration") == ["a", "c", "b"]
    assert ids("--sort", "-duration", "--limit", 1) == ["b"]
    assert ids("--sort", "id") == ["a", "b", "c"]
    assert ids("--sort", "close_code") == ["a", "b", "c"]


def test_rows_of_records(session: Path, run: Filter) -> None:
    done = run("s.jsonl", "type startswith re", "--records", "--fields", "type,status", "--as", "csv", "--limit", 3)
    assert done.lines == ["type,status", "request-initiated,", "request,", "response,200"]


def test_rows_go_to_a_file_too(session: Path, run: Filter) -> None:
    assert run("s.jsonl", "--fields", "status", "--as", "csv", "-o", "rows.csv").out == ""
    assert Path("rows.csv").read_text() == "status\n200\n503\n404\n"


def test_what_came_from_the_wire_does_not_steer_the_terminal(recording: Any, run: Filter) -> None:
    recording.start().exchange(A, url="http://x/\x1b[31m\n").end().write(Path("s.jsonl"))
    for shape in ("table", "csv"):
        done = run("s.jsonl", "type == response", "--records", "--fields", "url", "--as", shape)
        assert "\x1b" not in done.out
        assert r"\x1b[31m" in done.out


# ── following ──────────────────────────────────────────────────────────────────────────────────────


def test_following_a_session_that_is_being_written(session: Path, run: Filter, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = session.read_bytes().splitlines(keepends=True)
    session.write_bytes(b"".join(lines[:3]) + lines[3][:10])
    rest = [lines[3][10:] + lines[4], b"".join(lines[5:7]), b"".join(lines[7:])]

    def write_on(_: float) -> None:
        with session.open("ab") as file:
            file.write(rest.pop(0))

    from mockrec.formats.select.follow import Follower

    original = Follower.__init__
    monkeypatch.setattr(Follower, "__init__", lambda self, path, plan: original(self, path, plan, wait=write_on))
    done = run("s.jsonl", "status >= 400", "--follow")
    assert done.ids[1:-1] == [(kind, name) for name in "bc" for kind in ("request-initiated", "request", "response")]
    assert rest == []


def test_a_follower_stops_at_its_limit(session: Path, run: Filter) -> None:
    done = run("s.jsonl", "status >= 400", "--follow", "--limit", 1, "--fields", "status", "--as", "csv")
    assert done.lines == ["status", "503"]


def test_a_table_that_is_followed_waits_for_no_other_row() -> None:
    from mockrec.cli.printing import table_lines

    taken = []

    def rows() -> Any:
        for number in range(3):
            taken.append(number)
            yield [str(number)]

    lines = table_lines(["N"], rows(), least=[4])
    assert [next(lines), next(lines)] == ["N", "0"]
    assert taken == [0]
    assert (next(lines), taken) == ("1", [0, 1])


def test_the_extension_decides_how_rows_are_written(session: Path, run: Filter) -> None:
    assert run("s.jsonl", "status >= 500", "-o", "x.csv").code == 0
    assert Path("x.csv").read_text().splitlines()[0] == "time,status,method,url,duration,rule"
    assert len(Path("x.csv").read_text().splitlines()) == 2
    assert run("s.jsonl", "--fields", "status", "-o", "x.jsonl").code == 0
    assert json.loads(Path("x.jsonl").read_text().splitlines()[0]) == {"status": 200}
    assert run("s.jsonl", "--fields", "status", "--as", "csv", "-o", "x.dat").code == 0
    assert Path("x.dat").read_text().splitlines()[0] == "status"


@pytest.mark.parametrize("name", ["x.xlsx", "x.jsno"])
def test_an_extension_that_stands_for_nothing_is_refused(session: Path, run: Filter, name: str) -> None:
    done = run("s.jsonl", "-o", name)
    assert done.code == 2
    assert "no format is called" in done.err
    assert not Path(name).exists()
    assert run("s.jsonl", "-o", name, "--format", "jsonl").code == 0


def test_rows_are_no_session(session: Path, run: Filter) -> None:
    assert run("s.jsonl", "--fields", "status", "-o", "x.har").code == 2
    assert not Path("x.har").exists()


# ── wrong use ──────────────────────────────────────────────────────────────────────────────────────


def test_a_wrong_expression_is_shown(session: Path, run: Filter) -> None:
    done = run("s.jsonl", "statuss >= 500")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "mockrec: filter: column 1: expected a field, found 'statuss' (did you mean status?); "
        "`mockrec filter --help` lists all\n"
        "  statuss >= 500\n  ^\n"
    )
    assert not Path("out.jsonl").exists()
    assert run("s.jsonl", "status", "--fields", "status,metod").err.endswith("  status,metod\n         ^\n")
    assert run("s.jsonl", "status", "--fields", "status method").code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.jsonl"], "missing.jsonl: No such file or directory"),
        (["s.jsonl", "missing.jsonl"], "missing.jsonl: there is no such session, and it is no filter expression"),
        (["missing.jsonl", "status"], "missing.jsonl: No such file or directory"),
        (["s.jsonl", "-w", "status", "other.jsonl"], "other.jsonl: No such file or directory"),
        (["s.jsonl", "status", "--sort", "status"], "it orders rows"),
        (["s.jsonl", "--count", "--fields", "status"], "it prints a number"),
        (["s.jsonl", "s.jsonl", "--follow"], "it reads one session"),
        (["s.jsonl", "-o", "s.jsonl", "--force"], "it is one of the sessions"),
        (["s.jsonl", "-o", "there.jsonl"], "there.jsonl: it exists already"),
        (["s.jsonl", "--limit", "-1"], "--limit"),
        (["s.jsonl", "status", "--format", "docx"], "docx"),
        (["bad.jsonl", "status"], "bad.jsonl:2: expected a record"),
        (["odd.jsonl", "-o", "odd.parquet"], "odd.jsonl:2: expected a record (number is infinity"),
        (["image.png", "status"], "expected a mockrec session"),
        (["s.jsonl", "ws.count > 1", "--records"], "is of exchanges"),
    ],
)
def test_wrong_use_is_exit_code_2(session: Path, run: Filter, arguments: list[str], said: str) -> None:
    Path("there.jsonl").write_text("precious")
    Path("bad.jsonl").write_text('{"type":"session-started"}\nnothing\n{"type":"session-ended"}\n')
    Path("odd.jsonl").write_text('{"type":"session-started"}\n{"type":"gap","x":1e400}\n{"type":"session-ended"}\n')
    Path("image.png").write_bytes(b"\x89PNG")
    done = run(*arguments)
    assert done.code == 2
    assert said in " ".join(done.err.split())
    assert Path("there.jsonl").read_text() == "precious"


def test_a_reader_that_goes_away_is_no_error(session: Path) -> None:
    program = [sys.executable, "-m", "mockrec.cli", "filter", str(session)]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(program, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_full_disk_is_said(session: Path) -> None:
    program = [sys.executable, "-m", "mockrec.cli", "filter", str(session)]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 3
    assert b"cannot write stdout" in done.stderr


# ── progress ───────────────────────────────────────────────────────────────────────────────────────


def test_progress_is_a_line_with_rate_and_rest(session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    written: list[str] = []
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(progress_module.printing, "progress_wanted", lambda: True)
    monkeypatch.setattr(progress_module.printing, "progress", written.append)
    size = session.stat().st_size
    progress = progress_module.Progress([str(session)], 2)
    progress(100)
    assert written == []
    now[0] += 2
    progress(size - 100)
    progress(1)
    assert written == [f"{size / 1024:.1f} KiB of {size * 2 / 1024:.1f} KiB, {size / 2048:.1f} KiB/s, 2.00s left"]
    progress.finish()
    assert written[-1] == ""


@pytest.mark.parametrize("name", ["s.jsonl.gz", "odd.zst", "s.har", "s.parquet", "set/", "odd"])
def test_progress_of_what_has_no_known_size(
    session: Path, run: Filter, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    written: list[str] = []
    monkeypatch.setattr(progress_module, "_AFTER", 0)
    monkeypatch.setattr(progress_module.printing, "progress_wanted", lambda: True)
    monkeypatch.setattr(progress_module.printing, "progress", written.append)
    assert run("s.jsonl", "-o", name, *(["--format", "har"] if name == "odd" else []), "-q").code == 0
    written.clear()
    progress_module.Progress([name], 2)(50)
    assert written[0].startswith("50 B, ")
    assert "left" not in written[0]


def test_a_pipe_into_filter(session: Path, tmp_path: Path, run: Filter) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(session.read_bytes()))
    writer.start()
    assert run(pipe, "status == 503").ids[1] == ("request-initiated", "b")
    writer.join()


def test_an_empty_expression_is_no_session(session: Path, run: Filter) -> None:
    done = run("s.jsonl", "")
    assert done.code == 2
    assert done.err.startswith("mockrec: filter: column 1: expected a test such as status >= 500, found nothing\n")


@pytest.mark.parametrize("name", ["p.har", "p.parquet", "set/"])
def test_only_json_lines_can_be_followed(session: Path, run: Filter, name: str) -> None:
    assert run("s.jsonl", "-o", name).code == 0
    done = run(name, "--follow")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        f"mockrec: {name}: only JSON Lines can be followed, also compressed: record with -o NAME.jsonl besides\n"
    )


@pytest.mark.parametrize("name", ["p.jsonl.gz", "p.jsonl.zst"])
def test_a_compressed_session_is_followed(session: Path, run: Filter, name: str) -> None:
    assert run("s.jsonl", "-o", name).code == 0
    rows = run("s.jsonl", "status >= 400", "--fields", "id,status")
    assert run(name, "status >= 400", "--fields", "id,status", "--follow").out == rows.out


@pytest.mark.parametrize("cut", [5, 300, -20])
def test_what_is_added_to_a_compressed_session(session: Path, run: Filter, cut: int) -> None:
    from mockrec.formats.select.follow import Follower

    assert run("s.jsonl", "-o", "p.jsonl.zst").code == 0
    whole, growing = Path("p.jsonl.zst").read_bytes(), Path("g.jsonl.zst")
    growing.write_bytes(whole[:cut])
    waited = []

    def grow(_: float) -> None:
        waited.append(growing.write_bytes(whole))

    raw = b"".join(kept.raw + b"\n" for kept in Follower(str(growing), None, wait=grow))
    assert raw == session.read_bytes()
    assert waited


def test_an_expression_without_quotes_is_told_so(session: Path, run: Filter) -> None:
    done = run("s.jsonl", "status", "==", "404")
    assert done.code == 2
    assert "'status == 404'" in done.err


def test_slashes_around_a_pattern(session: Path, run: Filter) -> None:
    assert "part of the pattern; without them: users/.*" in run("s.jsonl", "path ~ /users/.*/", "--count").err
    assert "pattern" not in run("s.jsonl", "path ~ /users/.*", "--count").err
    assert "without them: users/.*" in run("s.jsonl", "path ~ '/users/.*/'", "--count").err


# ── secrets ────────────────────────────────────────────────────────────────────────────────────────

KEY = "a-long-and-random-key"


@pytest.fixture
def redacted(session: Path, run: Filter, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A session with marks of `KEY`, in which the secrets below were."""
    rows = [json.loads(line) for line in session.read_bytes().splitlines()]
    for row in rows:
        if row.get("id") == A and row["type"] in ("request-initiated", "request"):
            row["headers"] = {"authorization": "Bearer tok-12345", "cookie": "sid=4711; theme=dark"}
            row["rawHeaders"] = [["Authorization", "Bearer tok-12345"], ["Cookie", "sid=4711; theme=dark"]]
            row["url"] = row["url"].partition("?")[0] + "?api_key=k-999&b=2"
        if row.get("id") == A and row["type"] == "request":
            row["body"] = {"size": 22, "text": '{"password":"hunter2"}'}
    plain = session.with_name("plain.jsonl")
    plain.write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows))
    monkeypatch.setenv("MOCKREC_REDACT_KEY", KEY)
    assert run("plain.jsonl", "--redact", "-o", "red.jsonl").code == 0
    assert not any(secret in Path("red.jsonl").read_text() for secret in ("tok-12345", "4711", "k-999", "hunter2"))
    return session.with_name("red.jsonl")


@pytest.mark.parametrize(
    "expression",
    [
        'header[authorization] == "Bearer tok-12345"',
        "header[authorization] contains tok-12345",
        "request.header[cookie] contains sid=4711",
        "cookie[sid] == 4711",
        "cookie[sid] in (1, 4711)",
        "not cookie[sid] != 4711 and cookie[sid]",
        "query[api_key] == k-999",
        "url contains api_key=k-999",
        "request.json[$.password] == hunter2",
        "request.body contains hunter2",
    ],
)
def test_a_secret_is_found_by_its_true_value(redacted: Path, run: Filter, expression: str) -> None:
    for place in ("red.jsonl", "red.parquet"):
        if not Path(place).exists():
            assert run("red.jsonl", "-o", place).code == 0
        assert run(place, expression, "--fields", "id", "--as", "csv").lines == ["id", A]
        assert run(place, expression.replace("4711", "4712").replace("2345", "2346"), "--count").err == ""


def test_a_secret_cannot_be_found_without_the_key(redacted: Path, run: Filter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOCKREC_REDACT_KEY")
    done = run("red.jsonl", "cookie[sid] == 4711 and status == 200", "--count")
    assert done.lines == ["0"]
    assert "1 exchange may match, but for values that redaction has replaced by marks; with the key" in done.err
    # The rest of the expression does not hold: no mark is to blame.
    assert run("red.jsonl", "cookie[sid] == 4711 and status == 500", "--count").err == ""
    monkeypatch.setenv("MOCKREC_REDACT_KEY", "another")
    assert "by marks of another key (" in run("red.jsonl", "cookie[sid] == 4711", "--count").err


def test_a_body_of_the_other_side_is_told(redacted: Path, run: Filter) -> None:
    done = run("plain.jsonl", "json[$.password] == hunter2", "--count")
    assert "as request.json[…] and request.body, 1 exchange would match" in done.err
    assert run("plain.jsonl", "json[$.password] == other", "--count").err == ""
    assert run("plain.jsonl", "request.json[$.password] == hunter2", "--count").lines == ["1"]


def test_a_path_with_its_query_is_what_the_log_has(redacted: Path, run: Filter) -> None:
    path = run("plain.jsonl", f"id == {A}", "--fields", "path,query", "--as", "csv").lines[1].replace(",", "?")
    assert path.endswith("?api_key=k-999&b=2")
    for expression in (
        f'path == "{path}"',
        "path endswith &b=2",
        "path contains ?api_key",
        f'path in ("/no", "{path}")',
    ):
        assert run("plain.jsonl", expression, "--fields", "id", "--as", "csv").lines == ["id", A], expression
    assert run("plain.jsonl", f'path != "{path}"', "--count").lines == ["2"]
    assert run("plain.jsonl", f'path == "{path}3"', "--count").lines == ["0"]


def test_a_name_with_placeholders(
    session: Path, mockrec: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOCKREC_SCOPE", "a/b")
    done = mockrec("filter", session, "-o", "out/scope={scope}/s.jsonl")
    assert (done.code, (tmp_path / "out/scope=a%2Fb/s.jsonl").is_file()) == (0, True), done.err
    done = mockrec("filter", session, "-o", "{nothing}.jsonl")
    assert done.code == 2
    assert "cannot write {nothing}.jsonl: {nothing} is no placeholder; there are " in done.err
    assert "{date}, {time}, {scope}" in done.err
