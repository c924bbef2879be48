"""Every command that reads, on every format: `session` is the recording in each."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from plain_install import FORMATS, LONG, PATHS, STATUSES, Run


def test_show(mockrec: Run, session: Path) -> None:
    shown = [json.loads(line) for line in mockrec(session.parent, "show", session, "--as", "json").stdout.splitlines()]
    assert [one["statusCode"] for one in shown] == list(STATUSES)
    listed = mockrec(session.parent, "show", session).stdout
    assert all(path in listed for path in PATHS)
    assert "Hello, GET" in mockrec(session.parent, "show", session, shown[0]["id"]).stdout


def test_stats(mockrec: Run, session: Path) -> None:
    counted = json.loads(mockrec(session.parent, "stats", session, "--json").stdout)
    assert counted["exchanges"] == len(PATHS)
    assert counted["statusCodes"] == {str(status): number for status, number in Counter(STATUSES).items()}
    assert "/orders" in mockrec(session.parent, "stats", session, "status < 300").stdout


def test_report(mockrec: Run, session: Path, tmp_path: Path) -> None:
    mockrec(tmp_path, "report", session, "-o", "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")


def test_verify(mockrec: Run, session: Path) -> None:
    records = (session.parent / FORMATS[0]).read_text("utf-8").count("\n")
    found = mockrec(session.parent, "verify", session).stdout
    assert f"complete: {records} records, {len(PATHS)} exchanges" in found


EXPRESSIONS = {
    "status >= 500": ["/nowhere"],
    "path == /orders and duration < 1h": ["/orders", "/orders"],
    "header[content-encoding] == br": ["/orders"],
    'json[$.id] == 7 or body ~ "^GET /pas+ed$"': ["/orders", "/orders", "/passed"],
    "not (status < 500) or rule == echo": ["/echo", "/nowhere"],
}


def test_filter(mockrec: Run, session: Path) -> None:
    for where, found in EXPRESSIONS.items():
        fields = ("--fields", "path,statusCode", "--as", "csv")
        rows = mockrec(session.parent, "filter", session, where, *fields).stdout
        assert [row["path"] for row in csv.DictReader(rows.splitlines())] == found
    assert mockrec(session.parent, "filter", session, "status == 201", "--count").stdout == "2\n"


def test_fields_of_every_kind(mockrec: Run, session: Path) -> None:
    fields = "seq,timestamp,method,url,statusCode,duration,tags,headers,body"
    for shape in ("table", "csv", "jsonl"):
        rows = mockrec(session.parent, "filter", session, "path == /hello", "--fields", fields, "--as", shape).stdout
        assert rows.count("/hello") == 2
    records = mockrec(session.parent, "filter", session, "type == response", "--records").stdout
    assert [json.loads(line)["statusCode"] for line in records.splitlines() if '"type":"response"' in line] == [
        status for status in STATUSES if status != 101
    ]


def test_a_table_of_exchanges(mockrec: Run, session: Path, tmp_path: Path) -> None:
    mockrec(tmp_path, "filter", session, "--table", "exchanges", "-o", "exchanges.parquet")
    assert pq.read_table(tmp_path / "exchanges.parquet").column("statusCode").to_pylist() == list(STATUSES)


def test_the_bodies_are_there(mockrec: Run, session: Path, tmp_path: Path) -> None:
    mockrec(tmp_path, "filter", session, "path == /long", "-o", "long.har")
    (entry,) = json.loads((tmp_path / "long.har").read_text("utf-8"))["log"]["entries"]
    assert entry["response"]["content"]["text"] == "x" * LONG


def test_every_format_becomes_every_other(
    mockrec: Run, exchanges: Callable[..., Any], recorded: Path, tmp_path: Path
) -> None:
    """From one to the next, all around: each is read and written by `filter`, and nothing is lost on the way."""
    before = mockrec(tmp_path, "filter", recorded / FORMATS[0], "-o", "-").stdout
    source = recorded / FORMATS[0]
    for name in (*FORMATS[1:], FORMATS[0]):
        mockrec(tmp_path, "filter", source, "-o", name)
        source = tmp_path / name
    after = mockrec(tmp_path, "filter", source, "-o", "-").stdout
    assert [json.loads(line) for line in after.splitlines()] == [json.loads(line) for line in before.splitlines()]
    assert exchanges(source) == list(zip(PATHS, STATUSES, strict=True))


@pytest.mark.parametrize("name", ["cut.jsonl", "cut.jsonl.gz", "cut.jsonl.zst", "cut.har"])
def test_what_was_cut_off_is_repaired(mockrec: Run, recorded: Path, tmp_path: Path, name: str) -> None:
    data = (recorded / name.replace("cut", "s")).read_bytes()
    (tmp_path / name).write_bytes(data[: -len(data) // 3])
    mockrec(tmp_path, "verify", name, "--repair", "whole.parquet", code=1)
    mockrec(tmp_path, "verify", "whole.parquet", code=0)
