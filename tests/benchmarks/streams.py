"""HTTP/2 and WebSocket: many requests, and many messages, on one connection."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bench import Bench
from echoing import drive_echo
from load import Work
from measures import alternate, check_log
from rows import Row, Target
from servers import Start, mockrec, mockttp
from turns import Turn, compare, metered, take_turns


def p4(bench: Bench) -> Sequence[Row]:
    """HTTP/2 over TLS: 8 connections with 16 streams each."""
    sides: dict[str, Start] = {"mockrec": partial(mockrec, bench), "Mockttp": partial(mockttp, bench, "--tls")}
    rounds, _ = alternate(bench, sides, Work(tls=True, http2=True))
    work = "HTTP/2 mock over TLS, against Mockttp recording"
    return [compare("P4", work, Target(3, True), rounds, ("mockrec", "Mockttp"))]


def p6(bench: Bench) -> Sequence[Row]:
    """WebSocket echo: 16 connections with 8 short messages on their way."""
    sides: dict[str, Start] = {
        "mockrec": partial(mockrec, bench, echo=True),
        "two workers": partial(mockrec, bench, "--workers", "2", echo=True),
        "Mockttp": partial(mockttp, bench, "--echo"),
    }

    def turn(start: Start) -> Turn:
        with start() as server:
            result, messages = metered(bench, server, lambda seconds: drive_echo(bench, server.port, seconds=seconds))
            if server.name == "mockrec" and server.log is not None:
                server.after_stop = partial(check_log, server, messages, server.log, "websocket-message-sent")
        return result

    rounds, _ = take_turns(bench, sides, turn)
    work = "WebSocket echo, against Mockttp recording"
    both = "the same with --workers 2, against one process"
    return [
        compare("P6", work, Target(1.2, True), rounds, ("mockrec", "Mockttp")),
        compare("P6", both, None, rounds, ("two workers", "mockrec")),
    ]
