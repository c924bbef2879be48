"""Commands that read many sessions: the same result as with each of them named, and what cannot be read is skipped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mockrec.cli.__main__ import main

FORMATS = ("a.jsonl", "b.jsonl.zst", "c.har", "d.parquet", "e/")


@dataclass
class Done:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@pytest.fixture
def mockrec(capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Run a command line in this process; `filter` writes to the descriptor itself."""

    def run(*arguments: object) -> Done:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        return Done(code, *capfd.readouterr())

    return run


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the first test fills."""
    return tmp_path_factory.mktemp("made") / "ci"


@pytest.fixture
def names(kept: Path, recording: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of sessions of different formats, whose records are interleaved in time, in the current folder."""
    monkeypatch.chdir(tmp_path)
    if not kept.exists():
        kept.mkdir()
        for number, name in enumerate(FORMATS):
            given = session_of(type(recording)(), number).write(tmp_path / "given.jsonl")
            assert main(["filter", str(given), "-q", "-o", f"{kept}/{name}"]) == 0
            given.unlink()
    shutil.copytree(kept, "ci")
    return [f"ci/{name}" for name in FORMATS]


def session_of(recording: Any, number: int) -> Any:
    recording.start(sessionId=f"s{number}", rules=[{"id": "greet"}, {"id": f"idle{number}"}])
    for index in range(12):
        status = 500 if index == number else 200
        recording.exchange(
            f"e{number}-{index}", url=f"http://x.test/a/{index}", duration=float(index % 5), statusCode=status
        )
    recording.add("abort", f"gone{number}", matchedRuleId=None)
    recording.add("tls-client-error")
    return recording.end()


def damage(folder: Path) -> None:
    (folder / "bad.parquet").write_bytes(b"PAR1 and nothing else")
    (folder / "foreign.jsonl").write_text("no session\n", encoding="utf-8")


@pytest.mark.parametrize("given", ["ci", "ci/**", "c?/*", "@list"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("stats", "--json"),
        ("stats", "--json", "-w", "status >= 500"),
        ("stats", "--json", "-w", "type == abort"),
        ("filter",),
        ("filter", "-w", "status >= 500"),
        ("filter", "-w", "status >= 500", "--records"),
        ("filter", "-w", "duration > 2", "--limit", "3"),
        ("filter", "-w", "duration > 2", "--count"),
        ("filter", "-w", "duration > 2", "--fields", "id,url,status", "--as", "csv"),
        ("filter", "-w", "duration > 2", "--fields", "id", "--sort", "-duration", "--limit", "4"),
    ],
)
def test_a_pattern_gives_what_the_names_give(
    names: list[str], mockrec: Callable[..., Done], given: str, arguments: tuple[str, ...]
) -> None:
    Path("list").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    command, *options = arguments
    expected, found = mockrec(command, *names, *options), mockrec(command, given, *options)
    assert (found.code, found.err) == (expected.code, expected.err)
    assert with_derived(found.out) == with_derived(expected.out)


def with_derived(text: str) -> list[Any]:
    """The lines, without what the user has typed."""
    lines = []
    for line in text.splitlines():
        if line.startswith("{"):
            record = json.loads(line)
            record.get("derived", {}).pop("from", None)
            lines.append(json.dumps(record))
        else:
            lines.append(line)
    return lines


def test_first_records_say_the_pattern_not_a_thousand_names(names: list[str], mockrec: Callable[..., Any]) -> None:
    first = json.loads(mockrec("filter", "ci/**", "status >= 500").lines[0])
    assert first["derived"] == {"from": "ci/**", "expression": "status >= 500"}


@pytest.mark.parametrize("command", ["stats", "filter", "verify", "show"])
def test_what_cannot_be_read_is_named_and_skipped(
    names: list[str], mockrec: Callable[..., Any], command: str, tmp_path: Path
) -> None:
    whole = mockrec(command, "ci")
    damage(tmp_path / "ci")
    done = mockrec(command, "ci")
    # To `verify`, sessions of complete records of each type are not complete sessions.
    assert (whole.code, done.code) == ((1, 1) if command == "verify" else (0, 4))
    assert done.out == whole.out
    assert "skipped: ci/bad.parquet: this Parquet file cannot be read" in done.err
    assert "skipped: ci/foreign.jsonl: expected a mockrec session" in done.err
    assert command == "verify" or "2 sessions skipped" in done.err


@pytest.mark.parametrize("command", ["stats", "filter"])
def test_a_session_that_is_named_must_be_readable(
    names: list[str], mockrec: Callable[..., Any], command: str, tmp_path: Path
) -> None:
    damage(tmp_path / "ci")
    done = mockrec(command, *names, "ci/bad.parquet", "status >= 500")
    assert (done.code, done.out) == (2, "")


def test_nothing_of_a_session_that_is_damaged_further_on_is_counted(
    names: list[str], mockrec: Callable[..., Any], tmp_path: Path
) -> None:
    whole = mockrec("stats", "ci", "--json")
    data = (tmp_path / names[0]).read_bytes()
    (tmp_path / "ci" / "z.jsonl").write_bytes(data[: len(data) // 2] + b"\n7\n" + data[len(data) // 2 :])
    done = mockrec("stats", "ci", "--json")
    assert (done.code, done.out) == (4, whole.out)


def test_verify_names_the_incomplete_one(names: list[str], mockrec: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / names[0]
    path.write_bytes(path.read_bytes().rpartition(b'{"seq"')[0])
    done = mockrec("verify", "ci/*")
    assert done.code == 1
    assert [line.split(": ")[1] for line in done.lines if line.startswith("ci/")] == ["cut off"] + ["not complete"] * 4
    assert mockrec("verify", "ci/*", "--repair", "x.jsonl").code == 2


def test_a_pattern_that_matches_nothing(names: list[str], mockrec: Callable[..., Any]) -> None:
    done = mockrec("stats", "ci/*.none/*")
    assert (done.code, done.out) == (2, "")
    assert "ci/*.none/*: there is no session that it matches" in done.err


def test_an_expression_with_brackets_is_no_pattern(names: list[str], mockrec: Callable[..., Any]) -> None:
    done = mockrec("filter", *names, "header[host] exists or url ~ a*", "--count")
    assert done.code in (0, 2)
    assert "no session" not in done.err
    assert mockrec("filter", names[0], "query[x]==1", "--count").lines == ["0"]
