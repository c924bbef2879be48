"""`kill -9` at random moments: of the recorder, of a worker, of the helper that makes Parquet of a journal, and of the
recorder just when such a journal begins its next segment."""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from load import Client
from program import Program, verified, verify, want

from mockrec.formats.sessions.session import open_session

PROMISED_SECONDS = 0.05
MARGIN_SECONDS = 1.0
"""For a machine whose cores are all busy: what is promised is 50 ms of a recorder that gets to run."""
LATE_SECONDS = 0.01
"""What a client takes to read an answer that was there when its worker was killed. Later ones are of other workers."""
STOPPED_SECONDS = 5.0
"""The same where nobody is left who could answer."""
SWITCH_SECONDS = 0.6
"""How long after a segment's end the recorder may be killed: the first helper takes about as long to start."""
SWITCH_MARGIN_SECONDS = 0.1
ASKERS = 3
CODE_LOST = 70


class Asker(threading.Thread):
    """Asks on one connection, and on another when that breaks; notes when the answer of which path had come whole."""

    def __init__(self, port: int, name: str, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._prefix = f"/hello?{name}-"
        self._until = stop
        self.answered: list[tuple[float, str]] = []

    def run(self) -> None:
        number = 0
        while not self._until.is_set():
            client = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20.0)
            try:
                while not self._until.is_set():
                    number += 1
                    path = f"{self._prefix}{number}"
                    client.request("GET", path)
                    if client.getresponse().read() == b"hello":
                        self.answered.append((time.monotonic(), path))
            except ConnectionRefusedError:
                return  # the recorder is gone
            except (OSError, http.client.HTTPException):
                pass
            finally:
                client.close()


class Load:
    """Some askers."""

    def __init__(self, program: Program) -> None:
        self._stop = threading.Event()
        self._askers = [Asker(program.port, str(number), self._stop) for number in range(ASKERS)]
        for asker in self._askers:
            asker.start()

    def end(self) -> None:
        self._stop.set()
        for asker in self._askers:
            asker.join()

    @property
    def answered(self) -> list[tuple[float, str]]:
        return [one for asker in self._askers for one in asker.answered]


def recorders(folder: Path, *, smoke: bool) -> str:
    """The recorder is killed; with workers every second time."""
    chance = random.Random(1)
    times = 2 if smoke else 100
    answers = 0
    missing: list[float] = []
    for number in range(times):
        place = folder / str(number)
        place.mkdir()
        with Program(place, *(("--workers", "2") if number % 2 else ())) as program:
            workers = _children(program.process.pid, "workers.worker")
            want(len(workers) == (2 if number % 2 else 0), f"{number}: {len(workers)} workers")
            load = Load(program)
            time.sleep(chance.uniform(0.3, 0.9))
            program.process.kill()
            at = time.monotonic()
            program.process.wait()
            load.end()
            program.wait_until(lambda left=workers: not any(map(_lives, left)), "a worker outlives the recorder")
            records, torn = _whole(program.log)
        want([record["seq"] for record in records] == list(range(len(records))), f"{number}: numbers have a hole")
        want(torn < 10_000, f"{number}: {torn} bytes behind the last whole line")
        answers += len(load.answered)
        missing += _check_answers(number, records, load.answered, [at], STOPPED_SECONDS)
        said = verify(program.log)
        want(said.returncode == 1 and "cut off" in said.stdout, f"{number}: verify says {said.stdout}{said.stderr}")
    return (
        f"{times} recorders killed, half of them with workers; {answers} answers, {_told(missing)}; no number left out"
    )


def workers(folder: Path, *, smoke: bool) -> str:
    """Workers are killed, one after the other, while the run goes on."""
    chance = random.Random(2)
    times = 3 if smoke else 100
    kills = []
    with Program(folder, "--workers", "2") as program:
        load = Load(program)
        for number in range(times):
            program.wait_until(
                lambda: len(_children(program.process.pid, "workers.worker")) == 2, "no worker comes in its place"
            )
            time.sleep(chance.uniform(0.5, 1.0))  # the run ends if a worker ends three times before it is ready
            victim = chance.choice(_children(program.process.pid, "workers.worker"))
            os.kill(victim, signal.SIGKILL)
            kills.append(time.monotonic())
            program.wait_until(
                lambda told=number + 1: program.stderr.count("was killed by SIGKILL") == told, "nobody says it"
            )
        load.end()
        counts = program.stop(CODE_LOST)
        records, torn = _whole(program.log)
    verified(program.log)
    want(torn == 0, "the log ends inside a line")
    ends = Counter(record["id"] for record in records if record["type"] in ("response", "abort"))
    begun = {record["id"] for record in records if record["type"] == "request-initiated"}
    want(begun == set(ends) and set(ends.values()) == {1}, "an exchange has no end, or two")
    missing = _check_answers(0, records, load.answered, kills, MARGIN_SECONDS if smoke else LATE_SECONDS)
    lost = sum(1 for record in records if record["type"] == "abort" and record["error"]["code"] == "E_WORKER_LOST")
    return (
        f"{times} workers killed and replaced in one run; {len(load.answered)} answers, {_told(missing)}; "
        f"{lost} exchanges ended for their workers, {counts['abort'] - lost} other aborts"
    )


def helpers(folder: Path, *, smoke: bool) -> str:
    """The helper is killed while it makes rows, or, every second time, while it makes the last of them."""
    chance = random.Random(3)
    times = 2 if smoke else 100
    answers = hit = 0
    for number in range(times):
        place = folder / str(number)
        place.mkdir()
        stop = threading.Event()
        with Program(place, out="s.parquet") as program:
            clients = [Client(program, 1 << 40, stop) for _ in range(2)]
            for client in clients:
                client.start()
            program.wait_until(lambda: bool(_children(program.process.pid, "parquet.helper")), "there is no helper")
            time.sleep(chance.uniform(0.0, 1.0))
            if number % 2:
                os.kill(_children(program.process.pid, "parquet.helper")[0], signal.SIGKILL)
                hit += 1
                time.sleep(chance.uniform(0.0, 0.5))
            stop.set()
            for client in clients:
                client.join()
            program.process.send_signal(signal.SIGINT)
            if not number % 2:
                time.sleep(chance.uniform(0.0, 0.3))
                for left in _children(program.process.pid, "parquet.helper"):
                    os.kill(left, signal.SIGKILL)
                    hit += 1
            program.process.wait(60.0)
            want(program.process.returncode == 0, f"{number}: exit code {program.process.returncode}: {program.stderr}")
        seen = sum(client.seen for client in clients)
        said = verify(program.log)
        want(
            said.returncode == 0 and f" {seen} exchanges" in said.stdout,
            f"{number}: {seen} seen; {said.stdout}{said.stderr}",
        )
        want(not program.log.with_name("s.parquet.journal").exists(), f"{number}: the journal is left")
        program.log.unlink()
        answers += seen
    want(hit >= times * 0.8, f"only {hit} helpers were there to be killed")
    return f"{hit} helpers killed, half of them at the end; {answers} exchanges, each recorded once"


def segments(folder: Path, *, smoke: bool) -> str:
    """The recorder is killed soon after the first segment of a Parquet journal is full (its helper starts then), or,
    every second time, after the second one (the helper is at work); every fourth time it is a data set."""
    chance = random.Random(4)
    times = int(os.environ.get("MOCKREC_KILLS", "2" if smoke else "100"))
    margin = MARGIN_SECONDS if smoke else SWITCH_MARGIN_SECONDS
    answers = 0
    missing: list[float] = []
    for number in range(times):
        place = folder / str(number)
        place.mkdir()
        stop = threading.Event()
        out = "s" if number % 4 == 3 else "s.parquet"
        journal = place / ("s/journal" if out == "s" else "s.parquet.journal")
        if out == "s":
            (place / out).mkdir()
        with Program(place, out=out) as program:
            filling = Client(program, 1 << 40, stop)  # fills the segments
            filling.start()
            load = Load(program)
            if number % 2:
                program.wait_until((journal / "segment-000003.jsonl").exists, "there is no third segment")
            else:
                program.wait_until(
                    lambda: bool(_children(program.process.pid, "parquet.helper")), "there is no helper", 0.002
                )
            stop.set()
            time.sleep(chance.uniform(0.0, SWITCH_SECONDS))
            program.process.kill()
            at = time.monotonic()
            program.process.wait()
            load.end()
            filling.join()
        with open_session(program.log) as session:
            records = [record for _, record in session]
        want([record["seq"] for record in records] == list(range(len(records))), f"{number}: numbers have a hole")
        answers += len(load.answered)
        missing += _check_answers(number, records, load.answered, [at], STOPPED_SECONDS, margin)
        shutil.rmtree(place, ignore_errors=True)  # its helper may still be giving up in it
    return f"{times} recorders killed where a segment ends; {answers} answers, {_told(missing)}; no number left out"


def _check_answers(
    number: int,
    records: list[dict[str, Any]],
    answered: list[tuple[float, str]],
    kills: list[float],
    late: float,
    margin: float = MARGIN_SECONDS,
) -> list[float]:
    """For each answer that is not in the log, the seconds from it to the nearest kill, which must be few; `late` is how
    many it may be after one."""
    paths = Counter(record["url"].partition("/hello")[2] for record in records if record["type"] == "response")
    del paths[""]  # of clients that only make work
    want(all(count == 1 for count in paths.values()), f"{number}: an exchange is recorded twice")
    missing = []
    for when, path in answered:
        if path.removeprefix("/hello") not in paths:
            before = min((at - when for at in kills), key=abs)
            want(
                -late < before < PROMISED_SECONDS + margin,
                f"{number}: {path}, {before:.3f} s before a kill, is lost",
            )
            missing.append(before)
    return missing


def _told(missing: list[float]) -> str:
    within = sum(1 for before in missing if before <= PROMISED_SECONDS)
    oldest = max(missing, default=0.0) * 1000
    return f"{len(missing)} of them not in the log, {within} of those from the last 50 ms, the oldest {oldest:.0f} ms before its kill"


def _whole(log: Path) -> tuple[list[dict[str, Any]], int]:
    """The records in whole lines, and how many bytes follow."""
    *lines, rest = log.read_bytes().split(b"\n")
    return [json.loads(line) for line in lines], len(rest)


def _children(pid: int, module: str) -> list[int]:
    """Those of a process that run a module."""
    found = []
    for thread in Path(f"/proc/{pid}/task").iterdir():  # any of its threads may have started it
        for child in (thread / "children").read_text(encoding="ascii").split():
            try:
                words = Path(f"/proc/{child}/cmdline").read_bytes().decode()
            except OSError:
                continue
            if module in words:
                found.append(int(child))
    return found


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
