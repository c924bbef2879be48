"""Measures the pauses of the garbage collector in a server under measurement; imported by its interpreter at start.

When the process ends, the file named by BENCH_COLLECTOR_PAUSES gets a JSON list with a pair for each collection: when it
began (seconds of the monotonic clock, which all processes of a machine share) and its length in milliseconds.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import time


def _watch(path: str) -> None:
    pauses: list[tuple[float, float]] = []
    began = 0.0

    def watch(phase: str, _info: dict[str, int]) -> None:
        nonlocal began
        if phase == "start":
            began = time.perf_counter()
        else:
            pauses.append((began, round((time.perf_counter() - began) * 1000, 3)))

    def write() -> None:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(pauses, file)

    gc.callbacks.append(watch)
    atexit.register(write)


if _path := os.environ.pop("BENCH_COLLECTOR_PAUSES", ""):  # not for child processes
    _watch(_path)
