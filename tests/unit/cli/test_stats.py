"""`mockrec stats`: the page of numbers, its JSON form, and the filter."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def session(recording: Any, tmp_path: Path) -> Path:
    recording.start(rules=[{"id": "greet"}, {"id": "idle\x1b"}])
    for number in range(30):
        recording.exchange(
            f"e{number}",
            url=f"http://x.test/a{chr(97 + number % 25)}x/{number}",
            duration=float(number),
            statusCode=500 if number == 7 else 200,
        )
    recording.add("abort", "gone", matchedRuleId=None)
    recording.add("raw-passthrough-closed", "t")
    return recording.end().write(tmp_path / "s.jsonl")


def test_the_page(session: Path, mockrec: Callable[..., Any]) -> None:
    done = mockrec("stats", session, "--top", 3)
    assert (done.code, done.err) == (0, "")
    text = done.out
    assert text.startswith("31 exchanges, 94 records\nfrom 2024-01-01T00:00:00.000000Z to ")
    assert "status   2xx 29 · 4xx 1 · 5xx 1   (200: 29, 400: 1, 500: 1)" in text
    assert "latency  p50 14.0ms · p90 26.0ms · p99 29.0ms · max 29.0ms" in text
    assert "tunnels  30 B" in text
    assert "… and 23 more (--top shows more, --as json all)" in text
    assert "    2      1   7.0ms" not in text
    assert "    1  abort  ECONNRESET" in text
    assert "  30  greet" in text
    assert "   1  (no rule)" in text
    assert r"never used: idle\x1b" in text


@pytest.mark.parametrize("torn", [b"{", b'{"seq":10,"type":"session-en', b'{"seq":10}garbage'])
@pytest.mark.parametrize("exchanges", [1, 3, 30])
def test_a_torn_last_line_is_left_out(
    recording: Any, tmp_path: Path, mockrec: Callable[..., Any], exchanges: int, torn: bytes
) -> None:
    recording.start()
    for number in range(exchanges):
        recording.exchange(f"e{number}", duration=float(number))
    path = recording.write(tmp_path / "s.jsonl")
    expected = json.loads(mockrec("stats", path, "--json").out)
    path.write_bytes(path.read_bytes() + torn)
    done = mockrec("stats", path, "--json")
    assert done.code == 0
    assert json.loads(done.out) == expected
    assert "is cut off" in done.err


def test_json_has_everything(session: Path, mockrec: Callable[..., Any]) -> None:
    for flag in ("--json", "--as=json"):
        found = json.loads(mockrec("stats", session, flag).out)
        assert found["exchanges"] == 31
        assert found["status"] == {"2xx": 29, "4xx": 1, "5xx": 1}
        assert len(found["endpoints"]) == 26
        assert found["endpoints"][0] == {
            "method": "POST",
            "host": "x.test",
            "path": "/aax/{id}",
            "count": 2,
            "failed": 0,
            "status": {"2xx": 2},
            "latency": {"p50": 0.0, "p90": 25.0, "p99": 25.0, "max": 25.0},
            "ttfb": {"p50": 1.75, "p90": 1.75, "p99": 1.75, "max": 1.75},
            "bytes": 10,
        }
        assert found["slowest"][0] == {
            "id": "e29",
            "method": "POST",
            "url": "http://x.test/aex/29",
            "status": 200,
            "duration": 29.0,
        }
        assert found["errors"] == [{"type": "abort", "error": "ECONNRESET", "count": 1}]
        assert (found["rules"], found["unusedRules"], found["withoutRule"]) == (
            [{"id": "greet", "used": 30}],
            ["idle\x1b"],
            1,
        )


def test_only_what_matches_is_counted(session: Path, mockrec: Callable[..., Any]) -> None:
    assert json.loads(mockrec("stats", session, "status == 500", "--json").out)["exchanges"] == 1
    assert mockrec("stats", session, "statuss").code == 2
    assert mockrec("stats", session, session, "-w", "duration < 5", "--json").out.startswith('{"exchanges":12,')


def test_parquet_has_the_same_numbers(session: Path, tmp_path: Path, mockrec: Callable[..., Any]) -> None:
    table = tmp_path / "s.parquet"
    assert mockrec("filter", session, "-o", table).code == 0
    for expression in ("", "status == 500", "not status == 500"):
        more = [expression] if expression else []
        assert mockrec("stats", table, *more, "--json").out == mockrec("stats", session, *more, "--json").out


def test_an_empty_and_a_cut_off_session(tmp_path: Path, mockrec: Callable[..., Any]) -> None:
    path = tmp_path / "s.jsonl"
    path.write_text("")
    done = mockrec("stats", path)
    assert (done.code, done.lines[0]) == (0, "0 exchanges, 0 records")
    assert "was cut off" in done.err
    assert mockrec("stats", tmp_path / "missing").code == 2
