"""F1: what `mockrec filter` finds in a second, against jq over the same records."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench import Bench, BenchError, PeerMissing
from recordings import write_session
from rows import Row, Target

SESSION_BYTES = 1_000_000_000
SMOKE_BYTES = 1_000_000
ROUNDS = 3
"""jq takes a quarter of a minute for a round."""

_LINES = "select(.statusCode >= 500)"
_FIELDS = f"{_LINES} | [.id, .url] | @csv"
_SEARCH = """
import sys, time
import orjson
from mockrec.formats.select import parquet_input
from mockrec.formats.query import parse
from mockrec.formats.select.selection import Selection
started = time.perf_counter()
selection = Selection([sys.argv[1]], parse("status >= 500", records=True))
selection.only([("id",), ("url",)])
found = [(record.get("id"), record.get("url")) for record in (orjson.loads(kept.raw) for kept in selection if kept.unit)]
print(time.perf_counter() - started, len(found))
"""
"""The same without the time that Python and pyarrow take to start, which is most of it."""


def f1(bench: Bench) -> Sequence[Row]:
    """Both print what they find into a file, as whole commands: starting up counts."""
    jq = shutil.which("jq")
    if jq is None:
        raise PeerMissing("jq")
    with bench.scratch() as folder:
        session, table = folder / "s.jsonl", folder / "s.parquet"
        write_session(session, SMOKE_BYTES if bench.smoke else SESSION_BYTES)
        _seconds([bench.mockrec, "filter", session, "-o", table], folder / "none")
        query = ["status >= 500", "--records", "--fields", "id,url", "--as", "csv"]
        sides: dict[str, list[str | Path]] = {
            "lines": [bench.mockrec, "filter", session, "status >= 500", "--records"],
            "exchanges": [bench.mockrec, "filter", session, "status >= 500"],
            "jq": [jq, "-c", _LINES, session],
            "columns": [bench.mockrec, "filter", table, *query],
            "jq fields": [jq, "-r", _FIELDS, session],
        }
        python = _python(bench)
        outputs = {name: folder / f"{name}.out" for name in sides}
        runs = [
            {name: _seconds(command, outputs[name]) for name, command in sides.items()}
            for _ in range(min(ROUNDS, bench.rounds))
        ]
        for run in runs:
            run["search"] = _search(python, table)
        found = {name: path.read_bytes().count(b'"statusCode":') for name, path in outputs.items()}
        # Whole exchanges hold more records, but each response in them is one of those.
        if not found["lines"] == found["jq"] == found["exchanges"] > 0:
            raise BenchError(f"they found different things: {found}")
        if outputs["columns"].read_bytes().count(b"\n") != outputs["jq fields"].read_bytes().count(b"\n") + 1:
            raise BenchError("columns and jq found different things")
        megabytes = session.stat().st_size / 1e6
    return [
        _row(runs, ("lines", "jq"), megabytes, "records with status ≥ 500 in JSON Lines, against jq", Target(8, True)),
        _row(runs, ("exchanges", "jq"), megabytes, "whole exchanges, against jq that finds their responses", None),
        _row(runs, ("search", "jq fields"), megabytes, "id and URL of those in Parquet, the search", Target(50, True)),
        _row(
            runs,
            ("columns", "jq fields"),
            megabytes,
            "id and URL of those in Parquet, the whole command",
            Target(40, True),
        ),
    ]


def _row(
    runs: list[dict[str, float]], pair: tuple[str, str], megabytes: float, work: str, target: Target | None
) -> Row:
    ours, theirs = pair
    value = median(run[theirs] / run[ours] for run in runs)
    speeds = [megabytes / median(run[name] for run in runs) for name in pair]
    samples = [{name: run[name] for name in pair} for run in runs]
    return Row("F1", work, target, value, f"{speeds[0]:,.0f} MB/s", f"{speeds[1]:,.0f} MB/s jq", runs=samples)


def _python(bench: Bench) -> Path:
    sibling = bench.mockrec.parent / "python"
    return sibling if sibling.exists() else Path(sys.executable)


def _search(python: Path, table: Path) -> float:
    done = subprocess.run([python, "-c", _SEARCH, table], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"the search in {table.name} ended with {done.returncode}: {done.stderr[-500:]}")
    return float(done.stdout.split()[0])


def _seconds(command: Sequence[str | Path], output: Path) -> float:
    with output.open("wb") as file:
        started = time.perf_counter()
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.PIPE, check=False)
        taken = time.perf_counter() - started
    if done.returncode != 0:
        raise BenchError(f"{' '.join(map(str, command))} ended with {done.returncode}: {done.stderr[-500:]!r}")
    return taken
