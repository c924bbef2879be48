"""A session as a rule file: which rules, in which order, and the files beside it."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mockrec.engine.replay.to_rules.to_rules import Written, write_rules
from mockrec.engine.rules.language.load import load_rules
from mockrec.engine.rules.model import Rule
from mockrec.formats.schema.errors import OutputError, OutputExistsError

Write = Callable[..., Written]


@pytest.fixture
def write(recorded: Any, tmp_path: Path) -> Write:
    def make(name: str = "made.yaml", *, force: bool = False, file_mode: int = 0o600) -> Written:
        session = tmp_path / "a.jsonl"
        session.write_text("".join(json.dumps(record) + "\n" for _, record in recorded.records), encoding="utf-8")
        return write_rules(str(session), tmp_path / name, force=force, file_mode=file_mode)

    return make


@pytest.fixture
def rules(tmp_path: Path) -> Callable[[], list[Rule]]:
    """The rules of the file that was written."""

    def read() -> list[Rule]:
        data = (tmp_path / "made.yaml").read_bytes()
        loaded = load_rules(data, path="made.yaml", folder="/", read_file=lambda path: b"", env={})
        return [*loaded.rule_file.rules]

    return read


class Shop:
    def __init__(self, recorded: Any) -> None:
        self._recorded = recorded
        self._number = 0

    def exchange(
        self, path: str, answer: str = "", *, host: str = "shop.test", method: str = "GET", **fields: Any
    ) -> None:
        self._number += 1
        identity = str(self._number)
        head = {"method": method, "url": f"http://{host}{path}", "path": path, "rawHeaders": [["Host", host]]}
        self._recorded.add("request", identity, **head, **fields)
        body = {"size": len(answer), "text": answer}
        self._recorded.add("response", identity, statusCode=200, body=body)


@pytest.fixture
def shop(recorded: Any) -> Shop:
    return Shop(recorded)


def test_a_rule_for_each_request_in_its_order(shop: Shop, write: Write, rules: Any) -> None:
    shop.exchange("/b", "1")
    shop.exchange("/a")
    shop.exchange("/b", "2")
    shop.exchange("/b", "2")
    assert write().rules == 3
    assert [(rule.id, rule.when.expected["path"]) for rule in rules()] == [
        ("get-b", "/b"),
        ("get-b-2", "/b"),
        ("get-a", "/a"),
    ]


def test_what_asks_for_more_comes_first(shop: Shop, write: Write, rules: Any) -> None:
    shop.exchange("/a")
    shop.exchange("/a?x=1")
    shop.exchange("/a?x=1&y=2")
    write()
    assert [len(rule.when.expected.get("query", ())) for rule in rules()] == [2, 1, 0]
    assert rules()[2].when.expected["exactQuery"] == ""


def test_the_host_stands_where_it_tells_requests_apart(shop: Shop, write: Write, rules: Any) -> None:
    for host in ("a.test", "b.test"):
        shop.exchange("/same", host, host=host)
    shop.exchange("/only", host="a.test")
    write()
    assert [rule.when.expected.get("host") for rule in rules()] == ["a.test", "b.test", None]


def test_equal_bodies_are_one_file(shop: Shop, write: Write, tmp_path: Path) -> None:
    shop.exchange("/a", "x" * 5000)
    shop.exchange("/b", "x" * 5000)
    shop.exchange("/c", "y" * 5000)
    written = write(file_mode=0o640)
    assert (written.rules, written.files) == (3, 2)
    files = sorted((tmp_path / "made.files").iterdir())
    assert [file.name for file in files] == ["001-get-a.bin", "002-get-c.bin"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in (*files, tmp_path / "made.yaml")} == {0o640}


def test_what_is_left_out_or_marked_is_counted(shop: Shop, recorded: Any, write: Write) -> None:
    shop.exchange("/marked", "redacted-0123abcd")
    recorded.add("request", "x", method="GET", url="http://shop.test/cut", path="/cut")
    recorded.add("response", "x", statusCode=200, body={"size": 9, "text": "x", "truncated": True})
    written = write()
    assert (written.rules, written.marked, written.left_out.total()) == (1, 1, 1)
    assert written.reading is not None and written.reading.cut_off


def test_an_empty_session_is_an_empty_file(write: Write, rules: Any) -> None:
    assert write().rules == 0
    assert rules() == []


def test_nothing_is_written_over(shop: Shop, write: Write) -> None:
    shop.exchange("/a", "x" * 5000)
    write()
    with pytest.raises(OutputExistsError):
        write()
    assert write(force=True).rules == 1
    with pytest.raises(OutputError):
        write("none/made.yaml")


def test_header_fields_tell_recordings_apart(recorded: Any, write: Write, rules: Callable[[], list[Rule]]) -> None:
    for number, (asked, status) in enumerate([("bytes=0-3", 206), ("", 200), ("bytes=4-7", 206), ("bytes=0-3", 206)]):
        head = {"method": "GET", "url": "http://h/b", "path": "/b", "rawHeaders": [["Range", asked]] if asked else []}
        recorded.add("request", str(number), **head)
        recorded.add("response", str(number), statusCode=status, body={"size": 1, "text": str(number % 3)})
    write()
    found = rules()
    assert [one.when.expected.get("headers") for one in found] == [
        {"Range": "bytes=0-3"},
        {"Range": "bytes=4-7"},
        None,
    ]
