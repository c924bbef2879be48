"""`mockrec report`, `diff --as html`, and the report that a run writes: arguments, files, what is said."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mockrec.formats.report import write


def unpacked(page: str | bytes) -> list[Any]:
    """The index and the blocks of a page."""
    text = page if isinstance(page, str) else page.decode()
    packed = re.findall(r'<script type="application/mockrec" id="[\w-]+">([^<]*)</script>', text)
    return [json.loads(zlib.decompress(base64.b64decode(one))) for one in packed]


@pytest.fixture
def session(recording: Any, tmp_path: Path) -> Path:
    recording.start()
    for number, status in enumerate((200, 404, 500)):
        recording.exchange(f"id-{number}", statusCode=status, body={"size": 6, "text": f"body-{number}"})
    path: Path = recording.end().write(tmp_path / "s.jsonl")
    return path


def test_a_report_of_a_session(mockrec: Callable[..., Any], session: Path, tmp_path: Path) -> None:
    done = mockrec("report", session, "-o", tmp_path / "r.html")
    assert (done.code, done.out) == (0, "")
    assert f"3 exchanges in {tmp_path}/r.html" in done.err
    index, late, details, bodies = unpacked((tmp_path / "r.html").read_bytes())
    assert index["table"]["status"] == [200, 404, 500]
    assert late["id"] == ["id-0", "id-1", "id-2"]
    assert [one["response"]["status"] for one in details] == [200, 404, 500]
    assert sorted(bodies) == ["body-0", "body-1", "body-2", "hello"]
    assert (tmp_path / "r.html").stat().st_mode & 0o777 == 0o600


def test_an_expression_selects(mockrec: Callable[..., Any], session: Path, tmp_path: Path) -> None:
    assert mockrec("report", session, "status >= 400", "-o", tmp_path / "r.html").code == 0
    assert unpacked((tmp_path / "r.html").read_bytes())[0]["table"]["status"] == [404, 500]


def test_several_sessions(mockrec: Callable[..., Any], session: Path, tmp_path: Path) -> None:
    mockrec("report", session, session, "-o", tmp_path / "r.html")
    table = unpacked((tmp_path / "r.html").read_bytes())[0]["table"]
    assert sorted(table["session"]) == [0, 0, 0, 1, 1, 1]
    assert table["names"]["session"] == [str(session)] * 2


def test_stdout(mockrec: Callable[..., Any], session: Path) -> None:
    done = mockrec("report", session, "-o", "-")
    assert unpacked(done.out)[0]["table"]["count"] == 3


def test_bodies_of_failures_come_first(mockrec: Callable[..., Any], session: Path, tmp_path: Path) -> None:
    done = mockrec("report", session, "-o", tmp_path / "r.html", "--bodies", "12B")
    index, late, _, bodies = unpacked((tmp_path / "r.html").read_bytes())
    assert bodies == ["hello", "body-2"]
    assert len(late["hashes"]) == index["bodies"]["omitted"] == 2
    assert "2 different bodies are shown by size and hash only (--bodies SIZE)." in done.err


def test_redact(mockrec: Callable[..., Any], recording: Any, tmp_path: Path) -> None:
    recording.start(redaction={"mode": "none"}).exchange(
        rawHeaders=[["Set-Cookie", "sid=the-secret-of-4711"]], headers={"set-cookie": ["sid=the-secret-of-4711"]}
    )
    path = recording.end().write(tmp_path / "s.jsonl")
    mockrec("report", path, "-o", tmp_path / "r.html", "--redact")
    assert "the-secret" not in str(unpacked((tmp_path / "r.html").read_bytes()))
    mockrec("report", path, "-o", tmp_path / "r.html", "--force")
    assert "the-secret" in str(unpacked((tmp_path / "r.html").read_bytes()))


def test_a_large_session_is_sampled(
    mockrec: Callable[..., Any], recording: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording.start()
    for number in range(300):
        recording.exchange(f"id-{number}", statusCode=500 if number % 100 == 7 else 200)
    path = recording.end().write(tmp_path / "s.jsonl")
    monkeypatch.setattr(write, "MOST_ROWS", 100)
    done = mockrec("report", path, "-o", tmp_path / "r.html")
    index = unpacked((tmp_path / "r.html").read_bytes())[0]
    assert index["table"]["count"] == 100
    assert index["table"]["status"].count(500) == 3
    assert index["summary"]["exchanges"] == 300
    assert "This report shows 100 of 300 exchanges: all 3 failures" in done.err


def test_a_report_that_would_be_too_large_shows_fewer(
    mockrec: Callable[..., Any], recording: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording.start()
    for number in range(600):
        recording.exchange(f"id-{number}", rawHeaders=[["X", f"{number * 7919:x}" * 40]])
    path = recording.end().write(tmp_path / "s.jsonl")
    monkeypatch.setattr(write, "MOST_BYTES", 20_000)
    mockrec("report", path, "-o", tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    packed = sum(map(len, re.findall(r'<script type="application/mockrec" id="[\w-]+">([^<]*)</script>', text)))
    assert packed <= 20_000
    assert unpacked(text)[0]["table"]["count"] >= 99


@pytest.mark.parametrize("name", ["r.txt", "r", "r.html.gz"])
def test_another_ending_is_refused(mockrec: Callable[..., Any], session: Path, tmp_path: Path, name: str) -> None:
    done = mockrec("report", session, "-o", tmp_path / name)
    assert done.code == 2
    assert "expected a name that ends in .html" in done.err


def test_an_existing_file_stays(mockrec: Callable[..., Any], session: Path, tmp_path: Path) -> None:
    (tmp_path / "r.html").write_text("mine")
    assert mockrec("report", session, "-o", tmp_path / "r.html").code == 2
    assert (tmp_path / "r.html").read_text() == "mine"
    assert mockrec("report", session, "-o", tmp_path / "r.html", "--force").code == 0


def test_what_is_no_session(mockrec: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text("no session\n")
    done = mockrec("report", tmp_path / "s.jsonl", "-o", tmp_path / "r.html")
    assert done.code == 2
    assert not (tmp_path / "r.html").exists()


def test_a_session_that_was_cut_off_is_shown_with_a_warning(
    mockrec: Callable[..., Any], recording: Any, tmp_path: Path
) -> None:
    path = recording.start().exchange().write(tmp_path / "s.jsonl")
    done = mockrec("report", path, "-o", tmp_path / "r.html")
    assert done.code == 0
    assert "the session was cut off" in done.err
    (problem,) = unpacked((tmp_path / "r.html").read_bytes())[0]["summary"]["problems"]
    assert "no session-ended record" in problem


def test_a_comparison(mockrec: Callable[..., Any], session: Path, recording: Any, tmp_path: Path) -> None:
    text = session.read_text().replace("body-1", "body-X").replace('"statusCode":500', '"statusCode":503')
    (tmp_path / "b.jsonl").write_text(text)
    done = mockrec("diff", session, tmp_path / "b.jsonl", "-o", tmp_path / "d.html")
    assert done.code == 1
    index, late, details, _ = unpacked((tmp_path / "d.html").read_bytes())
    findings = index["diff"]["findings"]
    assert [(one["severity"], one["kind"], one["a"], one["b"]) for one in findings] == [
        ("breaking", "status", "500", "503"),
        ("changed", "value", "body-1", "body-X"),
    ]
    a, b = findings[0]["rows"]
    assert (details[a]["response"]["status"], details[b]["response"]["status"]) == (500, 503)
    assert [index["table"]["names"]["session"][index["table"]["session"][row]] for row in (a, b)] == ["A", "B"]
    assert late["id"][a] == late["id"][b] == "id-2"
    assert index["table"]["count"] == 4  # the exchanges that differ, of both
    assert findings[0]["ignore"] == "POST /hello status"
    on_stdout = mockrec("diff", session, tmp_path / "b.jsonl", "--as", "html")
    assert unpacked(on_stdout.out)[0]["diff"]["headline"] == index["diff"]["headline"]


def test_what_the_page_offers_to_ignore_is_ignored(mockrec: Callable[..., Any], session: Path, tmp_path: Path) -> None:
    text = session.read_text().replace("body-1", "body-X").replace('"statusCode":500', '"statusCode":503')
    (tmp_path / "b.jsonl").write_text(text)
    mockrec("diff", session, tmp_path / "b.jsonl", "-o", tmp_path / "d.html")
    findings = unpacked((tmp_path / "d.html").read_bytes())[0]["diff"]["findings"]
    rules = [option for one in findings for option in ("--ignore", one["ignore"])]
    done = mockrec("diff", session, tmp_path / "b.jsonl", *rules, "-o", tmp_path / "e.html")
    assert done.code == 0
    assert unpacked((tmp_path / "e.html").read_bytes())[0]["diff"]["summary"]["ignored"] == 2
    accepted = [{"fingerprint": print_, "reason": "x"} for one in findings for print_ in one["fingerprints"]]
    (tmp_path / "base.json").write_text(json.dumps({"accepted": accepted}))
    assert mockrec("diff", session, tmp_path / "b.jsonl", "--baseline", tmp_path / "base.json").code == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-o", "none", "--report", "r.html"], "name one by -o"),
        (["-o", "-", "--report", "r.html"], "name one by -o"),
        (["-o", "s.jsonl", "--report", "r.txt"], "ends in .html"),
        (["-o", "s.jsonl", "--report", "-"], "stdout is for the recording"),
        (["-o", "s.jsonl", "--report", "there.html"], "--force overwrites it"),
        (["-o", "s.jsonl", "--report", "missing/r.html"], "its folder does not exist"),
    ],
)
def test_a_run_refuses_a_report_that_it_could_not_write(
    mockrec: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.html").write_text("mine")
    done = mockrec("run", *options, "--port", "0")
    assert done.code == 2
    assert words in done.err
    assert [file.name for file in tmp_path.iterdir()] == ["there.html"]
