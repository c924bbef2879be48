"""What other programs do to a log while it is recorded: removed, replaced, cut, written to by a second recorder.

A log that is lost ends the run at once, with a sentence and exit code 3; what a second program would spoil is locked.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from waiting import until

from mockrec.formats.sessions.session import open_session

RULES = """
version: 1
rules:
  - {when: {path: /large}, then: {reply: {file: large}}}
  - {when: {method: GET}, then: {reply: {body: answer}}}
"""
LOGS = ["s.jsonl", "s.jsonl.gz", "s.jsonl.zst", "s.har", "s.parquet", "data"]
LARGE = 300_000


@pytest.fixture
def recording(recorder: Callable[..., Any], client: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Starts a run that has answered once."""

    def start(out: str, path: str = "/", *options: str | Path) -> Any:
        (tmp_path / "large").write_bytes(bytes(range(256)) * (LARGE // 256))
        if out == "data":
            (tmp_path / out).mkdir()
        running = recorder(RULES, *options, out=out)
        assert client(running.port).get(path).status == 200
        until(lambda: is_begun(running.log), "nothing is written")
        return running

    return start


def is_begun(log: Path) -> bool:
    """Whether the first records are on disk: it takes 50 ms from the first one, a frame up to a second."""
    if log.suffix == ".parquet" or log.name == "data":
        return any(place_of(log).rglob("segment-*"))
    return log.exists() and log.stat().st_size > 0


def place_of(log: Path) -> Path:
    """What is on disk while a log is recorded."""
    if log.suffix == ".parquet":
        return log.with_name(f"{log.name}.journal")
    return log


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def assert_said(running: Any, *words: str) -> None:
    """It ends by itself, says why, and says it once."""
    assert running.process.wait(20) == 3, running.stderr
    for word in (*words, "recording has stopped"):
        assert running.stderr.count(word) == 1, running.stderr
    assert "Traceback" not in running.stderr
    assert "defect" not in running.stderr


@pytest.mark.parametrize("out", LOGS)
def test_a_log_that_is_removed(recording: Callable[..., Any], eventually: Any, out: str) -> None:
    running = recording(out)
    eventually(place_of(running.log).exists, "there is no log")
    remove(place_of(running.log))
    assert_said(running, "was removed")


def test_a_har_that_is_removed_is_there_again(recording: Callable[..., Any], eventually: Any) -> None:
    """Its second copy has everything."""
    running = recording("s.har")
    eventually(lambda: b'"answer"' in running.log.read_bytes(), "nothing is shown")
    running.log.unlink()
    assert_said(running, f"what was recorded until then is in {running.log}")
    with open_session(running.log) as session:
        assert "response" in [record["type"] for _, record in session]
    assert [path.name for path in running.log.parent.glob(".s.har*")] == []


@pytest.mark.parametrize("out", ["s.jsonl", "s.jsonl.gz", "s.har"])
def test_a_log_that_is_replaced(recording: Callable[..., Any], tmp_path: Path, out: str) -> None:
    """By a rename over it, as editors and `sed -i` do. The file that is there now is not ours to touch."""
    running = recording(out)
    (tmp_path / "other").write_text("of another program")
    (tmp_path / "other").replace(running.log)
    assert_said(running, "was replaced by another file")
    assert running.log.read_text() == "of another program"


@pytest.mark.parametrize("out", ["s.jsonl", "s.jsonl.zst"])
def test_a_log_that_is_cut(recording: Callable[..., Any], eventually: Any, out: str) -> None:
    running = recording(out)
    eventually(lambda: running.log.stat().st_size > 0, "nothing is written")
    os.truncate(running.log, 0)
    assert_said(running, "was cut by another program")


def test_a_log_that_is_cut_while_much_is_written_has_no_hole(
    recording: Callable[..., Any], client: Callable[..., Any], eventually: Any
) -> None:
    """What is written after the cut stands at the file's new end, so that the next look finds it too short."""
    running = recording("s.jsonl")
    eventually(lambda: running.log.stat().st_size > 0, "nothing is written")
    os.truncate(running.log, 0)
    client(running.port).get("/")
    assert_said(running, "was cut by another program")
    assert b"\0" not in running.log.read_bytes()


def test_a_log_that_somebody_writes_to(recording: Callable[..., Any]) -> None:
    running = recording("s.jsonl")
    with running.log.open("ab") as file:
        file.write(b"a note of mine\n")
    assert_said(running, "was written to by another program")


def test_a_folder_of_bodies_that_is_removed(recording: Callable[..., Any], eventually: Any, tmp_path: Path) -> None:
    running = recording("s.jsonl", "/large")
    folder = tmp_path / "s.jsonl.bodies"
    eventually(folder.is_dir, "there is no folder of bodies")
    # Its path, or a body that is being written there at that moment, finds it first.
    shutil.rmtree(folder)
    assert_said(running, "s.jsonl.bodies: it was removed or renamed")


def test_a_folder_of_bodies_that_is_removed_from_workers(
    recording: Callable[..., Any], eventually: Any, tmp_path: Path
) -> None:
    running = recording("s.jsonl", "/large", "--workers", "2")
    folder = tmp_path / "s.jsonl.bodies"
    eventually(folder.is_dir, "there is no folder of bodies")
    folder.rename(tmp_path / "elsewhere")  # at once: workers still make files in it
    assert running.process.wait(20) == 3, running.stderr
    assert "s.jsonl.bodies: it was removed or renamed" in running.stderr


@pytest.mark.parametrize("out", ["s.jsonl", "s.jsonl.gz"])
def test_a_renamed_log_is_written_on(recording: Callable[..., Any], client: Callable[..., Any], out: str) -> None:
    running = recording(out)
    moved = running.log.with_name(f"moved-{out}")
    running.log.rename(moved)
    client(running.port).get("/after")
    assert running.stop(check=False).code == 0
    with open_session(moved) as session:
        urls = [record["url"] for _, record in session if record["type"] == "response"]
    assert [url.rpartition("/")[2] for url in urls] == ["", "after"]


def test_a_command_is_ended_when_the_log_is_removed(
    recorder: Callable[..., Any], program: Callable[..., Any], tmp_path: Path
) -> None:
    script = tmp_path / "suite.py"
    script.write_text(
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('asked to end', flush=True), sys.exit(5)))\n"
        "os.unlink('s.jsonl')\n"
        "time.sleep(60)\n"
    )
    done = program("run", "-o", "s.jsonl", "--", sys.executable, script)
    assert done.returncode == 125, done.stderr
    assert "s.jsonl: it was removed while it was being recorded" in done.stderr
    assert "asked to end" in done.stdout


# ── a second writer ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("out", LOGS)
def test_a_second_run_is_refused(
    recording: Callable[..., Any], program: Callable[..., Any], client: Callable[..., Any], out: str
) -> None:
    running = recording(out)
    done = program("run", "-o", running.log, "--force", "--port", "0")
    assert done.returncode == 2, done.stderr
    assert "is writing it" in done.stderr
    if sys.platform == "linux":
        assert f"process {running.pid} is writing it" in done.stderr
    client(running.port).get("/after")
    assert running.stop(check=False).code == 0
    with open_session(running.log) as session:
        urls = [record["url"] for _, record in session if record["type"] == "response"]
    assert [url.rpartition("/")[2] for url in urls] == ["", "after"]
    assert program("verify", running.log).returncode == 0


@pytest.mark.parametrize("out", ["s.jsonl", "s.har", "s.parquet"])
def test_no_other_command_writes_over_what_is_recorded(
    recording: Callable[..., Any], program: Callable[..., Any], tmp_path: Path, out: str
) -> None:
    other = tmp_path / "other.jsonl"
    assert program("run", "-o", other, "--stop-after", "50ms", "--port", "0").returncode == 0
    running = recording(out)
    for command in (
        ("filter", other, "-o", running.log, "--force"),
        ("verify", other, "--repair", running.log, "--force"),
    ):
        done = program(*command)
        assert done.returncode == 2, (command, done.stderr)
        assert "is writing it" in done.stderr, (command, done.stderr)
    assert running.stop(check=False).code == 0
    assert program("verify", running.log).returncode == 0


def test_nothing_is_emptied_when_one_of_several_outputs_is_taken(
    recording: Callable[..., Any], program: Callable[..., Any], tmp_path: Path
) -> None:
    running = recording("s.jsonl")
    (tmp_path / "a.jsonl").write_text("precious")
    done = program("run", "-o", tmp_path / "a.jsonl", "-o", running.log, "--force", "--port", "0")
    assert done.returncode == 2, done.stderr
    assert (tmp_path / "a.jsonl").read_text() == "precious"
    done = program("run", "-o", running.log, "--port", "0")
    assert "--force" not in done.stderr, "which would not help"
    assert running.stop().code == 0


def test_a_killed_recorder_holds_nothing(recording: Callable[..., Any], program: Callable[..., Any]) -> None:
    for out in ("s.jsonl", "s.har"):
        running = recording(out)
        running.process.kill()
        running.process.wait()
        done = program("run", "-o", running.log, "--force", "--stop-after", "50ms", "--port", "0")
        assert done.returncode == 0, done.stderr


def test_two_that_start_at_once_are_not_both_let_in(program: Callable[..., Any], tmp_path: Path) -> None:
    """Whoever reads a log for a moment does not keep its recorder out."""
    log = tmp_path / "s.jsonl"
    assert program("run", "-o", log, "--stop-after", "50ms", "--port", "0").returncode == 0
    until(lambda: program("run", "-o", log, "--force", "--stop-after", "50ms", "--port", "0").returncode == 0)


# ── readers ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("out", ["s.jsonl", "s.jsonl.gz", "s.har", "s.parquet", "data"])
def test_what_is_still_recorded_is_not_cut_off(
    recording: Callable[..., Any], program: Callable[..., Any], tmp_path: Path, out: str
) -> None:
    """And readers are not kept out."""
    running = recording(out)
    done = program("verify", running.log)
    assert done.returncode == 1
    assert f"{running.log}: still being recorded: " in done.stdout
    assert "cut off" not in done.stdout
    for command in (("show", running.log), ("filter", running.log, "--count"), ("stats", running.log)):
        done = program(*command)
        assert done.returncode == 0, done.stderr
        assert "is still being recorded" in done.stderr, done.stderr
        assert "cut off" not in done.stderr
    done = program("diff", running.log, running.log)
    assert done.returncode == 0
    assert "is still being recorded" in done.stderr
    done = program("verify", running.log, "--repair", tmp_path / "repaired.jsonl")
    assert done.returncode == 2
    assert "is writing it" in done.stderr
    assert not (tmp_path / "repaired.jsonl").exists()
    assert running.stop(check=False).code == 0
    assert program("verify", running.log).returncode == 0
