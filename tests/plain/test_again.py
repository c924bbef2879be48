"""`mockrec replay` and `mockrec diff` on every format."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plain_install import FORMATS, LONG, ROOT, Run

HTTP = "path != /echo"
"""The server of these tests speaks no WebSocket."""


def test_the_requests_are_sent_again(
    mockrec: Run, exchanges: Callable[..., Any], server: Any, session: Path, tmp_path: Path
) -> None:
    server.targets.clear()
    mockrec(tmp_path, "replay", session, "--to", server.url, "--only", HTTP, "--pace", "max", "-o", "again.parquet")
    assert sorted(server.targets) == ["/hello", "/hello", "/long", "/nowhere", "/orders", "/orders", "/passed"]
    assert len(exchanges(tmp_path / "again.parquet")) == 7


def test_the_session_answers(serving: Callable[..., Any], session: Path, server: Any) -> None:
    server.targets.clear()
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with serving("replay", session, "--serve", "-o", "served.har") as url:
        for path, expected in {"/hello": b"Hello, GET", "/passed": b"GET /passed", "/long": b"x" * LONG}.items():
            with direct.open(url + path) as answer:
                assert answer.read() == expected
    assert server.targets == []


def test_the_session_becomes_rules(mockrec: Run, session: Path, tmp_path: Path) -> None:
    mockrec(tmp_path, "replay", session, "--to-rules", "rules.yaml")
    assert "/orders" in (tmp_path / "rules.yaml").read_text("utf-8")
    mockrec(tmp_path, "check", "rules.yaml")


def test_the_same_session_in_two_formats_does_not_differ(mockrec: Run, recorded: Path, session: Path) -> None:
    assert "no difference in 8 pairs" in mockrec(recorded, "diff", FORMATS[0], session).stdout


@pytest.mark.parametrize("shape", ["text", "json", "markdown", "junit", "github"])
def test_what_differs_is_said_in_every_shape(mockrec: Run, tmp_path: Path, shape: str) -> None:
    sessions = [ROOT / "samples" / "diff" / f"{name}.jsonl" for name in ("before", "after")]
    for number, session in enumerate(sessions):
        mockrec(tmp_path, "filter", session, "-o", f"{number}.parquet")
    assert mockrec(tmp_path, "diff", "0.parquet", "1.parquet", "--as", shape, code=1).stdout


def test_recorded_again_and_compared(mockrec: Run, record: Callable[..., None], recorded: Path, tmp_path: Path) -> None:
    record(tmp_path, "b.parquet")
    mockrec(tmp_path, "filter", recorded / "s/", "path != /hello", "-o", "a.har")
    report = json.loads(mockrec(tmp_path, "diff", "a.har", "b.parquet", "--as", "json", code=1).stdout)
    assert (report["summary"]["paired"], report["summary"]["onlyInB"]) == (6, 2)
    assert {found["kind"] for found in report["differences"]} == {"count"}
