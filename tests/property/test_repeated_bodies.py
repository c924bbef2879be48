"""Bodies that come again: the log is the one of a recorder that makes the form of each anew."""

from __future__ import annotations

import gzip
from types import SimpleNamespace
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.body import MessageBody
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.message.target_uri import TargetUri, read_target_uri
from mockrec.engine.recording.body_encoder import BodyEncoder
from mockrec.engine.recording.exchange_log import ExchangeLog
from mockrec.engine.redaction.redactor import Redactor
from mockrec.engine.wire.http1.request_head import read_head
from mockrec.engine.wire.parts import RequestHead, ResponseHead, header_table
from mockrec.formats.files.jsonl import encode_line

SECRET = "abcdef-0123456789"
BODIES = st.sampled_from(
    [
        b"x" * 1_500,
        b"x" * 700 + b"y" + b"x" * 799,
        b"z" * 2_500,
        b'{"password": "hunter2-hunter2", "a": "' + b"b" * 1_200,
        b"c" * 1_100 + SECRET.encode() + b"c" * 100,
        b"short",
        b"\x89PNG\xff" * 300,
        gzip.compress(b"d" * 5_000 + SECRET.encode(), mtime=0),
    ]
)
EXCHANGES = st.lists(
    st.fixed_dictionaries(
        {
            "request": BODIES,
            "response": BODIES,
            "pieces": st.booleans(),
            "relayed": st.booleans(),
            "authorization": st.sampled_from(["", "", f"Bearer {SECRET}"]),
            "cookie": st.sampled_from(["", "", f"id={SECRET}"]),
            "coding": st.sampled_from(["", "", "gzip"]),
            "type": st.sampled_from(["text/plain", "application/json", "application/grpc"]),
            "tags": st.sampled_from([(), (), (f"password={SECRET}",)]),
        }
    ),
    min_size=2,
    max_size=8,
)


class ListedLog:
    """Lists the lines that it gets."""

    behind = False

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def add(self, record: dict[str, Any]) -> None:
        record["seq"] = 0
        self.lines.append(encode_line(record))

    def add_line(self, kind: str, record_id: str, rest: bytes) -> None:
        self.lines.append(b'{"seq":0' + rest)

    def flush(self) -> None:
        pass


def fields(case: dict[str, Any], name: str, secret: str) -> list[list[str]]:
    raw = [["Content-Type", case["type"]]]
    if case["coding"]:
        raw.append(["Content-Encoding", case["coding"]])
    return [*raw, [name, secret]] if secret else raw


def played(case: dict[str, Any], number: int, log: ExchangeLog) -> None:
    """One exchange, from its head to its response."""
    client = ClientConnection("01890a5d-ac00-7000-8000-000000000001", "127.0.0.1", 50000, 8000)
    lines = ["POST /a HTTP/1.1", "Host: a.test", f"Content-Length: {len(case['request'])}"]
    lines += [f"{name}: {value}" for name, value in fields(case, "Authorization", case["authorization"])]
    head = read_head("\r\n".join([*lines, "", ""]).encode())
    assert isinstance(head, RequestHead)
    target = read_target_uri(head, 8000)
    assert isinstance(target, TargetUri)
    target.log_form = None
    exchange = Exchange(head, target, client, None, log, 1 << 20, 1 << 20)  # type: ignore[arg-type]
    exchange.id = f"01890a5d-ac00-7000-8000-1{number:011}"
    exchange.tags = case["tags"]
    log.request_initiated(exchange)
    exchange.take_data(case["request"])
    exchange.take_end(())
    exchange.choose(SimpleNamespace(rule=SimpleNamespace(id="it")))  # type: ignore[arg-type]
    raw = fields(case, "Set-Cookie", case["cookie"])
    response = PreparedResponse(200, body=case["response"], relayed=case["relayed"])
    exchange._start_response(response, ResponseHead(200, "OK", raw, header_table(raw)))
    if case["pieces"]:
        exchange.response_body = MessageBody(1 << 20)
        exchange.response_body.add(case["response"][:1000])
        exchange.response_body.add(case["response"][1000:])
    exchange._end_response(None if case["pieces"] else case["response"])


def logged(exchanges: list[dict[str, Any]], mode: str, *, repeats: bool) -> tuple[list[bytes], int, int]:
    """The lines of the log without their times, and how many secrets and cut bodies were counted."""
    redactor = Redactor.of("default", {}, key=b"k" * 32)
    assert redactor is not None
    log, bodies = ListedLog(), BodyEncoder(mode, 2_000, redactor)
    exchange_log = ExchangeLog(log, frozenset({"request", "response"}), bodies, redactor)  # type: ignore[arg-type]
    if not repeats:
        exchange_log._repeated.text = lambda *more: None  # type: ignore[method-assign]
    for number, case in enumerate(exchanges):
        played(case, number, exchange_log)
    if repeats and any(kept[1] for kept in exchange_log._repeated._kept.values()):
        event("a body came again")
    return log.lines, redactor.count, bodies.truncated


def without_times(line: bytes) -> dict[str, Any]:
    import orjson

    record: dict[str, Any] = orjson.loads(line)
    for name in ("timestamp", "timingEvents", "duration"):
        record.pop(name, None)
    return record


@settings(max_examples=150)
@given(EXCHANGES, st.sampled_from(["decoded", "raw", "both"]))
def test_the_log_is_the_same(exchanges: list[dict[str, Any]], mode: str) -> None:
    exchanges = [
        one | {"request": two["request"]} for one, two in zip(exchanges, [exchanges[0], *exchanges], strict=False)
    ]
    lines, secrets, cut = logged(exchanges, mode, repeats=True)
    expected, expected_secrets, expected_cut = logged(exchanges, mode, repeats=False)
    assert [without_times(line) for line in lines] == [without_times(line) for line in expected]
    assert [list(without_times(line)) for line in lines] == [list(without_times(line)) for line in expected]
    assert (secrets, cut) == (expected_secrets, expected_cut)
