"""The reverse proxy with TLS on both sides: HTTP/2 to HTTP/2, and HTTP/1.1 against the same without TLS."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bench import Bench
from load import Work
from measures import turn
from rows import Row, Target
from servers import Start, mitmdump, mockrec
from turns import Turn, compare, compare_cpu, take_turns
from upstream import nginx


def p10(bench: Bench) -> Sequence[Row]:
    """HTTP/2 over TLS to nginx that speaks HTTP/2 over TLS: 4 connections with 10 streams each."""
    with nginx(bench, tls=True) as port:
        before = f"https://127.0.0.1:{port}"
        sides: dict[str, Start] = {
            "mockrec": partial(mockrec, bench, before=before),
            "mitmdump": partial(mitmdump, bench, before=before),
        }
        work = Work(tls=True, http2=True, streams=(4, 10))
        rounds, _ = take_turns(bench, sides, lambda start: turn(bench, start, work))
    pair = ("mockrec", "mitmdump")
    return [compare("P10", "HTTP/2 proxy to HTTP/2, both over TLS, against mitmdump -w", Target(9, True), rounds, pair)]


def p11(bench: Bench) -> Sequence[Row]:
    """What TLS on both sides adds to the CPU time of an exchange; HTTP/1.1, keep-alive."""
    with nginx(bench) as plain, nginx(bench, tls=True) as secure:
        works = {"over TLS": Work(tls=True), "plain": Work()}
        sides: dict[str, Start] = {
            "over TLS": partial(mockrec, bench, before=f"https://127.0.0.1:{secure}"),
            "plain": partial(mockrec, bench, before=f"http://127.0.0.1:{plain}"),
        }
        by_start = {id(start): works[name] for name, start in sides.items()}

        def one(start: Start) -> Turn:
            return turn(bench, start, by_start[id(start)])

        rounds, _ = take_turns(bench, sides, one)
    pair = ("over TLS", "plain")
    work = "HTTP/1.1 proxy with TLS on both sides, CPU time for an exchange against the same without TLS"
    return [compare_cpu("P11", work, Target(1.3, False), rounds, pair)]
