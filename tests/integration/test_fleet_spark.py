"""A cluster of processes gives what one machine gives, also if an executor is killed while it works."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from spark_cluster import PATIENCE, SparkCluster, spark_cluster

from mockrec.formats.parquet.sink import open_table_sink

SESSIONS = 40


def java_version() -> int:
    """Return the major version of the Java on PATH; 0 if there is none."""
    if shutil.which("java") is None:
        return 0
    done = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False, timeout=60)
    found = re.search(r'version "(\d+)', done.stderr)
    return int(found[1]) if found else 0


if importlib.util.find_spec("pyspark") is None or java_version() < 17:
    pytest.skip("Spark needs PySpark and Java 17", allow_module_level=True)

pytestmark = pytest.mark.timeout(900)  # seconds, for a machine that is far slower than usual


def session(number: int) -> bytes:
    """A session with 20 exchanges, of which one failed."""
    records: list[dict[str, Any]] = [{"type": "session-started", "schemaVersion": 1, "sessionId": f"s{number}"}]
    for index in range(20):
        common = {"id": f"e{number}-{index}", "method": "GET", "url": f"http://x.test/a/{index}"}
        status = 500 if index == number % 20 else 200
        records += [
            {"type": "request", **common, "body": {"size": index}},
            {"type": "response", **common, "statusCode": status, "duration": float(index * number % 37)},
        ]
    records.append({"type": "session-ended", "reason": "done", "counts": {}})
    stamp = "2026-01-01T00:00:{:02}.{:06}Z"
    lines = [{"seq": seq, "timestamp": stamp.format(number % 3, seq), **record} for seq, record in enumerate(records)]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sessions in `ci`: Parquet and JSON Lines, one that was cut off, and one that cannot be read."""
    top = tmp_path_factory.mktemp("fleet")
    for number in range(SESSIONS):
        place = top / "ci" / f"branch={('main', 'dev')[number % 2]}" / f"job={number // 2}"
        place.mkdir(parents=True)
        if number % 3:
            sink = open_table_sink(str(place / "s.parquet"))
            sink.write(session(number))
            sink.close()
        else:
            (place / "s.jsonl").write_bytes(session(number))
    (top / "ci" / "bad.parquet").write_bytes(b"PAR1 and nothing else")
    (top / "ci" / "cut.jsonl").write_bytes(session(SESSIONS)[:-200])
    return top


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkCluster]:
    with spark_cluster(tmp_path_factory.mktemp("spark")) as running:
        yield running


def begin(top: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mockrec.cli", *arguments]
    return subprocess.Popen(command, cwd=top, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(command: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Return exit code, output and messages."""
    out, err = command.communicate()
    return command.returncode, out, err


def both(top: Path, cluster: SparkCluster, *arguments: str) -> tuple[tuple[int, str, str], tuple[int, str, str]]:
    """Run a command on this machine and on the cluster."""
    there = begin(top, *arguments, f"--engine=spark={cluster.url}")
    return finish(begin(top, *arguments)), finish(there)


def test_filter(top: Path, cluster: SparkCluster) -> None:
    here, there = both(top, cluster, "filter", "ci", "status >= 500")
    assert there == here
    code, out, err = here
    assert code == 4
    assert sum(json.loads(line)["type"] == "response" for line in out.splitlines()) == SESSIONS + 1
    assert "skipped: ci/bad.parquet" in err
    assert "ci/cut.jsonl: the session was cut off" in err


def test_diff(top: Path, cluster: SparkCluster) -> None:
    here, there = both(top, cluster, "diff", "ci/branch=main", "ci/branch=dev")
    assert there == here
    assert here[0] == 1
    assert f"{SESSIONS // 2} pairs compared: {SESSIONS // 2} differ" in here[1]


def test_sql(top: Path, cluster: SparkCluster) -> None:
    query = "select branch, count(*) as n, max(duration) as slowest from exchanges group by branch order by branch nulls last"
    here, there = both(top, cluster, "sql", query, "ci", "--as=jsonl")
    assert there == here
    code, out, err = here
    assert code == 4
    assert [json.loads(line)["n"] for line in out.splitlines()] == [SESSIONS * 10, SESSIONS * 10, 20]
    assert "skipped: ci/bad.parquet" in err


def test_compact(top: Path, cluster: SparkCluster) -> None:
    common = ("compact", "ci/branch=*", "--part-size=64KiB", "-o")
    there = begin(top, *common, "there", f"--engine=spark={cluster.url}")
    code, _, err = finish(begin(top, *common, "here"))
    assert (code, err) == (0, err)
    assert finish(there) == (0, "", err.replace("here", "there"))
    made = sorted(path.relative_to(top / "here") for path in (top / "here").rglob("*.parquet"))
    assert len(made) > 2
    assert all((top / "here" / path).read_bytes() == (top / "there" / path).read_bytes() for path in made)


def test_statistics_survive_an_executor_that_is_killed(top: Path, cluster: SparkCluster) -> None:
    here = finish(begin(top, "stats", "ci", "--json"))
    running = cluster.executors()
    before = cluster.started_tasks()
    with begin(top, "stats", "ci", "--json", f"--engine=spark={cluster.url}") as command:
        end = time.monotonic() + PATIENCE
        while cluster.started_tasks() == before:
            assert command.poll() is None and time.monotonic() < end
            time.sleep(0.005)
        os.kill(running[0], signal.SIGKILL)
        there = finish(command)
    while not cluster.lost_executors():
        assert time.monotonic() < end + PATIENCE
        time.sleep(0.1)
    assert (there[0], there[2]) == (here[0], here[2])
    one, other = json.loads(here[1]), json.loads(there[1])
    # With fewer durations than a sketch has room for, its percentiles are values that were recorded.
    assert other.pop("latency")["max"] == one.pop("latency")["max"]
    for document in (one, other):
        for endpoint in document["endpoints"]:
            endpoint.pop("latency")
    assert other == one
