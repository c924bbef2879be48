"""`mockrec diff` of two sets: what is paired, what is reported, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mockrec.formats.fleet.pairs import SessionPair, pair_sessions


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (
            ["m/run=1/job=x/s.parquet", "m/run=1/job=y/s.parquet"],
            ["b/run=9/job=y/t.jsonl", "b/run=9/job=z/t.jsonl"],
            [
                SessionPair("job=x", "m/run=1/job=x/s.parquet", None),
                SessionPair("job=y", "m/run=1/job=y/s.parquet", "b/run=9/job=y/t.jsonl"),
                SessionPair("job=z", None, "b/run=9/job=z/t.jsonl"),
            ],
        ),
        (
            ["s3://k/a/scope=u%252Fv/s.parquet?region=x"],
            ["b/shard=1/scope=u%2Fv/s.parquet", "b/scope=u%2Fv/s.parquet"],
            [
                SessionPair("scope=u/v", "s3://k/a/scope=u%252Fv/s.parquet?region=x", "b/scope=u%2Fv/s.parquet"),
                SessionPair("shard=1 scope=u/v", None, "b/shard=1/scope=u%2Fv/s.parquet"),
            ],
        ),
        (
            ["main/x/1.jsonl", "main/y/2.jsonl"],
            ["branch/7/x/1.har", "branch/7/y/2.har"],
            [
                SessionPair("x/1", "main/x/1.jsonl", "branch/7/x/1.har"),
                SessionPair("y/2", "main/y/2.jsonl", "branch/7/y/2.har"),
            ],
        ),
        (
            ["r/run=1/job=x/s", "r/run=2/job=x/s"],
            ["q/job=x/s"],
            [SessionPair("job=x", "r/run=1/job=x/s", "q/job=x/s"), SessionPair("job=x (2)", "r/run=2/job=x/s", None)],
        ),
    ],
)
def test_pairs(a: list[str], b: list[str], expected: list[SessionPair]) -> None:
    assert pair_sessions(a, b) == expected


@pytest.fixture
def folder(recording: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for side in ("main", "branch"):
        for job in ("x", "y", f"only-{side}"):
            one = type(recording)().start()
            status = 500 if (side, job) == ("branch", "y") else 200
            one.exchange("e", statusCode=status, statusMessage=None).end()
            path = tmp_path / side / f"job={job}" / f"{side}.jsonl"
            path.parent.mkdir(parents=True)
            one.write(path)
    return tmp_path


def test_a_report_for_each_pair_that_differs(folder: Path, mockrec: Callable[..., Any]) -> None:
    done = mockrec("diff", "main", "branch")
    assert done.code == 1
    assert "job=y\n" in done.out
    assert "job=x\n" not in done.out
    assert done.lines[-3:] == [
        "only in B: job=only-branch: branch/job=only-branch/branch.jsonl",
        "only in A: job=only-main: main/job=only-main/main.jsonl",
        "2 pairs compared: 1 differ; only in A: 1 session; only in B: 1 session",
    ]


def test_sets_that_are_the_same(folder: Path, mockrec: Callable[..., Any]) -> None:
    done = mockrec("diff", "main/job=x", "branch/job=[x]")
    assert (done.code, done.out, done.err) == (0, "1 pair compared: no differences\n", "")


def test_json_has_the_report_of_each_pair(folder: Path, mockrec: Callable[..., Any]) -> None:
    done = mockrec("diff", "main", "branch", "--as", "json", "-o", "r.json", "-o", "r.md")
    found = json.loads(done.out)
    assert found["summary"] == {"pairs": 2, "different": 1, "onlyInA": 1, "onlyInB": 1, "notCompared": 0}
    assert [pair["key"] for pair in found["pairs"]] == ["job=x", "job=y"]
    single = mockrec("diff", "main/job=y/main.jsonl", "branch/job=y/branch.jsonl", "--as", "json")
    assert found["pairs"][1]["report"] == json.loads(single.out)
    assert json.loads(Path("r.json").read_text("utf-8")) == found
    assert "## job=y" in Path("r.md").read_text("utf-8")


def test_a_session_that_cannot_be_read_is_named(folder: Path, mockrec: Callable[..., Any]) -> None:
    Path("branch/job=x/branch.jsonl").write_text("no session\n", encoding="utf-8")
    done = mockrec("diff", "main/job=x", "branch/job=x", "--as", "json")
    assert done.code == 1
    assert json.loads(done.out)["notCompared"][0]["session"] == "branch/job=x/branch.jsonl"
    assert "skipped: branch/job=x/branch.jsonl: expected a mockrec session" in done.err


@pytest.mark.parametrize("options", [("--as", "junit"), ("-o", "x.xml"), ("--noise", "main")])
def test_what_is_for_two_sessions_only(folder: Path, mockrec: Callable[..., Any], options: tuple[str, ...]) -> None:
    assert mockrec("diff", "main", "branch", *options).code == 2
