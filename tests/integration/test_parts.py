"""A session in several files: split at a size or an age, or renamed by others and begun again (SIGHUP)."""

from __future__ import annotations

import random
import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from waiting import until, until_logged, until_said

from mockrec.formats.sessions.session import open_session

RULES = """
version: 1
rules:
  - {when: {method: GET}, then: {reply: {body: answer}}}
"""
EXCHANGES = 150
"""More than 64 KiB of records."""


def records_of(path: Path) -> list[dict[str, Any]]:
    with open_session(path) as session:
        return [record for _, record in session]


def answered(records: list[dict[str, Any]]) -> list[str]:
    return [record["url"].rpartition("/")[2] for record in records if record["type"] == "response"]


def ask(client: Callable[..., Any], port: int, names: Any) -> list[str]:
    talk = client(port)
    for name in names:
        assert talk.get(f"/{name}").status == 200
    return [str(name) for name in names]


@pytest.fixture(params=["s.jsonl", "s.jsonl.gz", "s.jsonl.zst"])
def split(recorder: Callable[..., Any], client: Callable[..., Any], tmp_path: Path, request: Any) -> Path:
    """A session in three parts at least: the path of the first."""
    out: str = request.param
    running = recorder(RULES, "--rotate", "64KiB" if out == "s.jsonl" else "1s", out=out)
    second, third = (tmp_path / out.replace("s.", f"s.000{number}.") for number in (2, 3))
    names = iter(range(10_000))
    for part in (second, third):
        until(
            lambda part=part: bool(ask(client, running.port, [next(names) for _ in range(10)])) and part.exists(),
            f"{part.name} is never begun",
        )
    session = running.stop()
    assert session.code == 0
    assert answered(session.records) == [str(number) for number in range(len(answered(session.records)))]
    assert len(answered(session.records)) == next(names)
    return tmp_path / out


def test_parts_are_read_as_one_session(split: Path, program: Callable[..., Any], tmp_path: Path) -> None:
    records = records_of(split)
    assert [record["seq"] for record in records] == list(range(len(records)))
    started = [record for record in records if record["type"] == "session-started"]
    assert [record["part"] for record in started] == list(range(1, len(started) + 1))
    assert len({record["sessionId"] for record in started}) == 1
    ended = [record for record in records if record["type"] == "session-ended"]
    assert [record["reason"] for record in ended] == ["rotated"] * (len(started) - 1) + ["SIGINT"]
    count = len(answered(records))
    done = program("verify", split)
    assert (done.returncode, done.stdout) == (0, f"{split}: complete: {len(records)} records, {count} exchanges\n")
    parts = sorted(tmp_path.glob(f"s*{split.name.partition('.')[2]}"))
    assert len(parts) == len(started)
    for command in (("filter", split, "--count"), ("filter", *parts, "--count")):
        assert program(*command).stdout == f"{count}\n"
    assert f"{count} exchanges" in program("stats", *parts).stdout
    assert len(program("show", split, "--as", "json").stdout.splitlines()) == count
    assert len(program("filter", "--follow", split).stdout.splitlines()) == len(records)
    whole = tmp_path / "whole.jsonl"
    assert program("filter", *parts, "-o", whole).returncode == 0
    assert [orjson.loads(line) for line in whole.read_bytes().splitlines()] == records
    assert program("verify", whole).returncode == 0
    for name in ("whole.har", "whole.parquet"):
        assert program("filter", split, "-o", tmp_path / name).returncode == 0
        assert records_of(tmp_path / name) == records


def test_each_part_is_a_session(split: Path, program: Callable[..., Any], tmp_path: Path) -> None:
    second = tmp_path / split.name.replace("s.", "s.0002.")
    done = program("verify", second)
    assert done.returncode == 0, done.stdout
    assert re.match(
        re.escape(f"{second}: part 2 of a session: complete: ") + r"\d+ records, \d+ exchanges?\n", done.stdout
    )
    first = records_of(second)[0]
    assert (first["type"], first["part"]) == ("session-started", 2)
    assert first["rules"], "the rules are said again"


def test_a_part_that_is_missing_is_said(split: Path, program: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / split.name.replace("s.", "s.0002.")).unlink()
    done = program("verify", split)
    assert done.returncode == 1
    assert "it continues in part 2, which is not in its folder" in done.stdout
    assert "the session was cut off: it continues in part 2" in program("show", split).stderr


def test_parts_share_the_bodies(recorder: Callable[..., Any], client: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"0123456789" * 30_000)
    running = recorder(RULES.replace("body: answer", "file: large"), "--rotate", "1s", out="s.jsonl")
    second = tmp_path / "s.0002.jsonl"
    until(lambda: bool(ask(client, running.port, ["large"])) and second.exists(), "there is no second part")
    ask(client, running.port, ["large"])
    assert running.stop().code == 0
    with open_session(second) as session:
        assert session.bodies_folder == tmp_path / "s.jsonl.bodies"
    assert [path.name for path in tmp_path.glob("*.bodies")] == ["s.jsonl.bodies"]


@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
def test_a_recorder_killed_while_parts_change(
    recorder: Callable[..., Any], client: Callable[..., Any], tmp_path: Path, workers: tuple[str, ...]
) -> None:
    """All but the last part are complete, and no number is left out."""
    chance = random.Random(5)
    running = recorder(RULES, "--rotate", "64KiB", *workers, out="s.jsonl")
    until(
        lambda: bool(ask(client, running.port, range(EXCHANGES // 10))) and (tmp_path / "s.0002.jsonl").exists(),
        "there is no second part",
    )
    stop = threading.Event()
    loads = [threading.Thread(target=_ask_on, args=(client(running.port), stop)) for _ in range(2)]
    for load in loads:
        load.start()
    # The moment is random and nothing waits for it: this is no synchronisation.
    threading.Event().wait(chance.uniform(0.1, 0.5))
    running.process.kill()
    running.process.wait()
    stop.set()
    for load in loads:
        load.join()
    records = records_of(running.log)
    assert [record["seq"] for record in records] == list(range(len(records)))
    parts = sorted(tmp_path.glob("s.0*.jsonl"))
    for part in [tmp_path / "s.jsonl", *parts][:-1]:
        assert orjson.loads(part.read_bytes().splitlines()[-1])["reason"] == "rotated"


def _ask_on(talk: Any, stop: threading.Event) -> None:
    try:
        while not stop.is_set():
            talk.get("/")
    except (OSError, AssertionError, ValueError, IndexError):
        pass  # it was killed


@pytest.mark.parametrize("out", ["s.har", "s.parquet", "-", "s/"])
def test_only_json_lines_in_files_have_parts(program: Callable[..., Any], tmp_path: Path, out: str) -> None:
    if out == "s/":
        (tmp_path / "s").mkdir()
    done = program("run", "-o", out, "--rotate", "1h", "--port", "0")
    assert done.returncode == 2
    assert "only JSON Lines in files (.jsonl, .jsonl.gz, .jsonl.zst) can continue in a new file" in done.stderr


@pytest.mark.parametrize("asked", ["many", "10", "0s", "0", "1KiB", "10ms", "-5s", ""])
def test_what_is_no_size_and_no_time(program: Callable[..., Any], asked: str) -> None:
    done = program("run", "--rotate", asked, "--port", "0")
    assert done.returncode == 2
    assert "--rotate" in done.stderr


def test_parts_of_an_earlier_session_are_not_mixed_with_those_of_a_new_one(
    recorder: Callable[..., Any], program: Callable[..., Any], tmp_path: Path
) -> None:
    old = tmp_path / "s.0002.jsonl"
    old.write_text("precious\n")
    done = program("run", "-o", tmp_path / "s.jsonl", "--rotate", "1h", "--port", "0")
    assert done.returncode == 2
    assert f"{old}: it exists already" in done.stderr
    assert old.read_text() == "precious\n"
    running = recorder(RULES, "--rotate", "1h", "--force", out="s.jsonl")
    assert not old.exists()
    assert running.stop().code == 0


# ── renamed, and begun again ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
def test_a_renamed_log_is_begun_again_by_sighup(
    recorder: Callable[..., Any],
    client: Callable[..., Any],
    program: Callable[..., Any],
    tmp_path: Path,
    workers: tuple[str, ...],
) -> None:
    """As nginx does it, with the rules read again after that. What others made in its place is not overwritten."""
    running = recorder(RULES, *workers, out="s.jsonl")
    asked = ask(client, running.port, ["one"])
    moved = [tmp_path / f"s.jsonl.{number}" for number in (1, 2)]
    running.log.rename(moved[0])
    asked += ask(client, running.port, ["two"])
    until_logged(moved[0], "/two")
    running.process.send_signal(signal.SIGHUP)
    until_said(running, "rules reloaded")
    assert running.stderr.count(f"recording continues in a new {running.log}\n") == 1
    asked += ask(client, running.port, ["three"])
    until_logged(running.log, "/three")
    running.log.rename(moved[1])
    running.log.touch()  # as logrotate's `create` does
    running.process.send_signal(signal.SIGHUP)
    until(lambda: running.stderr.count("rules reloaded") == 2)
    asked += ask(client, running.port, ["four"])
    until_logged(running.log, "/four")
    running.log.rename(tmp_path / "s.jsonl.3")
    running.log.write_text("of another program")
    running.process.send_signal(signal.SIGHUP)
    until_said(running, "recording continues in the renamed file")
    asked += ask(client, running.port, ["five"])
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(20) == 0, running.stderr
    assert running.log.read_text() == "of another program"
    records = records_of(moved[0])
    assert sorted(answered(records)) == sorted(asked)  # workers hand over their records independently of each other
    assert [record["seq"] for record in records] == list(range(len(records)))
    assert program("verify", moved[0]).returncode == 0
    assert "part 2 of a session: complete" in program("verify", moved[1]).stdout


def test_a_log_that_has_its_name_is_not_begun_again(recorder: Callable[..., Any], client: Callable[..., Any]) -> None:
    running = recorder(RULES, out="s.jsonl")
    ask(client, running.port, ["one"])
    running.process.send_signal(signal.SIGHUP)
    until_said(running, "rules reloaded")
    session = running.stop()
    assert session.code == 0
    assert [record["type"] for record in session.records].count("session-started") == 1


def test_other_outputs_go_on_in_their_files(
    recorder: Callable[..., Any], client: Callable[..., Any], program: Callable[..., Any], tmp_path: Path
) -> None:
    """They hold the same records, with the end of one part and the beginning of the next among them."""
    others = [tmp_path / name for name in ("o.har", "o.jsonl.gz", "o.parquet")]
    running = recorder(RULES, *(word for path in others for word in ("-o", path)), out="s.jsonl")
    ask(client, running.port, ["one"])
    moved = tmp_path / "s.old.jsonl"
    running.log.rename(moved)
    running.process.send_signal(signal.SIGHUP)
    until_said(running, "rules reloaded")
    ask(client, running.port, ["two"])
    assert running.stop(check=False).code == 0
    records = records_of(moved)
    assert answered(records) == ["one", "two"]
    for path in others:
        assert records_of(path) == records
        assert program("verify", path).returncode == 0
