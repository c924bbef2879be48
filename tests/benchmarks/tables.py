"""F2 and F4: Parquet against JSON Lines, in speed, memory and size. Figures of mockrec's own, without a peer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench import Bench, BenchError
from recordings import SAMPLE_BYTES, write_recording, write_session
from rows import Row, Target

SESSION_BYTES = 2_000_000_000
SMOKE_BYTES = 1_000_000
ROUNDS = 3
"""A round takes a minute or two."""

_CONVERT = """
import json, resource, sys, time
started = time.perf_counter()
from mockrec.formats.sessions.convert import convert
from mockrec.formats.sessions.outputs import open_sink
from mockrec.formats.sessions.inputs import open_source
source, sink = open_source(sys.argv[1]), open_sink(sys.argv[2], force=True)
convert(source, sink)
sink.close()
source.close()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"seconds": time.perf_counter() - started, "bytes": peak}))
"""


def f2(bench: Bench) -> Sequence[Row]:
    """Both ways, each in a process of its own, whose peak memory is the operating system's word."""
    with bench.scratch() as folder:
        session, tables, back = folder / "s.jsonl", folder / "s.parquet", folder / "back.jsonl"
        write_session(session, SMOKE_BYTES if bench.smoke else SESSION_BYTES)
        megabytes = session.stat().st_size / 1e6
        runs: list[dict[str, float]] = []
        for _ in range(min(ROUNDS, bench.rounds)):
            there, again = _convert(bench, session, tables), _convert(bench, tables, back)
            if back.stat().st_size < megabytes * 0.99e6:
                raise BenchError(f"{session.stat().st_size} bytes came back as {back.stat().st_size}")
            runs.append(
                {
                    "to": megabytes / there["seconds"],
                    "from": megabytes / again["seconds"],
                    "to memory": there["bytes"] / 1e6,
                    "from memory": again["bytes"] / 1e6,
                }
            )
    return [
        row
        for way, work in (("to", "JSON Lines → Parquet"), ("from", "Parquet → JSON Lines"))
        for row in (
            _row(runs, way, f"{work}, {megabytes:,.0f} MB", Target(100, True), "MB/s"),
            _row(runs, f"{way} memory", f"{work}, peak memory", Target(300, False), "MB"),
        )
    ]


def f4(bench: Bench) -> Sequence[Row]:
    """The size of the same records."""
    rows: list[Row] = []
    for bodies, bound in ((True, 0.25), (False, 0.1)):
        with bench.scratch() as folder:
            session, tables = folder / "s.jsonl", folder / "s.parquet"
            write_recording(session, SMOKE_BYTES if bench.smoke else SAMPLE_BYTES, bodies=bodies)
            _convert(bench, session, tables)
            lines, parquet = session.stat().st_size, tables.stat().st_size
        rows.append(
            Row(
                "F4",
                f"Parquet {'with' if bodies else 'without'} bodies, size against JSON Lines",
                Target(bound, False),
                parquet / lines,
                f"{parquet / 1e6:.1f} MB",
                f"{lines / 1e6:.1f} MB",
            )
        )
    return rows


def _row(runs: list[dict[str, float]], key: str, work: str, target: Target, unit: str) -> Row:
    value = median(run[key] for run in runs)
    return Row("F2", work, target, value, f"{value:.0f} {unit}", unit=unit, runs=[{key: run[key]} for run in runs])


def _convert(bench: Bench, source: Path, target: Path) -> dict[str, float]:
    sibling = bench.mockrec.parent / "python"
    python = sibling if sibling.exists() else Path(sys.executable)
    done = subprocess.run(
        [python, "-c", _CONVERT, source, target],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"},  # as the command line has it
    )
    if done.returncode != 0:
        raise BenchError(f"{source.name} → {target.name} ended with {done.returncode}: {done.stderr[-500:]}")
    found: dict[str, float] = json.loads(done.stdout)
    return found
