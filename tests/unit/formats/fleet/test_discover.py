"""Folders, patterns and lists → sessions: each once, in order, with the files of a session taken together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mockrec.formats.fleet.discover import expand, is_many
from mockrec.formats.fleet.listing import Entry, groups_of
from mockrec.formats.schema.errors import SessionError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in (
        *("ci/a/main/1.jsonl", "ci/a/main/1.0002.jsonl", "ci/a/main/1.jsonl.bodies/ab/abcd", "ci/a/dev/2.har"),
        *("ci/b/main/set/events/part-000001.parquet", "ci/b/main/set/exchanges/part-000001.parquet"),
        *("ci/b/main/cut.parquet.journal/segment-000001.jsonl", "ci/README.md", "ci/.hidden/3.jsonl", "ci/odd.log"),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"{}\n")
    return tmp_path


ALL = ["ci/a/dev/2.har", "ci/a/main/1.jsonl", "ci/b/main/cut.parquet", "ci/b/main/set/"]


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("ci", ALL),
        ("ci/", ALL),
        ("ci/**", ALL),
        ("ci/*/main", ["ci/a/main/1.jsonl", "ci/b/main/cut.parquet", "ci/b/main/set/"]),
        ("ci/*/main/**", ["ci/a/main/1.jsonl", "ci/b/main/cut.parquet", "ci/b/main/set/"]),
        ("**/*.har", ["ci/a/dev/2.har"]),
        ("ci/*.log", ["ci/odd.log"]),
        ("ci/b/main/set", ["ci/b/main/set"]),
        ("ci/a/main/1.jsonl", ["ci/a/main/1.jsonl"]),
    ],
)
def test_what_an_argument_stands_for(here: Path, argument: str, expected: list[str]) -> None:
    assert expand([argument]) == expected


def test_a_session_that_two_arguments_name_is_read_once(here: Path) -> None:
    assert expand(["ci/**/*.jsonl", "ci/a/main/1.jsonl", "ci/a"]) == ["ci/a/main/1.jsonl", "ci/a/dev/2.har"]


@pytest.mark.parametrize("name", ["@list", "list.txt"])
def test_a_list_of_names(here: Path, name: str) -> None:
    text = "# of Monday\n\nci/a/main/1.jsonl\n  ci/b/**  \n"
    (here / name.removeprefix("@")).write_text(text, encoding="utf-8")
    assert is_many(name)
    assert expand([name]) == ["ci/a/main/1.jsonl", "ci/b/main/cut.parquet", "ci/b/main/set/"]


def test_a_log_with_the_name_of_a_text_file_is_no_list(here: Path) -> None:
    (here / "log.txt").write_text('{"seq":0}\n', encoding="utf-8")
    assert not is_many("log.txt")


@pytest.mark.parametrize("argument", ["ci/*.none", "nowhere/*", "ci/*/none", "empty"])
def test_nothing_is_found(here: Path, argument: str) -> None:
    (here / "empty").mkdir()
    with pytest.raises(SessionError, match="there is no session"):
        expand([argument])


def test_a_list_in_a_list_is_refused(here: Path) -> None:
    (here / "a").write_text("@a\n", encoding="utf-8")
    with pytest.raises(SessionError, match="cannot name another list"):
        expand(["@a"])


def test_tables_that_only_have_the_name_are_sessions_of_their_own() -> None:
    (group,) = groups_of([Entry("exchanges/s.parquet", 1)])
    assert group.path == "exchanges/s.parquet"


def test_grouping_takes_time_in_proportion(recording: Any) -> None:
    entries = [Entry(f"run/{number}/events/part-000001.parquet", 1) for number in range(20_000)]
    assert len(groups_of(entries)) == 20_000
