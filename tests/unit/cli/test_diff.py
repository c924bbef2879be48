"""`mockrec diff`: exit codes, reports on stdout and in files, what is said on stderr."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest


def session(path: Path, *statuses: int, ended: bool = True, body: str = "x\x1b[31m") -> Path:
    """A session with one call of /a for each status."""
    records: list[dict[str, Any]] = [{"type": "session-started", "schemaVersion": 1}]
    for number, status in enumerate(statuses):
        head = {"id": f"{path.stem}{number}", "method": "GET", "url": f"http://x.test/{'abc'[number]}", "tags": []}
        records.append({"type": "request", **head, "headers": {}, "body": {"size": 0, "text": ""}})
        answer = {"statusCode": status, "headers": {}, "body": {"size": len(body), "text": body}, "duration": 1.0}
        records.append({"type": "response", **head, **answer})
    if ended:
        records.append({"type": "session-ended", "reason": "finished"})
    path.write_text("".join(json.dumps({"seq": seq, **record}) + "\n" for seq, record in enumerate(records)))
    return path


@pytest.fixture
def same(tmp_path: Path) -> tuple[Path, Path]:
    return session(tmp_path / "a.jsonl", 200, 200), session(tmp_path / "b.jsonl", 200, 200)


@pytest.fixture
def other(tmp_path: Path) -> tuple[Path, Path]:
    return session(tmp_path / "a.jsonl", 200, 200), session(tmp_path / "b.jsonl", 200, 500, 200, body="y")


def test_nothing_changed(mockrec: Callable[..., Any], same: tuple[Path, Path]) -> None:
    done = mockrec("diff", *same)
    assert (done.code, done.err) == (0, "")
    assert done.lines[-1] == "no difference in 2 pairs"


def test_something_changed(mockrec: Callable[..., Any], other: tuple[Path, Path]) -> None:
    done = mockrec("diff", *other)
    assert done.code == 1
    assert "GET x.test/b" in done.lines
    assert "  breaking  status 200 → 500" in done.lines
    assert "x\\x1b[31m" in done.out
    assert "\x1b" not in done.out
    assert done.lines[-1].startswith("4 differences in 2 pairs; 1 exchange only in B; ")


def test_details_are_for_those_who_ask(mockrec: Callable[..., Any], other: tuple[Path, Path]) -> None:
    assert "GET http://x.test/b (A a1 B b1)" in mockrec("diff", *other, "-v").out
    assert "http://x.test/b" not in mockrec("diff", *other).out


def test_only_some_of_them(mockrec: Callable[..., Any], other: tuple[Path, Path]) -> None:
    assert mockrec("diff", *other, "--only", "path == /a").lines[-1] == "1 difference in 1 pair; 1 changed"
    assert mockrec("diff", *other, "--only", "path == /none").code == 0


def test_fail_on(mockrec: Callable[..., Any], tmp_path: Path) -> None:
    a, b = session(tmp_path / "a.jsonl", 200), session(tmp_path / "b.jsonl", 200, body="other")
    assert mockrec("diff", a, b).code == 1
    assert mockrec("diff", a, b, "--fail-on", "breaking").code == 0
    assert mockrec("diff", a, session(tmp_path / "c.jsonl"), "--fail-on", "breaking").code == 1


@pytest.mark.parametrize(
    ("shape", "begins"),
    [("text", "A  "), ("json", "{\n"), ("markdown", "## mockrec diff"), ("junit", "<?xml"), ("github", "::error ")],
)
def test_shapes(mockrec: Callable[..., Any], other: tuple[Path, Path], shape: str, begins: str) -> None:
    done = mockrec("diff", *other, "--as", shape)
    assert done.code == 1
    assert done.out.startswith(begins)


def test_reports_in_files(mockrec: Callable[..., Any], other: tuple[Path, Path], tmp_path: Path) -> None:
    names = [str(tmp_path / f"report.{ending}") for ending in ("json", "md", "xml", "txt")]
    options = [part for name in names for part in ("-o", name)]
    assert mockrec("diff", *other, *options).code == 1
    starts = [Path(name).read_text(encoding="utf-8")[:2] for name in names]
    assert starts == ["{\n", "##", "<?", "A "]
    assert Path(names[0]).stat().st_mode & 0o777 == 0o600
    again = mockrec("diff", *other, "-o", names[0])
    assert (again.code, "--force" in again.err) == (2, True)
    assert mockrec("diff", *other, "-o", names[0], "--force").code == 1


def test_a_report_is_the_next_baseline(mockrec: Callable[..., Any], other: tuple[Path, Path], tmp_path: Path) -> None:
    known = tmp_path / "known.json"
    mockrec("diff", *other, "-o", known)
    done = mockrec("diff", *other, "--baseline", known)
    assert done.code == 0
    assert "  5 accepted by the baseline" in done.lines


def test_rules(mockrec: Callable[..., Any], other: tuple[Path, Path], tmp_path: Path) -> None:
    file = tmp_path / "ignore.yaml"
    file.write_text("ignore:\n- {selector: count, endpoint: /c, reason: new}\n- {selector: close, reason: none}\n")
    done = mockrec("diff", *other, "--ignore", "status", "--ignore", "GET /* body", "--ignore-file", file)
    assert done.code == 0
    assert done.err.strip() == f"mockrec: warning: {file}: rule 2: nothing was ignored by close"


def test_a_recording_that_was_cut_off(mockrec: Callable[..., Any], same: tuple[Path, Path], tmp_path: Path) -> None:
    done = mockrec("diff", same[0], session(tmp_path / "c.jsonl", 200, 200, ended=False))
    assert done.code == 0
    assert "was cut off" in done.err
    assert mockrec("diff", same[0], tmp_path / "c.jsonl", "-q").err == ""


def test_from_stdin(mockrec: Callable[..., Any], same: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(same[1].read_bytes())))
    assert mockrec("diff", same[0], "-").code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("-", "-"),
        ("a.jsonl", "none.jsonl"),
        ("a.jsonl", "a.jsonl", "--noise", "none.jsonl"),
        ("a.jsonl", "a.jsonl", "--baseline", "none.json"),
        ("a.jsonl", "a.jsonl", "--ignore", "nothing"),
        ("a.jsonl", "a.jsonl", "--ignore-file", "none.yaml"),
        ("a.jsonl", "a.jsonl", "--map-host", "only-one"),
        ("a.jsonl", "a.jsonl", "-o", "report.pdf"),
        ("a.jsonl", "a.jsonl", "--only", "status =="),
        ("a.jsonl", "text.txt"),
        ("a.jsonl",),
    ],
)
def test_what_cannot_be_compared(
    mockrec: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    session(tmp_path / "a.jsonl", 200)
    (tmp_path / "text.txt").write_text("no session\n")
    done = mockrec("diff", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err


def test_options_reach_the_comparison(mockrec: Callable[..., Any], tmp_path: Path, monkeypatch: Any) -> None:
    from mockrec.formats.diff import comparison as compare

    seen: list[Any] = []
    real = compare.compare_sessions
    monkeypatch.setattr(compare, "compare_sessions", lambda *given: seen.append(given) or real(*given))
    path = session(tmp_path / "a.jsonl", 200)
    options = ("--requests", "--strict", "--timing", "--map-host", "A=b", "--pair-header", "X-Case", "--noise", path)
    assert mockrec("diff", path, path, *options).code == 0
    (_, _, chosen, _, noise) = seen[0]
    assert (chosen.requests, chosen.strict, chosen.timing) == (True, True, True)
    assert (chosen.map_host, chosen.pair_header, noise) == ({"a": "b"}, "x-case", str(path))


def saved_by_another_tool(path: Path) -> Path:
    """A HAR with an exchange that had to be repaired, and an entry that is left out."""
    request = {"method": "GET", "url": "http://x.test/a b"}
    good = {"startedDateTime": "2026-11-20T09:15:30Z", "request": request, "response": {"status": 204}}
    path.write_text(json.dumps({"log": {"entries": [good, {**good, "request": {"method": "GET", "url": "{{base}}"}}]}}))
    return path


def test_what_was_repaired_or_left_out_is_said_of_every_side(mockrec: Callable[..., Any], tmp_path: Path) -> None:
    a, b, again = (saved_by_another_tool(tmp_path / name) for name in ("a.har", "b c.har", "a2.har"))
    done = mockrec("diff", a, b, "--noise", again)
    assert done.code == 0
    problem = "entries[1] is left out: request.url is no HTTP URL: '{{base}}'"
    for letter, path, quoted in (("A", a, a), ("B", b, f"'{b}'"), ("A2", again, again)):
        assert f"mockrec: warning: {letter}, {path}: {problem}\n" in done.err
        assert (
            f"{letter}, {path}: repaired in 1 way while it was read; `mockrec verify {quoted}` says how\n" in done.err
        )
    assert f"  A: {problem}" in done.lines
    assert f"  B: {problem}" in done.lines


def test_no_command_is_told_for_what_came_from_a_pipe(
    mockrec: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = saved_by_another_tool(tmp_path / "a.har")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(a.read_bytes())))
    done = mockrec("diff", a, "-")
    assert "B, stdin: repaired in 1 way while it was read; `mockrec verify` of the file says how\n" in done.err
