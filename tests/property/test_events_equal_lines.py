"""A connection from bytes to records: cut anywhere, the same bytes give the same records, and no bytes break it."""

from __future__ import annotations

import asyncio
import random
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import orjson
import pytest

from mockrec.engine.config import Limits, Timeouts, TlsSettings, UpstreamSettings
from mockrec.engine.errors import ConfigError
from mockrec.engine.recording.body_encoder import BodyEncoder
from mockrec.engine.recording.connection_log import ConnectionLog
from mockrec.engine.recording.exchange_log import ExchangeLog
from mockrec.engine.rules.language.load import load_rules
from mockrec.engine.server.connection import Connection
from mockrec.engine.server.context import ServerContext
from mockrec.engine.server.refusal import Refusals
from mockrec.engine.server.tls import Interception
from mockrec.engine.steps.compile import compile_rules
from mockrec.engine.steps.handlers import Handlers
from mockrec.engine.steps.spec import CompileContext
from mockrec.engine.steps.unmatched import explain_plan
from mockrec.engine.steps.webhook_delivery import Webhooks
from mockrec.engine.tls.client import ClientContexts
from mockrec.engine.transport.tcp import TcpStream
from mockrec.engine.upstream.client import UpstreamClient
from mockrec.engine.upstream.dialer import Dialer
from mockrec.engine.upstream.options import UpstreamOptions
from mockrec.formats.files.jsonl import encode_lines
from mockrec.formats.schema.events import DEFAULT_EVENTS, EVENT_TYPES, TERMINAL_TYPES, check_record

Record = dict[str, Any]

STREAMS = 2000
SECONDS = 20.0
RULES = """
version: 1
rules:
  - {when: {path: /get}, then: {reply: {headers: {X: y}, body: hello}}}
  - {when: {path: /text, bodyIncludes: b}, then: {reply: {body: has b}}}
  - {when: {path: /trailers}, then: [waitForBody, {reply: {body: x, trailers: {T: 1}}}]}
  - {when: {path: /wait}, then: [waitForBody, {emit: {type: t, data: {m: "{{ request.method }}"}}}, {reply: {status: 201}}]}
  - {when: {path: /hints}, then: [waitForBody, {informational: {status: 103}}, {stream: {chunks: [{data: a}, {data: b}]}}]}
  - {when: {path: /rpc}, then: {jsonRpc: {result: 1}}}
  - {when: {path: /close}, then: [waitForBody, close]}
  - {when: {path: /cut}, then: [waitForBody, {malformed: {truncateAfter: 1, body: abc}}]}
"""


async def _no_network(address: str, port: int) -> Any:
    raise AssertionError(f"nobody connects to {address}:{port} here")


def offline() -> tuple[UpstreamClient, UpstreamOptions]:
    """The way to servers, of which there are none."""
    return UpstreamClient(Dialer(_no_network, ClientContexts(), lambda host, port: False), 1 << 20), UpstreamOptions(
        UpstreamSettings()
    )


class ListLog:
    """Records as the lines that they are when they are added."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def add(self, record: Record) -> None:
        record["seq"] = len(self.lines)
        self.lines.append(encode_lines((record,)))

    def add_line(self, kind: str, record_id: str, rest: bytes) -> None:
        self.lines.append(b'{"seq":%d%b' % (len(self.lines), rest))

    def flush(self) -> None: ...

    def take(self) -> list[Record]:
        records = [orjson.loads(line) for line in self.lines]
        self.lines.clear()
        return records


class NoBackpressure:
    behind = False

    async def wait_for_room(self) -> None: ...


def _no_certificates() -> Any:
    raise ConfigError("there is no authority here")


class Place:
    """A server context that records into a list, and connections to it."""

    def __init__(self, types: tuple[str, ...]) -> None:
        loaded = load_rules(RULES.encode(), path="rules.yaml", folder="/", read_file=lambda path: b"", env={})
        self.rules = loaded.rule_file.rules
        self.log = ListLog()
        self.defects: list[BaseException] = []
        exchange_log = ExchangeLog(self.log, frozenset(types), BodyEncoder("decoded", 1000))
        upstream_client, options = offline()
        tools = CompileContext(Handlers(), Webhooks(upstream_client.dialer), upstream_client, options, random.Random(1))
        self.context = ServerContext(
            rules=compile_rules(self.rules, tools),
            unmatched=explain_plan(lambda: self.context.rules),
            exchange_log=exchange_log,
            backpressure=NoBackpressure(),
            timeouts=Timeouts(),
            limits=Limits(head=2048),
            cors=None,
            match_limit=1 << 20,
            log_limit=1000,
            report_defect=self.defects.append,
            upstream_client=upstream_client,
            upstream_options=options,
            interception=Interception(TlsSettings(), _no_certificates),
            connection_log=ConnectionLog(self.log, frozenset(types), BodyEncoder("decoded", 1000), keeps_data=False),
            is_local_endpoint=lambda host, port: False,
            refusals=Refusals(lambda text: None),
        )

    async def talk(self, pieces: list[bytes], *, leave: bool) -> tuple[bytes, list[Record]]:
        """Send pieces one after another, each when the one before has been taken; what comes back, and the records.

        With `leave` the client ends its side behind the last one, otherwise the server has to end the connection.
        """
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        answer = bytearray()

        async def receive() -> None:
            while piece := await loop.sock_recv(ours, 65536):
                answer.extend(piece)
            ours.shutdown(socket.SHUT_WR)  # the server may be waiting for us to have read everything

        with ours, anyio.fail_after(SECONDS):
            opened: list[TcpStream] = []
            await loop.connect_accepted_socket(lambda: TcpStream(opened.append), theirs)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(Connection(opened[0], self.context).serve)
                tasks.start_soon(receive)
                for piece in pieces:
                    try:
                        await loop.sock_sendall(ours, piece)
                    except (BrokenPipeError, ConnectionResetError):
                        break  # the server has heard enough
                    for _ in range(8):  # turns of the loop, in which the server takes it
                        await asyncio.sleep(0)
                if leave:
                    ours.shutdown(socket.SHUT_WR)
        records = self.log.take()
        for record in records:
            assert check_record(record) == [], record
        return bytes(answer), records


# ── requests ───────────────────────────────────────────────────────────────────────────────────────


def some_request(dice: random.Random, *, last: bool = False) -> bytes:
    """A request that is well-formed; the last one closes the connection."""
    method = dice.choice(["GET", "POST", "PUT", "HEAD", "OPTIONS"])
    path = dice.choice(["/get", "/text", "/trailers", "/wait", "/hints", "/rpc", "/none", "/get/../wait", "/get?a=b"])
    if last:
        path = dice.choice([path, "/close", "/cut"])
    body = b""
    fields = [b"Host: mock.test"]
    if method in ("POST", "PUT"):
        body = dice.choice(
            [b"", b"abc", b'{"jsonrpc": "2.0", "id": 1}', dice.randbytes(dice.randrange(3000)), b"\r\n\r\n"]
        )
        # Only what waits for its body is answered at the same point however the body is cut.
        path = "/wait" if path.startswith(("/get", "/none")) else path
    if body and dice.random() < 0.5:
        fields.append(b"Transfer-Encoding: chunked")
        at = dice.randrange(len(body))
        chunks = [chunk for chunk in (body[:at], body[at:]) if chunk]
        trailer = dice.choice([b"", b"X-Sum: 1\r\n"])
        body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + trailer + b"\r\n"
    elif body:
        fields.append(b"Content-Length: %d" % len(body))
    fields += dice.sample(
        [b"X-A: 1", b"x-a: 2", b"Cookie: a=b", b"Accept: */*", b"X-Long: " + b"x" * 300], dice.randrange(4)
    )
    if last:
        fields.append(b"Connection: close")
    return b"\r\n".join([f"{method} {path} HTTP/1.1".encode(), *fields, b"", b""]) + body


BROKEN = [
    b"nonsense\r\n\r\n",
    b"GET / HTTP/2.0\r\n\r\n",
    b"GET /wait HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n",
    b"GET /wait HTTP/1.1\r\n\r\n",
    b"POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST /wait HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /wait HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 3000 + b"\r\n\r\n",
    b"CONNECT mock.test:0 HTTP/1.1\r\nHost: a\r\n\r\n",
]


def conversation(dice: random.Random) -> bytes:
    """Requests on one connection, which the server ends."""
    ending = dice.choice(BROKEN) if dice.random() < 0.3 else some_request(dice, last=True)
    return b"".join(some_request(dice) for _ in range(dice.randrange(4))) + ending


def cut(dice: random.Random, data: bytes) -> list[bytes]:
    places = sorted(dice.sample(range(1, len(data)), min(len(data) - 1, dice.randrange(1, 8))))
    return [data[begin:end] for begin, end in zip([0, *places], [*places, len(data)], strict=True)]


# ── the same records ───────────────────────────────────────────────────────────────────────────────

_VARYING = frozenset(
    ("timestamp", "id", "connectionId", "requestId", "exchangeId", "timingEvents", "eventTimestamp", "duration", "date")
)


def equal_part(value: Any) -> Any:
    """A record but for times, ids and `Date`, and for how much of a broken request had come."""
    if isinstance(value, dict):
        if value.get("type") == "client-error":
            value = {key: item for key, item in value.items() if key != "request"}
        return {key: equal_part(item) for key, item in value.items() if key not in _VARYING}
    if isinstance(value, list):
        return [equal_part(item) for item in value if not (isinstance(item, list) and item[:1] == ["Date"])]
    return value


def without_date(answer: bytes) -> list[bytes]:
    return [line for line in answer.split(b"\r\n") if not line.startswith(b"Date: ")]


def run(test: Callable[[], Any]) -> None:
    asyncio.run(test())


@pytest.mark.parametrize("seed", range(120))
def test_however_the_bytes_are_cut_the_records_are_the_same(seed: int) -> None:
    async def test() -> None:
        dice = random.Random(seed)
        data = conversation(dice)
        results = []
        for pieces in ([data], cut(dice, data), cut(dice, data)):
            place = Place(DEFAULT_EVENTS)
            answer, records = await place.talk(pieces, leave=False)
            assert place.defects == []
            results.append(([equal_part(record) for record in records], without_date(answer)))
        assert results[0][0]
        for records, answer in results[1:]:
            assert records == results[0][0]
            assert answer == results[0][1]

    run(test)


def test_byte_by_byte() -> None:
    async def test() -> None:
        data = some_request(random.Random(3)) + some_request(random.Random(4), last=True)
        whole = await Place(DEFAULT_EVENTS).talk([data], leave=False)
        single = await Place(DEFAULT_EVENTS).talk([data[at : at + 1] for at in range(len(data))], leave=False)
        assert [equal_part(record) for record in single[1]] == [equal_part(record) for record in whole[1]]
        assert without_date(single[0]) == without_date(whole[0])

    run(test)


# ── any bytes ──────────────────────────────────────────────────────────────────────────────────────


FIELDS = [
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
    b"Expect: 100-continue\r\n",
    b"Content-Encoding: gzip\r\n",
]


def mutated(dice: random.Random, data: bytes) -> bytes:
    """The bytes with a few of them changed, lost, doubled or out of place."""
    out = bytearray(data)
    for _ in range(dice.randrange(1, 6)):
        at = dice.randrange(len(out) + 1)
        span = dice.randrange(1, 12)
        match dice.randrange(6):
            case 0:
                del out[at : at + span]
            case 1:
                out[at:at] = out[at : at + span]
            case 2:
                out[at:at] = dice.randbytes(span)
            case 3:
                out[at : at + 1] = dice.choice([b"\r", b"\n", b"\r\n", b"\x00", b":", b" ", b"\xff", b"0", b"\r\n\r\n"])
            case 4:
                line = out.find(b"\r\n", at) + 2 or at
                out[line:line] = dice.choice(FIELDS)
            case _:
                del out[at:]
    return bytes(out)


def streams(dice: random.Random) -> Iterator[bytes]:
    for number in range(STREAMS):
        yield dice.randbytes(dice.randrange(1, 200)) if number % 10 == 0 else mutated(dice, conversation(dice))


def test_no_bytes_break_a_connection() -> None:
    """Records or nothing; never a defect, never a connection that hangs; each exchange begins and ends once."""
    kinds: Counter[str] = Counter()

    async def test() -> None:
        dice = random.Random(20)
        place = Place(EVENT_TYPES)
        for data in streams(dice):
            pieces = cut(dice, data) if len(data) > 1 and dice.random() < 0.3 else [data] if data else []
            try:
                _, records = await place.talk(pieces, leave=True)
            except BaseException:
                print("the bytes:", pieces)
                raise
            assert place.defects == [], pieces
            first: dict[str, str] = {}
            ends: Counter[str] = Counter()
            for record in records:
                kinds[record["type"]] += 1
                if record["type"] not in ("client-error", "tls-client-error"):
                    first.setdefault(record["id"], record["type"])
                    ends[record["id"]] += record["type"] in TERMINAL_TYPES
            assert set(first.values()) <= {"request-initiated", "websocket-request"}, pieces
            assert set(ends.values()) <= {1}, pieces

    run(test)
    assert kinds["client-error"] > STREAMS / 4
    assert min(kinds[kind] for kind in ("request", "response", "abort", "websocket-request", "rule-event")) > 10
