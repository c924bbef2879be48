"""The loop of fuzzing and its command line; see `run.py`."""

from __future__ import annotations

import argparse
import hashlib
import resource
import sys
import time
import traceback
from random import Random
from typing import Any

import fuzz_files
import fuzz_h1
import fuzz_h2
import fuzz_sessions
import fuzz_wire
from fuzz_mutate import Mutator
from fuzz_target import CORPUS, Hang, Target, time_limit

TARGETS = {
    target.name: target
    for module in (fuzz_h1, fuzz_h2, fuzz_wire, fuzz_files, fuzz_sessions)
    for target in module.TARGETS
}
INPUT_SECONDS = 5.0
WARM_UP = 20_000
"""Inputs after which memory must stand still, caches being full."""
GROWTH = 150 * 1024
"""Kilobytes that it may grow all the same."""
MOST_FOUND = 5


class Findings:
    """Inputs that something was wrong with; one for each place in the code."""

    def __init__(self, target: Target) -> None:
        self.count = 0
        self._target = target
        self._places: set[tuple[str, int]] = set()

    def add(self, data: bytes, error: BaseException) -> None:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = (last.filename, last.lineno or 0)
        if place in self._places:
            return
        self._places.add(place)
        self.count += 1
        folder = CORPUS / self._target.name
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / hashlib.sha256(data).hexdigest()[:16]
        path.write_bytes(data)
        print(f"{self._target.name}: {type(error).__name__}: {error!s:.300}\n  {path}")
        traceback.print_exception(error, limit=-4)


def fuzz(target: Target, seconds: float, inputs: int, seed: int) -> int:
    """Run until one of both is over; how many inputs were bad."""
    chance = Random(seed)
    mutator = Mutator(chance, target.tokens, target.most)
    pool = [*target.seeds, *target.found]
    own = len(pool)
    findings = Findings(target)
    started, done, slowest, memory = time.perf_counter(), 0, 0.0, 0
    with time_limit(INPUT_SECONDS) as begin:
        while done < inputs and (now := time.perf_counter()) - started < seconds and findings.count < MOST_FOUND:
            # The first ones as they are; then mostly changes of seeds, sometimes of what came of them.
            data = pool[done] if done < own else mutator.changed(chance.choice(pool), chance.choice(pool))
            begin()
            try:
                target.try_one(data)
            except (Exception, Hang) as error:
                findings.add(data, error)
            done += 1
            if chance.random() < 0.02:
                if len(pool) < own + 500:
                    pool.append(data)
                else:
                    pool[chance.randrange(own, len(pool))] = chance.choice(target.seeds)
            slowest = max(slowest, time.perf_counter() - now)
            if done == WARM_UP:
                memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    took = time.perf_counter() - started
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory if memory else 0
    if grown > GROWTH:
        findings.count += 1
        print(f"{target.name}: memory grows: {grown // 1024} MiB")
    print(
        f"{target.name}: {done} inputs in {took:.0f} s ({done / took:.0f}/s), slowest {slowest * 1000:.0f} ms,"
        f" memory +{grown // 1024} MiB, {findings.count} found",
        flush=True,
    )
    return findings.count


def with_atheris(target: Target, seconds: float, inputs: int) -> None:
    """libFuzzer's own loop; it ends the process itself."""
    import atheris

    atheris.instrument_all()
    options = [f"-max_total_time={int(seconds)}", f"-runs={inputs}", "-max_len=4096", f"-timeout={int(INPUT_SECONDS)}"]
    (CORPUS / target.name).mkdir(parents=True, exist_ok=True)
    options.append(f"-artifact_prefix={CORPUS / target.name}/")
    folder = CORPUS / ".atheris" / target.name
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (folder / f"seed-{number}").write_bytes(seed)

    def one(data: Any) -> None:
        target.try_one(bytes(data))

    atheris.Setup([sys.argv[0], *options, str(folder)], one)
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz the readers of hostile input.")
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="may be given several times")
    parser.add_argument("--seconds", type=float, default=1e9, help="for each target")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="for each target")
    parser.add_argument("--seed", type=int, default=None, help="of the random numbers; printed")
    parser.add_argument("--atheris", action="store_true")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else Random().randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    targets = [TARGETS[name] for name in given.target or TARGETS]
    if given.atheris:
        with_atheris(targets[0], min(given.seconds, 1e6), given.inputs)
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))  # so that a bomb is an error, and no trouble
    return 1 if sum([fuzz(target, given.seconds, given.inputs, seed) for target in targets]) else 0
