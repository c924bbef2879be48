"""F5: statistics, tables and checks of one large session, each against DuckDB's time for the same file where it has one.

Whole processes, in turn, so that both sides see the same machine. mockrec is the plain install, without NumPy or pandas;
DuckDB is that of the benchmark's own environment.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import sessions
from bench import Bench, BenchError, PeerMissing
from plain import plain_install
from rows import Row, Target

EXCHANGES = 233_000
ROUNDS = 3

_STATS = """
import duckdb, sys
source = sys.argv[1]
lines = "read_json(?, format='newline_delimited', columns={type: 'VARCHAR', timestamp: 'TIMESTAMP', id: 'VARCHAR', " \\
    "method: 'VARCHAR', url: 'VARCHAR', statusCode: 'INT', duration: 'DOUBLE', matchedRuleId: 'VARCHAR', " \\
    "body: 'STRUCT(size BIGINT)'})"
table, size = ("read_parquet(?)", "bodySize") if source.endswith(".parquet") else (lines, "body.size")
db = duckdb.connect()
db.execute(f"create temp table e as select type, timestamp, id, method, url, statusCode, duration, matchedRuleId, "
           f"{size} as bytes from {table}", [source])
for query in (
    "select type, count(*), min(timestamp), max(timestamp), sum(bytes) from e group by 1",
    "select statusCode, count(*) from e where type = 'response' group by 1",
    "select matchedRuleId, count(*) from e where type = 'response' group by 1",
    "select quantile_disc(duration, [0.5, 0.9, 0.99, 1]) from e where type = 'response'",
    "select method, regexp_extract(url, '//([^/]*)', 1), regexp_replace(regexp_extract(url, '//[^/?]*([^?]*)', 1), "
    "'/[0-9]+', '/{id}', 'g'), count(*), sum(bytes), quantile_disc(duration, [0.5, 0.9, 0.99, 1]) "
    "from e where type = 'response' group by all",
    "select id, url, duration from e where type = 'response' order by duration desc limit 10",
):
    db.execute(query).fetchall()
"""
"""The aggregates of `mockrec stats`."""
_FRAME = "import sys; from mockrec.formats import frame; frame(sys.argv[1], arrow=True)"


def f5(bench: Bench) -> Sequence[Row]:
    """One session in both formats."""
    if subprocess.run([sys.executable, "-c", "import duckdb"], capture_output=True, check=False).returncode:
        raise PeerMissing("duckdb")
    with bench.scratch() as folder, plain_install(bench) as plain:
        return _measure(plain, folder)


def _measure(bench: Bench, folder: Path) -> Sequence[Row]:
    count = 200 if bench.smoke else EXCHANGES
    lines, tables, out = folder / "s.jsonl", folder / "s.parquet", folder / "out.parquet"
    sessions.write(lines, count)
    _seconds([bench.mockrec, "filter", lines, "-o", tables])
    megabytes = lines.stat().st_size / 1e6
    sibling = bench.mockrec.parent / "python"
    python = sibling if sibling.exists() else Path(sys.executable)
    exchanges = ["filter", "--table", "exchanges", "-o", out, "--force"]
    sides: dict[str, list[str | Path]] = {
        "stats of Parquet": [bench.mockrec, "stats", tables],
        "DuckDB of Parquet": [sys.executable, "-c", _STATS, tables],
        "stats of JSON Lines": [bench.mockrec, "stats", lines],
        "DuckDB of JSON Lines": [sys.executable, "-c", _STATS, lines],
        "frame": [python, "-c", _FRAME, tables],
        "exchanges": [bench.mockrec, *exchanges, tables],
        "exchanges of lines": [bench.mockrec, *exchanges, lines],
        "first page": [bench.mockrec, "show", lines],
        "verify": [bench.mockrec, "verify", lines],
        "conversion": [bench.mockrec, "filter", lines, "-o", out, "--force"],
    }
    runs = [
        {name: _seconds(argv, first=name == "first page") for name, argv in sides.items()}
        for _ in range(min(ROUNDS, bench.rounds))
    ]
    return [
        _against(runs, "stats of Parquet", "DuckDB of Parquet", Target(3, at_least=False)),
        _against(runs, "stats of JSON Lines", "DuckDB of JSON Lines", Target(2, at_least=False)),
        _alone(runs, "frame", f"frame of Parquet, {count:,} exchanges", 2),
        _alone(runs, "exchanges", "--table exchanges of Parquet", 6),
        _alone(runs, "exchanges of lines", "--table exchanges of JSON Lines", 6),
        _alone(runs, "first page", "show, until its first page", 0.5),
        _rate(runs, "verify", megabytes, 150),
        _rate(runs, "conversion", megabytes, 250),
    ]


def _against(runs: list[dict[str, float]], ours: str, theirs: str, target: Target) -> Row:
    value = median(run[ours] / run[theirs] for run in runs)
    texts = [f"{median(run[name] for run in runs):.2f} s" for name in (ours, theirs)]
    samples = [{name: run[name] for name in (ours, theirs)} for run in runs]
    return Row("F5", f"{ours}, time against DuckDB", target, value, texts[0], f"{texts[1]} DuckDB", runs=samples)


def _alone(runs: list[dict[str, float]], name: str, work: str, seconds: float) -> Row:
    value = median(run[name] for run in runs)
    samples = [{name: run[name]} for run in runs]
    return Row("F5", work, Target(seconds, at_least=False), value, f"{value:.2f} s", unit="s", runs=samples)


def _rate(runs: list[dict[str, float]], name: str, megabytes: float, least: float) -> Row:
    value = megabytes / median(run[name] for run in runs)
    samples = [{name: run[name]} for run in runs]
    work = f"{name} of JSON Lines, {megabytes:,.0f} MB"
    return Row("F5", work, Target(least, at_least=True), value, f"{value:.0f} MB/s", unit="MB/s", runs=samples)


def _seconds(argv: Sequence[str | Path], *, first: bool = False) -> float:
    """The time that a process takes; with `first`, until its first output."""
    started = time.perf_counter()
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        taken = time.perf_counter() - started
        if first:
            process.terminate()
        process.stdout.read()
    if not first:
        taken = time.perf_counter() - started
        # `verify` of a generated session, whose last record counts nothing, ends with 1.
        if process.returncode not in ((0, 1) if "verify" in argv else (0,)):
            raise BenchError(f"{' '.join(map(str, argv[:2]))} ended with {process.returncode}")
    return taken
