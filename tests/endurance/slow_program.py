"""The same texts, said to the real program, while a second client measures how long it waits for its answers."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random

import httpx
from program import Failed, Program, want
from slow_words import WORDS, Pump, random_pump
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

WAIT_SECONDS = 0.05
"""How long a client may wait because of another one's text."""
_TEXT_BYTES = 1024 * 1024
_REPEATED = 3
_LIMIT = "200ms"
_PAUSE = 0.002

RULES = r"""version: 1
server: {limits: {matchTime: LIMIT}}
REDACTION
rules:
  - {when: {path: /hello}, then: {reply: {body: hello}}}
  - {when: {path: /socket}, then: {script: [{expect: {regex: '(a+)+$', jsonIncludes: {a: [1]}}}, {send: end}]}}
  - {when: {path: /change}, then: {forward: {to: 'TARGET', request: {matchReplaceBody: [['a.*b|a', x]]}}}}
  - {when: {path: /call}, then: {jsonRpc: {result: 1}}}
  - {when: {path: /template}, then: {reply: {template: true, body: '{{ request.query.a }}{{ request.headers.x }}'}}}
  - when:
      path: /m
      anyOf:
        - {bodyRegex: '(a+)+b.*(x|y)*$'}
        - {bodyRegex: {regex: '^(a|a)*$', syntax: python}}
        - {bodyIncludes: aabaab}
        - {form: {a: {regex: '(a+)+$'}}}
        - {multipart: [{name: b, content: x}]}
        - {json: {a: [1, {b: [2]}]}}
        - {jsonIncludes: [1, x, {a: 2}, [[1]]]}
        - {jsonPath: {'$..a[?@.b > 1].c': 1}}
        - {jsonPath: {'$..a..b': {regex: '(a*)*b'}}}
        - {jsonSchema: {uniqueItems: true, items: {$ref: '#'}}}
        - {jsonRpc: {method: a, params: [{a: 1}]}}
        - {query: {a: {regex: '(a+)+$', syntax: python}}}
        - {headers: {x: {regex: '(a+)+$'}}}
    then: {reply: {body: matched}}
"""

KINDS: dict[str, str] = {
    "text": "text/plain",
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
    "multipart": "multipart/form-data; boundary=s",
    "lines": "text/event-stream",
}


class Waiting:
    """A client that asks for something plain, again and again, until it is left; how long it has waited at most."""

    def __init__(self, port: int) -> None:
        self.longest = 0.0
        self.count = 0
        self._sock = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Waiting:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._sock.close()

    def _ask(self) -> None:
        while not self._ended.is_set():
            started = time.monotonic()
            self._sock.sendall(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            said = b""
            while not said.endswith(b"hello"):
                data = self._sock.recv(4096)
                if not data:
                    return
                said += data
            self.longest = max(self.longest, time.monotonic() - started)
            self.count += 1
            self._ended.wait(_PAUSE)


# ── what is said ───────────────────────────────────────────────────────────────────────────────────


def _http1(port: int, kind: str, data: bytes) -> None:
    with httpx.Client(timeout=60, trust_env=False) as client:
        for path in ("/m", "/change", "/call"):
            client.post(f"http://127.0.0.1:{port}{path}", content=data, headers={"content-type": kind})


def _http2(port: int, kind: str, data: bytes) -> None:
    with httpx.Client(http1=False, http2=True, timeout=60, trust_env=False) as client:
        client.post(f"http://127.0.0.1:{port}/m", content=data, headers={"content-type": kind})


def _head(port: int, kind: str, data: bytes) -> None:
    """In the URL and in fields, as much as a head may have."""
    clean = bytes(byte for byte in data[: 28 * 1024] if 0x20 < byte < 0x7F)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        for path in (b"/template", b"/m"):
            head = b"GET %b?a=%b HTTP/1.1\r\nHost: a\r\nCookie: %b\r\nX: %b\r\n\r\n" % (
                *(path, clean.replace(b"#", b"")),
                *(clean[: 16 * 1024], clean[: 16 * 1024]),
            )
            sock.sendall(head)
            if not sock.recv(65536):
                return


def _websocket(port: int, kind: str, data: bytes) -> None:
    with suppress(WebSocketException), connect(f"ws://127.0.0.1:{port}/socket", max_size=None) as talk:
        talk.send(data.decode("utf-8", "replace"))
        talk.recv(60)


WAYS: dict[str, Callable[[int, str, bytes], None]] = {
    "HTTP/1": _http1,
    "HTTP/2": _http2,
    "head": _head,
    "WebSocket": _websocket,
}


def slow_program(
    folder: Path, *, smoke: bool, hours: float = 1.0, log: Path | None = None, areas: Sequence[str] = ()
) -> str:
    """Say such texts for so long. Raises Failed with those that made the other client wait."""
    chance = Random(1 if smoke else None)
    found: list[str] = []
    tried, worst = 0, 0.0
    redacts = "redaction" in areas
    server = _Server()
    rules = RULES.replace("LIMIT", _LIMIT).replace("TARGET", server.url)
    rules = rules.replace("REDACTION", "" if redacts else "record: {redact: none}")
    with server, Program(folder, rules=rules) as program, (log or folder / "slow-program.log").open("a") as file:
        with Waiting(program.port) as idle:
            time.sleep(0.5)
        for way, kind, pump in _work_list(chance, smoke=smoke, seconds=hours * 3600, redacts=redacts):
            waited = _waited(program, way, kind, pump, 1 if smoke else _REPEATED)
            tried += 1
            worst = max(worst, waited)
            if waited > WAIT_SECONDS:
                told = f"{way} {kind}: {pump}: the other client waited {waited * 1000:.0f} ms"
                found.append(told)
                file.write(f"{told}\n")
                file.flush()
        program.stop()
        want("a defect in mockrec" not in program.stderr, f"a text made a defect: {program.stderr}")
        file.write(f"{tried} texts, {len(found)} findings; an idle program: {idle.longest * 1000:.0f} ms\n")
    if smoke:  # other tests run beside it, which nobody can tell from a hold
        want(worst < 5, f"a client waited {worst:.1f} s")
    elif found:
        raise Failed(f"{len(found)} of {tried} texts made others wait:\n" + "\n".join(found))
    return f"{tried} texts of 1 MB; the longest wait of another client {worst * 1000:.0f} ms (idle: {idle.longest * 1000:.0f})"


def _waited(program: Program, way: str, kind: str, pump: Pump, tries: int) -> float:
    """The longest wait, at the best of a few tries: a busy machine makes clients wait as well."""
    data = pump.text(_TEXT_BYTES).encode("utf-8", "surrogatepass")[:_TEXT_BYTES]
    best = float("inf")
    for _ in range(tries):
        with Waiting(program.port) as other, suppress(httpx.HTTPError, OSError):
            WAYS[way](program.port, KINDS[kind], data)
        best = min(best, other.longest)
        if best <= WAIT_SECONDS:
            break
    return best


def _work_list(chance: Random, *, smoke: bool, seconds: float, redacts: bool) -> Iterator[tuple[str, str, Pump]]:
    ends = time.monotonic() + seconds
    first = [
        ("HTTP/1", "json", Pump("[", '{"a":[{"b":%d}]},', "1]")),
        ("HTTP/1", "json", Pump("[", "1,", "2]")),
        ("HTTP/1", "text", Pump("", "a", "!")),
        ("HTTP/2", "form", Pump("", "a=%d&", "")),
        ("HTTP/2", "multipart", Pump("", "\r\n--s\r\na:b\r\n\r\nx", "\r\n--s--")),
        ("head", "text", Pump("", "a", "!")),
        ("WebSocket", "json", Pump('{"a":[', "%d,", "1]}")),
        ("WebSocket", "json", Pump("", '{"a":', "")),
    ]
    if smoke:
        yield from (first[0], first[4], *first[6:])
        return
    yield from first
    while time.monotonic() < ends:
        way, kind = chance.choice(list(WAYS)), chance.choice(list(KINDS))
        words = (*WORDS[kind], *(WORDS["secret"] if redacts else ()))
        yield way, kind, random_pump(words, chance)


class _Server:
    """What requests are passed on to: it answers everything with 204."""

    def __init__(self) -> None:
        self._sock = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._sock.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> _Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._sock.accept()
            except OSError:
                return
            threading.Thread(target=_answer, args=(sock,), daemon=True).start()


def _answer(sock: socket.socket) -> None:
    with sock, suppress(OSError), sock.makefile("rb") as stream:
        while line := stream.readline():
            length = 0
            while line not in (b"\r\n", b""):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
                line = stream.readline()
            stream.read(length)
            sock.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
