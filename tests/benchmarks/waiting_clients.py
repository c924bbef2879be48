"""T1: how long other clients wait while one request carries a text that is made to be slow to search."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median

from bench import Bench, BenchError
from rows import Row, Target
from servers import mockrec

_SIZE = 1_000_000
_HEAD_SIZE = 60_000
_PAUSE = 0.002
"""Seconds between two probes."""
_TEXTS = {
    "names of secrets": ("text/plain", "password="),
    "half a header": ("text/plain", "Authorization: Bearer "),
    "lists": ("application/json", '"token":['),
    "deep JSON": ("application/json", '{"a":['),
    "different secrets": ("text/plain", "secret={number:07}&"),
    "binary": ("application/octet-stream", "\0sid=\xff"),
    "a form": ("application/x-www-form-urlencoded", "password={number:07}&"),
}
"""Name → content type, and the unit that is repeated."""


def t1(bench: Bench) -> Sequence[Row]:
    """The longest wait of a client that sends GET /hello all the time, for each text."""
    size = 20_000 if bench.smoke else _SIZE
    runs = [_longest_waits(bench, size) for _ in range(1 if bench.smoke else 3)]
    waits = {name: median(run[name] for run in runs) for name in runs[0]}
    quiet = waits.pop("nothing")
    worst = max(waits, key=lambda name: waits[name])
    row = Row(
        "T1",
        f"the others' longest wait while one client sends {size / 1e6:g} MB made to be slow: {worst}",
        Target(50, False),
        waits[worst],
        f"{waits[worst]:.1f} ms",
        f"{quiet:.1f} ms without it",
        unit="ms",
        runs=runs,
    )
    return [row]


def _longest_waits(bench: Bench, size: int) -> dict[str, float]:
    """Milliseconds by the name of the text; `nothing` while no text is sent."""
    with mockrec(bench, upload=True) as server, _Probe(server.port) as probe:
        waits = {"nothing": probe.longest(lambda: time.sleep(min(bench.seconds, 2.0)))}
        for name, (kind, unit) in _TEXTS.items():
            body = _text(unit, size)

            def send(kind: str = kind, body: bytes = body) -> None:
                _ask(server.port, "POST", "/upload", body, {"Content-Type": kind})

            waits[name] = probe.longest(send)
        head = {"X-Long": _text("password=", min(size, _HEAD_SIZE)).decode()}
        waits["a head"] = probe.longest(lambda: _ask(server.port, "GET", "/hello", None, head))
    return waits


def _text(unit: str, size: int) -> bytes:
    if "{number" in unit:
        text = "".join(unit.format(number=number) for number in range(size // len(unit.format(number=0))))
    else:
        text = unit * (size // len(unit))
    return text.encode("latin-1")


def _ask(port: int, method: str, path: str, body: bytes | None, fields: dict[str, str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(method, path, body, fields)
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            raise BenchError(f"{response.status} for {method} {path}")
    finally:
        connection.close()


class _Probe:
    """A client in a thread of its own that sends one request after another, and remembers the longest wait."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._stop = threading.Event()
        self._longest = 0.0
        self._since = time.perf_counter()

    def __enter__(self) -> _Probe:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._connection.close()

    def longest(self, call: Callable[[], None]) -> float:
        """Return the longest wait, in milliseconds, from the beginning of a call until after its end."""
        self._longest, self._since = 0.0, time.perf_counter()
        call()
        time.sleep(_PAUSE * 50)  # what was put off until after the response
        return self._longest * 1000

    def _run(self) -> None:
        for _ in self._moments():
            began = time.perf_counter()
            self._connection.request("GET", "/hello")
            self._connection.getresponse().read()
            if began >= self._since:
                self._longest = max(self._longest, time.perf_counter() - began)

    def _moments(self) -> Iterator[None]:
        while not self._stop.wait(_PAUSE):
            yield
