"""HTTP/2 and WebSocket: many requests, and many messages, on one connection."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bench import Bench
from echoing import drive_echo
from load import Load, Work
from measures import alternate, check_log, compare, take_turns
from rows import Row, Target
from servers import Start, mockrec, mockttp


def p4(bench: Bench) -> Sequence[Row]:
    """HTTP/2 over TLS: 8 connections with 16 streams each."""
    sides: dict[str, Start] = {"mockrec": partial(mockrec, bench), "Mockttp": partial(mockttp, bench, "--tls")}
    rounds, _ = alternate(bench, sides, Work(tls=True, http2=True))
    work = "HTTP/2 mock over TLS, against Mockttp recording"
    return [compare("P4", work, Target(1.0, True), rounds, ("mockrec", "Mockttp"))]


def p6(bench: Bench) -> Sequence[Row]:
    """WebSocket echo: 16 connections with 8 short messages on their way."""
    sides: dict[str, Start] = {
        "mockrec": partial(mockrec, bench, echo=True),
        "two workers": partial(mockrec, bench, "--workers", "2", echo=True),
        "Mockttp": partial(mockttp, bench, "--echo"),
    }

    def turn(start: Start) -> float:
        done: list[Load] = []
        with start() as server:
            if bench.warmup:
                done.append(drive_echo(bench, server.port, seconds=bench.warmup))
            done.append(drive_echo(bench, server.port, seconds=bench.seconds))
            if server.name == "mockrec" and server.log is not None:
                messages = sum(load.requests for load in done)
                server.after_stop = partial(check_log, server, messages, server.log, "websocket-message-sent")
        return done[-1].per_second

    rounds, _ = take_turns(bench, sides, turn)
    work = "WebSocket echo, against Mockttp recording"
    both = "the same with --workers 2, against one process"
    return [
        compare("P6", work, Target(0.6, True), rounds, ("mockrec", "Mockttp")),
        compare("P6", both, None, rounds, ("two workers", "mockrec")),
    ]
