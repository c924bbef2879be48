"""The lines of records that are encoded without a dict: byte for byte what orjson makes of the dict."""

from __future__ import annotations

from itertools import count
from threading import get_ident
from time import perf_counter_ns
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mockrec.engine import clock
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.message.target_uri import TargetUri, read_target_uri
from mockrec.engine.recording.body_encoder import BodyEncoder
from mockrec.engine.recording.event_log import EventLog
from mockrec.engine.recording.exchange_log import ExchangeLog
from mockrec.engine.redaction.redactor import Redactor
from mockrec.engine.wire.http1.request_head import read_head
from mockrec.engine.wire.parts import RequestHead, ResponseHead, header_table
from mockrec.formats.files.jsonl import encode_lines
from mockrec.formats.schema.events import EVENT_TYPES

TYPES = frozenset(EVENT_TYPES) - {"request-body-data", "response-body-data"}
CONNECTION = "01890a5d-ac00-7000-8000-000000000001"
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
MEDIA_TYPES = st.sampled_from(
    ["text/plain", "application/json", "text/html; charset=utf-16", "application/x-www-form-urlencoded"]
)
VALUES = st.one_of(
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=6).map(
        str.strip
    ),
    st.just("Bearer abcdef-0123456789"),
)
FIELDS = st.lists(st.tuples(st.sampled_from(["X-A", "Cookie", "Authorization", "Accept"]), VALUES), max_size=3)
BODIES = st.one_of(
    st.just(b""),
    st.binary(max_size=12),
    TEXTS.map(str.encode),
    st.sampled_from([b"Hello", b'{"password":"hunter2-hunter2"}', b"abcdef-0123456789", b"a" * 2000]),
)
NAMES = st.one_of(TEXTS, TEXTS, st.just("abcdef-0123456789"))
"""Texts outside of heads and bodies, which may be a secret of a head."""
TLS = st.one_of(st.none(), st.fixed_dictionaries({"sniHostname": NAMES, "alpn": st.lists(TEXTS, max_size=2)}))
CASES = st.fixed_dictionaries(
    {
        "target": st.sampled_from(["/", "/p?q=%22", "/a%5C?token=abcdef-0123456789", "http://other.test/x"]),
        "fields": FIELDS,
        "body": BODIES,
        "response": st.tuples(MEDIA_TYPES, FIELDS, BODIES),
        "scope": st.one_of(st.none(), NAMES),
        "rule": st.one_of(st.none(), NAMES),
        "continued": st.lists(NAMES, max_size=2),
        "tls": TLS,
        "ip": st.sampled_from(["127.0.0.1", "::1", "fe80::1%eth0", ""]),
        "tags": st.sampled_from(
            [
                (),
                (),
                ("socket-metadata:a",),
                ("replay-of:01890a5d-ac00-7000-8000-000000000002", "chained:header:x-request-id"),
                ("replay-of:abcdef-0123456789",),
                ("password=hunter2-hunter2", 'a"\u0000é'),
            ]
        ),
        "data": st.dictionaries(
            TEXTS.map("a".__add__), st.one_of(TEXTS, st.booleans(), st.integers(0, 9)), min_size=1, max_size=2
        ),
        "measured": st.dictionaries(TEXTS.map("b".__add__), st.floats(0, 1e5), max_size=2),
        "messages": st.lists(st.tuples(st.sampled_from(["received", "sent"]), BODIES, st.booleans()), max_size=2),
        "start": st.integers(0, 10**16),
        "limit": st.sampled_from([4, 1000]),
        "redact": st.booleans(),
    }
)


class Lines:
    """A log in memory."""

    behind = False

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.encoded = 0
        """Records that were added as lines."""

    def add(self, record: dict[str, Any]) -> None:
        record["seq"] = len(self.lines)
        self.lines.append(encode_lines((record,)))

    def add_line(self, kind: str, record_id: str, rest: bytes) -> None:
        self.encoded += 1
        self.lines.append(b'{"seq":%d%b' % (len(self.lines), rest))

    def flush(self) -> None: ...

    async def wait_for_room(self) -> None: ...


def rule(rule_id: str) -> Any:
    return SimpleNamespace(rule=SimpleNamespace(id=rule_id))


def lines_of(case: dict[str, Any], patch: pytest.MonkeyPatch, *, searched: bool) -> Lines:
    """The records of two equal exchanges, one after the other: what is remembered of the first is used for the second."""
    ticks, thread = count(case["start"], 123_456_700), get_ident()
    patch.setattr(clock, "_perf_counter_ns", lambda: next(ticks) if get_ident() == thread else perf_counter_ns())
    redactor = Redactor.of("default", {}, key=b"k" * 32) if case["redact"] else None
    log = Lines()
    exchanges = ExchangeLog(log, TYPES, BodyEncoder("decoded", case["limit"], redactor), redactor)
    client = ClientConnection(CONNECTION, case["ip"], 50000, 8000, tls=case["tls"])
    for number in range(2):
        exchange = exchange_of(case, client, exchanges)
        if not number:
            exchange.target.log_form = None  # equal heads are one object, also in another log
        exchange.id = f"01890a5d-ac00-7000-8000-00000000001{number}"
        if searched:
            exchanges.search_tags(exchange)
        log_exchange(case, exchange, exchanges)
    return log


def exchange_of(case: dict[str, Any], client: ClientConnection, exchanges: ExchangeLog) -> Exchange:
    lines = [f"POST {case['target']} HTTP/1.1", "Host: example.test", f"Content-Length: {len(case['body'])}"]
    lines += [f"{name}: {value}" for name, value in case["fields"]]
    head = read_head("\r\n".join([*lines, "", ""]).encode("latin-1"))
    assert isinstance(head, RequestHead), head
    target = read_target_uri(head, 8000)
    assert isinstance(target, TargetUri), target
    exchange = Exchange(head, target, client, None, exchanges, 1 << 20, 1 << 20)  # type: ignore[arg-type]
    exchange.scope = None if case["scope"] is None else SimpleNamespace(name=case["scope"])  # type: ignore[assignment]
    exchange.tags = case["tags"]
    return exchange


def log_exchange(case: dict[str, Any], exchange: Exchange, exchanges: ExchangeLog) -> None:
    exchanges.request_initiated(exchange)
    if case["body"]:
        exchange.take_data(case["body"])
    exchange.continued = tuple(map(rule, case["continued"]))
    exchange.take_end(())
    exchange.choose(None if case["rule"] is None else rule(case["rule"]))
    exchanges.passthrough_event(exchange, "passthrough-request-head", "request", case["data"], {}, rule_id="it")
    exchanges.passthrough_event(exchange, "passthrough-response-head", "response", case["data"], case["measured"])
    for direction, data, is_binary in case["messages"]:
        exchanges.websocket.message(exchange, direction, data, len(data), is_binary)
    content_type, fields, body = case["response"]
    raw = [["Content-Type", content_type], *map(list, fields)]
    exchange._start_response(PreparedResponse(200, body=body), ResponseHead(200, "OK", raw, header_table(raw)))
    exchange._end_response(body)


def dicts(self: EventLog, owner: Any, head: Any = None) -> bool:
    """`is_plain` that never returns True."""
    if head is not None and head.secrets is not None:
        self._remember(owner, head.secrets)
    return False


@settings(max_examples=100, deadline=None)
@given(CASES)
def test_lines_are_what_orjson_makes_of_the_records(case: dict[str, Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        found = lines_of(case, patch, searched=True)
        patch.setattr(EventLog, "is_plain", dicts)
        expected = lines_of(case, patch, searched=False)
    assert found.lines == expected.lines
    assert expected.encoded == 0
    assert found.encoded or any("\0" in tag for tag in case["tags"]) or case["redact"]
