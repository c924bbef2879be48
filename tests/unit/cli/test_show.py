"""`mockrec show`: the list of what was recorded, and one exchange in full."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Show = Callable[..., Any]

A1 = "aaaaaaaa-1111-7000-8000-000000000000"
A2 = "aaaaaaaa-2222-7000-8000-000000000000"
B = "bbbbbbbb-0000-7000-8000-000000000000"
URL = "https://example.test/hello?a=b"


@pytest.fixture
def show(mockrec: Callable[..., Any], recording: Any, tmp_path: Path) -> Show:
    """Shows the recording."""

    def run(*arguments: object) -> Any:
        return mockrec("show", recording.write(tmp_path / "s.jsonl"), *arguments)

    return run


def cells(line: str) -> list[str]:
    return line.split()


# ── the list ───────────────────────────────────────────────────────────────────────────────────────


def test_a_line_for_each_exchange_under_a_header(recording: Any, show: Show) -> None:
    recording.start().exchange(A1).exchange(B, statusCode=404, matchedRuleId=None).end()
    done = show()
    assert done.code == 0
    assert [cells(line) for line in done.lines] == [
        ["STATUS", "METHOD", "URL", "DURATION", "RULE", "ID", "NOTE"],
        ["201", "POST", URL, "3.2ms", "greet", A1],
        ["404", "POST", URL, "3.2ms", B],
    ]
    assert done.err == "2 exchanges\n"
    starts = {
        line.index(text) + len(text) for line, text in zip(done.lines, ("DURATION", "3.2ms", "3.2ms"), strict=True)
    }
    assert len(starts) == 1, "durations are aligned to the right"


def test_what_else_was_recorded(recording: Any, show: Show) -> None:
    recording.start().exchange(A1)
    for kind in ("request-initiated", "abort"):
        recording.add(kind, A2)
    recording.add("websocket-close", "c")
    recording.add("client-error", "d")
    recording.add("tls-client-error", "e")
    recording.add("raw-passthrough-closed", "f")
    recording.add("gap")
    recording.add("request-initiated", B)
    recording.end()
    done = show()
    assert [" ".join(cells(line)[:2]) for line in done.lines[1:]] == [
        "201 POST",
        "400 abort",
        "101 POST",
        "400 error",
        "tls example.test",
        "tunnel example.test:443",
        "gap 3",
        "open POST",
    ]
    assert done.err == "2 exchanges, 1 abort, 1 error, 1 tls, 1 tunnel, 1 gap, 1 unfinished\n"


@pytest.mark.parametrize(
    ("code", "note"),
    [("ENOTFOUND", "dns: no such host"), ("ECONNREFUSED", "connect: refused"), ("ESTRANGE", "server: ESTRANGE")],
)
def test_a_failure_says_its_cause(recording: Any, show: Show, code: str, note: str) -> None:
    recording.start().exchange(A1, statusCode=502, tags=["a", f"passthrough-error:{code}"])
    recording.exchange(B).end()
    lines = show().out.splitlines()
    assert lines[1].endswith(f"{A1}  {note}")
    assert lines[2].endswith(B)


def test_an_empty_recording(recording: Any, show: Show) -> None:
    recording.start().end()
    done = show()
    assert (done.code, len(done.lines), done.err) == (0, 1, "no exchanges\n")


def test_the_list_as_json_lines(recording: Any, show: Show) -> None:
    recording.start().exchange(A1, matchedRuleId=None).end()
    done = show("--as", "json")
    assert [json.loads(line) for line in done.lines] == [
        {"type": "response", "id": A1, "statusCode": 201, "method": "POST", "url": URL, "duration": 3.25}
    ]


def test_control_characters_are_escaped(recording: Any, show: Show) -> None:
    evil = "\x1b[31m\n"
    recording.start().exchange(evil, method=evil, url=evil, matchedRuleId=evil)
    recording.add("abort", "x", error={"message": evil})
    recording.end()
    done = show()
    assert done.code == 0
    assert "\x1b" not in done.out
    assert done.out.count(r"\x1b[31m\n") == 5
    assert len(done.lines) == 3


def test_quiet_leaves_the_data(recording: Any, show: Show) -> None:
    recording.start().exchange(A1)
    done = show("-q")
    assert len(done.lines) == 2
    assert done.err == ""


# ── one exchange ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("prefix", ["b", "bbbb", B, B.upper(), "BBBB"])
def test_one_exchange_by_the_beginning_of_its_id(recording: Any, show: Show, prefix: str) -> None:
    recording.start().exchange(A1).exchange(B).end()
    done = show(prefix)
    assert done.code == 0
    assert done.lines[0].startswith(f"{B}  on connection ")
    assert [line for line in done.lines if "(seq " in line] == [
        "2024-01-01T00:00:00.000004Z  request-initiated  (seq 4)",
        "2024-01-01T00:00:00.000005Z  request  (seq 5)",
        "2024-01-01T00:00:00.000006Z  response  (seq 6)",
    ]
    assert done.err == ""


def test_one_exchange_as_its_records(recording: Any, show: Show) -> None:
    recording.start().exchange(A1).exchange(B).end()
    done = show("bb", "--as", "json")
    assert [json.loads(line) for line in done.lines] == recording.records[4:7]


def test_an_exchange_has_the_faults_that_broke_it(recording: Any, show: Show) -> None:
    recording.start().exchange(A1)
    recording.add("client-error", B, exchangeId=A1)
    recording.end()
    assert [json.loads(line)["type"] for line in show(A1, "--as", "json").lines] == [
        "request-initiated",
        "request",
        "response",
        "client-error",
    ]
    assert [json.loads(line)["type"] for line in show("b", "--as", "json").lines] == ["client-error"]


def test_a_beginning_of_several_ids_is_refused(recording: Any, show: Show) -> None:
    recording.start().exchange(A1).exchange(A2).exchange(B).end()
    done = show("aa")
    assert (done.code, done.out) == (2, "")
    first, *rest = done.err.splitlines()
    assert first.endswith("s.jsonl: 'aa' is the beginning of several ids:")
    assert rest == [f"  {A1}", f"  {A2}"]


@pytest.mark.parametrize(
    ("count", "last"),
    [(10, ["  a08", "  a09"]), (11, ["  a09", "  … and 1 more"]), (13, ["  a09", "  … and 3 more"])],
)
def test_only_some_of_many_candidates_are_named(recording: Any, show: Show, count: int, last: list[str]) -> None:
    recording.start()
    for number in range(count):
        recording.exchange(f"a{number:02}")
    assert show("a").err.splitlines()[-2:] == last


@pytest.mark.parametrize("order", [["a", "ab"], ["ab", "a"]])
def test_a_whole_id_is_never_the_beginning_of_another(recording: Any, show: Show, order: list[str]) -> None:
    recording.start()
    for identity in order:
        recording.exchange(identity)
    recording.end()
    done = show("a", "--as", "json")
    assert done.code == 0
    assert [json.loads(line)["id"] for line in done.lines] == ["a", "a", "a"]


@pytest.mark.parametrize("prefix", ["c", "", "\x1b"])
def test_an_id_that_is_not_there(recording: Any, show: Show, prefix: str) -> None:
    recording.start().exchange(A1).end()
    done = show(prefix)
    assert (done.code, done.out) == (2, "")
    shown = prefix.replace("\x1b", r"\x1b")
    assert done.err.endswith(f"s.jsonl: no id begins with '{shown}'; `mockrec show SESSION` lists them\n")


def test_bodies_are_taken_from_beside_the_session(recording: Any, show: Show, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"from beside").hexdigest()
    folder = tmp_path / "s.jsonl.bodies" / digest[:2]
    folder.mkdir(parents=True)
    (folder / digest).write_bytes(b"from beside")
    body = {"size": 11, "file": f"{digest[:2]}/{digest}", "sha256": digest}
    recording.start().exchange(A1, body=body).end()
    assert "      from beside" in show(A1).lines


# ── sessions that are not whole ────────────────────────────────────────────────────────────────────


def test_a_cut_off_session_is_shown_with_a_warning(recording: Any, show: Show) -> None:
    recording.start().exchange(A1)
    done = show()
    assert done.code == 0
    assert len(done.lines) == 2
    assert done.err.splitlines()[-1].endswith(
        "s.jsonl: the session was cut off: it has no session-ended record at its end"
    )
    assert "mockrec: warning: " in show(A1).err


def test_a_torn_line_is_a_warning(recording: Any, mockrec: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(recording.start().exchange(A1).data[:-10])
    done = mockrec("show", path)
    assert done.code == 0
    assert cells(done.lines[1])[0] == "open"
    assert "the session was cut off: line 4 is cut off" in done.err


def test_a_bad_line_is_an_error_after_what_came_before(
    recording: Any, mockrec: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(recording.start().exchange(A1).data + b"{bad\n" + recording.exchange(B).data)
    done = mockrec("show", path, "--as", "json")
    assert done.code == 2
    assert [json.loads(line)["id"] for line in done.lines] == [A1]
    assert done.err.startswith(f"mockrec: {path}:5: expected a record, found '{{bad' (")


# ── sources ────────────────────────────────────────────────────────────────────────────────────────


def test_a_session_from_stdin(recording: Any, mockrec: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    data = gzip.compress(recording.start().exchange(A1).end().data)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    done = mockrec("show", "-")
    assert done.code == 0
    assert len(done.lines) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file or directory"),
        (b"hello", "expected a mockrec session"),
        (b'{"log": [}', "this HAR is damaged at byte"),
        (b"PAR1", "this Parquet file cannot be read"),
        (b'{"type":"session-started","schemaVersion":9}', "written by a newer mockrec"),
    ],
)
def test_what_is_no_session_is_a_wrong_input(
    mockrec: Callable[..., Any], tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "s"
    if content is not None:
        path.write_bytes(content)
    done = mockrec("show", path)
    assert done.code == 2
    assert done.err.startswith(f"mockrec: {path}")
    assert message in done.err
