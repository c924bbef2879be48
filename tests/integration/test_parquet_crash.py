"""`kill -9` of a recorder, or of its helper, while segments become rows: nothing that was written is lost.

A program writes to the sink as the recorder's writer does, with segments so small that the helper is always at
work, and says after each batch what has been handed over. It, or the helper, is killed at a random batch.
`MOCKREC_KILLS=50` asks for more of them.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest

from mockrec.formats.sessions.session import open_session

KILLS = int(os.environ.get("MOCKREC_KILLS", "6"))
BATCHES = 120
RECORDS = 5
"""In a batch."""

WRITER = """
import os, sys, time, orjson
from mockrec.formats.parquet import journal
path, batches, records = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
journal.SEGMENT_RECORDS = 20
sink = journal.open_journal_sink(path)
seq = 0
for batch in range(batches):
    lines = b""
    for _ in range(records):
        record = {"seq": seq, "type": "rule-event", "timestamp": "2026-01-01T00:00:00.000000Z", "id": f"{seq // 3:x}",
                  "requestId": f"{seq // 3:x}", "ruleId": "r", "eventType": "note", "eventData": {"n": seq}}
        if seq == 0:
            record = {"seq": 0, "type": "session-started", "timestamp": "2026-01-01T00:00:00.000000Z",
                      "schemaVersion": 1, "mockrecVersion": "0", "sessionId": "s", "startTime": 0.0, "startTimestamp": 0.0,
                      "events": ["rule-event"]}
        lines += orjson.dumps(record) + b"\\n"
        seq += 1
    sink.write(lines)
    sink.sync_point(batch * 50.0)
    while seq > 2 * journal.SEGMENT_RECORDS and not sink._helper.pid:
        time.sleep(0.001)  # the helper is begun by a thread, and the recorder is not to be through before that
    os.write(1, f"{seq} {sink._helper.pid or 0}\\n".encode())
sink.close()
os.write(1, b"closed 0\\n")
"""


class Writer:
    """The program, step by step."""

    def __init__(self, path: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WRITER, path, str(BATCHES), str(RECORDS)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.handed = 0
        self.helper = 0

    def step(self) -> bool:
        """One more batch was handed over; False at the end."""
        assert self.process.stdout is not None
        word, _, helper = self.process.stdout.readline().decode().strip().partition(" ")
        if not word.isdecimal():
            return False
        self.handed, self.helper = int(word), int(helper) or self.helper
        return True

    def end(self) -> int:
        """The exit code; the rest of what it said is taken."""
        while self.step():
            pass
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            said = pipe.read()
            pipe.close()
        self.said = said.decode()
        return self.process.wait()


def seqs(path: str | Path) -> list[int]:
    with open_session(path) as session:
        return [record["seq"] for _, record in session]


def output(tmp_path: Path, kind: str) -> str:
    return f"{tmp_path}/s.parquet" if kind == "file" else f"{tmp_path}/s/"


@pytest.mark.parametrize("kind", ["file", "data set"])
@pytest.mark.parametrize("seed", range((KILLS + 1) // 2))
def test_a_recorder_that_is_killed(tmp_path: Path, program: Callable[..., Any], seed: int, kind: str) -> None:
    path = output(tmp_path, kind)
    writer = Writer(path)
    for _ in range(random.Random(seed).randint(1, BATCHES)):
        assert writer.step()
    # It is ahead of what we have read, and may even have told its helper that this was the end.
    writer.process.send_signal(signal.SIGKILL)
    writer.end()
    # Whatever the helper is doing, the session can be read, and all of it is there.
    read = seqs(path)
    assert read == list(range(len(read)))
    assert len(read) >= writer.handed
    done = program("verify", path, "--repair", path)
    assert "Traceback" not in done.stderr
    if done.returncode == 2:
        assert "it is the session itself" in done.stderr, "the helper has made the file"
        assert len(read) == BATCHES * RECORDS
    else:
        assert done.returncode == 1, done.stderr
        assert "cut off" in done.stdout
    repaired = seqs(path)
    assert repaired == list(range(len(repaired)))
    assert len(repaired) - len(read) in (0, 1), "and perhaps a session-ended"
    if len(read) < BATCHES * RECORDS:
        assert program("verify", path).returncode == 0
    assert_clean(tmp_path, kind, len(repaired))


@pytest.mark.parametrize("kind", ["file", "data set"])
@pytest.mark.parametrize("seed", range((KILLS + 1) // 2))
def test_a_helper_that_is_killed_is_replaced(tmp_path: Path, seed: int, kind: str) -> None:
    path = output(tmp_path, kind)
    writer = Writer(path)
    for _ in range(random.Random(seed).randint(2 + 2 * 20 // RECORDS, BATCHES)):
        assert writer.step()
    assert writer.helper > 0  # 0 would be all processes of the test run
    os.kill(writer.helper, signal.SIGKILL)
    assert writer.end() == 0, writer.said
    assert seqs(path) == list(range(BATCHES * RECORDS))
    assert_clean(tmp_path, kind, BATCHES * RECORDS)


def assert_clean(tmp_path: Path, kind: str, rows: int) -> None:
    """The tables are whole, and nothing else is left."""
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    if kind == "file":
        assert files == [Path("s.parquet")]
        assert pq.read_metadata(tmp_path / "s.parquet").num_rows == rows
        return
    assert {str(path.parent) for path in files} == {"s/events", "s/exchanges"}
    assert all(path.suffix == ".parquet" for path in files)
    assert pq.read_table(tmp_path / "s/events").num_rows == rows
    ids = pq.read_table(tmp_path / "s/exchanges").column("id").to_pylist()
    assert len(set(ids)) == len(ids), "each exchange is one row"
    lines = {orjson.dumps(row) for row in pq.read_table(tmp_path / "s/events").column("id").to_pylist() if row}
    assert {orjson.dumps(identity) for identity in ids} == lines
