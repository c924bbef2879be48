"""`mockrec replay --pace max` beside `mitmdump -C`: the same requests, recorded by each, to the same nginx."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

from bench import Bench, BenchError, PeerMissing
from load import CONNECTIONS, Work, drive
from process import measured
from rows import Row, Target
from servers import mitmdump, mockrec
from upstream import nginx

_REQUESTS = 10_000
"""Enough that starting up does not count for much."""


def r1(bench: Bench) -> Sequence[Row]:
    """Requests a second, start and recording included; and beside wrk, which only sends."""
    program = bench.peers / "mitmproxy" / "bin" / "mitmdump"
    if not os.access(program, os.X_OK):
        raise PeerMissing("mitmdump")
    count = 160 if bench.smoke else _REQUESTS
    with bench.scratch() as folder, nginx(bench) as target:
        session, flows = _record(bench, folder, target, count)
        again, flows_again = folder / "again.jsonl", folder / "again.flows"
        to = f"http://127.0.0.1:{target}"
        conf = ("--set", f"confdir={folder / 'conf'}")
        argvs: dict[str, list[str | Path]] = {
            "mockrec": [bench.mockrec, "replay", session, "--to", to, "--pace", "max", "-o", again, "--force"],
            "mitmdump": [program, "-q", "-n", *conf, "-C", flows, "-w", flows_again],
            "at once": [program, "-q", "-n", *conf, "--set", "client_replay_concurrency=-1", "-C", flows],
        }
        runs: list[dict[str, float]] = []
        costs: list[dict[str, float]] = []
        for _ in range(bench.rounds):
            taken = {name: measured(argv) for name, argv in argvs.items()}
            runs.append({name: count / one.seconds for name, one in taken.items()})
            costs.append({name: one.cpu / count * 1e6 for name, one in taken.items()})
            runs[-1]["wrk"] = drive(bench, target, Work(), seconds=bench.seconds).per_second
    rates = {name: median(run[name] for run in runs) for name in runs[0]}

    def row(other: str, work: str, target: Target | None) -> Row:
        ratio = median(run["mockrec"] / run[other] for run in runs)
        figures = f"{rates['mockrec']:,.0f}/s", f"{rates[other]:,.0f}/s"
        cpu = " : ".join(
            f"{median(cost[name] for cost in costs):,.1f}" for name in ("mockrec", other) if name in costs[0]
        )
        return Row("R1", f"replay --pace max, {work}", target, ratio, *figures, runs=runs if target else [], cpu=cpu)

    return [
        row("mitmdump", "against mitmdump -C", Target(18, True)),
        row("at once", "against mitmdump -C, all requests at once", None),
        row("wrk", "beside wrk to the same nginx", None),
    ]


def _record(bench: Bench, folder: Path, target: int, count: int) -> tuple[Path, Path]:
    """The same requests over 16 connections, through either recorder."""
    session, flows = folder / "session.jsonl", folder / "flows"
    with mockrec(bench, proxy=True) as server:
        _ask(server.port, target, count)
        server.after_stop = _copying(server.log, session)
    with mitmdump(bench, proxy=True) as server:
        _ask(server.port, target, count)
        _copying(server.log, flows)()  # every flow is flushed when it ends
    return session, flows


def _copying(source: Path | None, to: Path) -> Callable[[], None]:
    assert source is not None
    return lambda: (shutil.copyfile(source, to), None)[1]


def _ask(port: int, target: int, count: int) -> None:
    def one(_: int) -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            for _ in range(count // CONNECTIONS):
                connection.request("GET", f"http://127.0.0.1:{target}/hello")
                answer = connection.getresponse()
                if answer.status != 200 or answer.read() != b"Hello":
                    raise BenchError(f"{answer.status} from the server that is to be recorded")
        finally:
            connection.close()

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(one, range(CONNECTIONS)))
