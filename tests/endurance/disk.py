"""Disks that are full or slow, and a clock that is set while it runs."""

from __future__ import annotations

import json
import os
import resource
import threading
import time
from itertools import pairwise
from pathlib import Path

from load import Client, busy
from program import Program, most_growth, want

CODE_FULL = 3


def full(folder: Path, *, smoke: bool) -> str:
    """No file may become larger than a bound: the run ends by itself, and what is in the log is whole."""
    bound = (1 if smoke else 64) * 1024 * 1024

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (bound, bound))

    with Program(folder, preexec_fn=limit) as program:
        clients = [Client(program, 1 << 40) for _ in range(4)]
        for client in clients:
            client.start()
        program.process.wait(300.0)
        for client in clients:
            client.join()
        counts = program.stop(CODE_FULL)
        said = program.stderr
        written = program.log.read_bytes()
    want("File too large" in said, f"nobody says why: {said[-500:]}")
    want(written.endswith(b"\n"), f"the last line is torn: {written[-100:]!r}")
    want(len(written) <= bound and counts["response"] > 0, f"{len(written)} bytes, {counts}")
    return f"ended by itself with exit code {CODE_FULL} at {len(written) / bound:.0%} of the bound, {counts['response']} exchanges whole"


def slow(folder: Path, *, smoke: bool) -> str:
    """A named pipe as the log, read slowly: the traffic waits, memory does not grow, and nothing is lost."""
    total, rate = (8_000, 4) if smoke else (200_000, 4)
    pipe, copy = folder / "pipe.jsonl", folder / "s.jsonl"
    os.mkfifo(pipe)

    def read() -> None:
        with pipe.open("rb", buffering=0) as source, copy.open("wb") as target:
            while data := source.read(65536):
                target.write(data)
                time.sleep(len(data) / (rate * 1024 * 1024))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    with Program(folder, "--format", "jsonl", out=pipe.name) as program:
        seen = busy(program, total // 4)
        before = program.memory
        seen += busy(program, total - total // 4)
        grown = program.memory - before
        program.log = copy
        program.process.send_signal(2)
        reader.join()
        program.process.wait(60.0)
        counts = program.stop()
    want(seen == counts["response"], f"clients saw {seen}, the log has {counts}")
    want(grown < most_growth(40, smoke), f"memory has grown by {grown:.0f} MB")
    return f"{seen} exchanges through a pipe of {rate} MB/s, each recorded once; memory {grown:+.1f} MB"


def clock_steps(folder: Path, *, smoke: bool) -> str:
    """The wall clock goes forwards and backwards by hours, where libfaketime is: no timestamp runs backwards."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)  # Debian's package `libfaketime`
    if library is None:
        return "left out: there is no libfaketime (tests/unit/engine/test_clock.py looks at the same)"
    step = folder / "step"
    step.write_text("+0", encoding="utf-8")
    env = {**os.environ, "LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(step), "FAKETIME_NO_CACHE": "1",
           "DONT_FAKE_MONOTONIC": "1"}  # fmt: skip
    with Program(folder, env=env) as program:
        seen = 0
        for offset in ("+3h", "-5h", "+2d", "+0") * (1 if smoke else 50):
            step.write_text(offset, encoding="utf-8")
            seen += busy(program, 160)
        counts = program.stop()
        with program.log.open("rb") as file:
            stamps = [json.loads(line)["timestamp"] for line in file]
    want(all(a <= b for a, b in pairwise(stamps)), "timestamps run backwards")
    want(seen == counts["response"], f"clients saw {seen}, the log has {counts}")
    return f"{seen} exchanges between steps of hours; no timestamp runs backwards"
