"""The encoded form of the records that every exchange has: each is the line that orjson makes of its dict.

Most records of an exchange differ from those of the exchange before only in ids, times and numbers. These functions put
such values between pieces that are encoded already, which takes a third of what it takes to build a dict and encode it.
The dicts are built in `exchange_records.py`, and a test compares both over random exchanges. A line cannot be searched
for secrets any more, so it is only for records without secrets, also in their tags (`EventLog.is_plain`).

Each function returns the line after its number, from the comma to the line break; see `Recorder.add_line`. Only
`exchange_lines` returns whole lines. Times are monotonic milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from mockrec.engine import clock
from mockrec.engine.bounded_cache import remember
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.message.state import ExchangeState
from mockrec.engine.recording.envelope import Record, timing_of
from mockrec.engine.recording.logged_exchange import LoggedExchange, MessageForms
from mockrec.engine.recording.record_cache import LogForm
from mockrec.formats.files.jsonl import encode_value

EMPTY_BODY_TEXT: Final = b'{"size":0,"text":""}'
NO_TAGS: Final = b"[]"

_MOST: Final = 1024
_rule_ids: dict[str, bytes] = {}
"""The encoded ids of rules, and of what stands for one."""

_second_and_micros = clock.second_and_micros
_dumps = orjson.dumps
"""Of numbers and objects of numbers, which need no `encode_value`."""


def request_initiated_line(exchange: LoggedExchange, head: LogForm, tags: bytes = NO_TAGS) -> bytes:
    """Return the line of a `request-initiated` record, with encoded `tags`. It may be made later: what has happened
    since is not in it."""
    started_at = exchange.started_at
    second, micros = _second_and_micros(started_at)
    address, tls = _client(exchange.client)
    return b',"type":"request-initiated","timestamp":"%b%06dZ"%b,%b%b,"timingEvents":%b,"tags":%b%b}\n' % (
        second,
        micros,
        exchange.line_ids or _ids(exchange),
        head.text,
        address,
        _dumps({"startTime": exchange.start_time, "startTimestamp": started_at}),
        tags,
        tls,
    )


def request_line(kind: str, exchange: LoggedExchange, head: LogForm, now: float, body: bytes) -> bytes:
    """Return the line of a `request` or `websocket-request` record without trailers; `body` is the encoded body."""
    return _request_line(kind, exchange, head, now, body, timing_of(exchange), exchange.line_tags)


def short_request_line(exchange: LoggedExchange, head: LogForm, now: float) -> bytes:
    """Return the line of the `request` record of a request without a body and tags. It may be made later than `now`:
    what has happened since is not in it."""
    timing: Record = {
        "startTime": exchange.start_time,
        "startTimestamp": exchange.started_at,
        "bodyReceivedTimestamp": exchange.body_received_at,
    }
    return _request_line("request", exchange, head, now, EMPTY_BODY_TEXT, timing, NO_TAGS)


def _request_line(
    kind: str, exchange: LoggedExchange, head: LogForm, now: float, body: bytes, timing: Record, tags: bytes
) -> bytes:
    second, micros = _second_and_micros(now)
    address, tls = _client(exchange.client)
    return b',"type":"%b","timestamp":"%b%06dZ"%b,%b%b,"timingEvents":%b,"tags":%b%b%b,"body":%b%b}\n' % (
        kind.encode(),
        second,
        micros,
        exchange.line_ids or _ids(exchange),
        head.text,
        address,
        _dumps(timing),
        tags,
        _rules(exchange),
        tls,
        body,
        _operation(head),
    )


def response_line(
    exchange: LoggedExchange, head: LogForm, request: LogForm, now: float, end: float, body: bytes
) -> bytes:
    """Return the line of a `response` record without trailers. `request` is the log form of the request head, `end` the
    time at which the response was sent, `body` the encoded body."""
    second, micros = _second_and_micros(now)
    return (
        b',"type":"response","timestamp":"%b%06dZ"%b,%b,"timingEvents":%b,"tags":%b,%b%b,"duration":%b,"body":%b}\n'
    ) % (
        second,
        micros,
        exchange.line_ids or _ids(exchange),
        head.text,
        _dumps(timing_of(exchange)),
        exchange.line_tags,
        request.outcome,
        _rules(exchange),
        _dumps(_duration(exchange, end)),
        body,
    )


_EXCHANGE: Final = (
    b'{"seq":%d,"type":"request-initiated","timestamp":"%b%06dZ"%b,%b%b,"timingEvents":{"startTime":%b,'
    b'"startTimestamp":%b},"tags":[]%b}\n'
    b'{"seq":%d,"type":"request","timestamp":"%b%06dZ"%b,%b%b,"timingEvents":{"startTime":%b,"startTimestamp":%b,'
    b'"bodyReceivedTimestamp":%b},"tags":[]%b%b,"body":{"size":0,"text":""}%b}\n'
    b'{"seq":%d,"type":"response","timestamp":"%b%06dZ"%b,%b,"timingEvents":{"startTime":%b,"startTimestamp":%b,'
    b'"bodyReceivedTimestamp":%b,"headersSentTimestamp":%b,"responseSentTimestamp":%b},"tags":[],%b%b,"duration":%b,'
    b'"body":%b}\n'
)
"""The lines of `request_initiated_line`, `short_request_line` and `response_line`, with their numbers."""


def exchange_lines(
    exchange: LoggedExchange,
    request: LogForm,
    response: LogForm,
    requested_at: float,
    now: float,
    body: bytes,
    number: int,
    step: int,
) -> bytes | None:
    """Return the three lines of an exchange without a request body, whose response was sent whole; None if they have to
    be made one by one. `requested_at` and `now` are the times of the records of request and response, `number` is the
    first number and `step` the difference between two."""
    micros = clock.same_second(exchange.started_at, requested_at, now)
    sent_at = exchange.response_sent_at
    if micros is None or sent_at is None or exchange.aborted_at is not None:
        return None
    second, first, middle, last = micros
    times = (
        exchange.start_time,
        exchange.started_at,
        exchange.body_received_at,
        exchange.headers_sent_at,
        sent_at,
        _duration(exchange, sent_at),
    )
    start, started, received, headers_sent, sent, duration = _dumps(times)[1:-1].split(b",")
    ids = exchange.line_ids or _ids(exchange)
    address, tls = _client(exchange.client)
    rules = _rules(exchange)
    text = request.text
    return _EXCHANGE % (
        number, second, first, ids, text, address, start, started, tls,
        number + step, second, middle, ids, text, address, start, started, received, rules, tls, _operation(request),
        number + step + step, second, last, ids, response.text, start, started, received, headers_sent, sent,
        request.outcome, rules, duration, body,
    )  # fmt: skip


def rule_event_line(
    exchange: LoggedExchange, rule_id: str, kind: str, now: float, data: LogForm, measured: Mapping[str, Any]
) -> bytes:
    """Return the line of a `rule-event` record, whose data are `data` and `measured`."""
    second, micros = _second_and_micros(now)
    return (
        b',"type":"rule-event","timestamp":"%b%06dZ"%b,"requestId":"%b","ruleId":%b,"eventType":"%b","eventData":{%b%b}'
        b"}\n"
    ) % (
        second,
        micros,
        exchange.line_ids or _ids(exchange),
        exchange.id.encode(),
        _rule_ids.get(rule_id) or _rule_id(rule_id),
        kind.encode(),
        data.text,
        b"," + _dumps(measured)[1:-1] if measured else b"",
    )


def websocket_message_line(
    exchange: LoggedExchange, direction: str, now: float, content: bytes, *, is_binary: bool
) -> bytes:
    """Return the line of a `websocket-message-received` or `-sent` record; `content` is the encoded body."""
    second, micros = _second_and_micros(now)
    before, middle, after = _message_pieces(exchange, direction)
    return b'%b%b%06dZ%b%b,"isBinary":%b,"eventTimestamp":%b%b' % (
        before,
        second,
        micros,
        middle,
        content,
        b"true" if is_binary else b"false",
        _dumps(now),
        after,
    )


def _message_pieces(exchange: LoggedExchange, direction: str) -> tuple[bytes, bytes, bytes]:
    """Return what is equal in all messages of a WebSocket: before the time, before the content, and at the end."""
    milestones = (
        exchange.body_received_at,
        exchange.headers_sent_at,
        exchange.response_sent_at,
        exchange.ws_accepted_at,
        exchange.ws_closed_at,
        exchange.aborted_at,
        exchange.line_tags,
    )
    forms = exchange.message_forms
    if forms is None or forms.milestones != milestones:
        forms = exchange.message_forms = MessageForms(milestones)
    return forms.pieces.get(direction) or _make_pieces(exchange, direction, forms)


def _make_pieces(exchange: LoggedExchange, direction: str, forms: MessageForms) -> tuple[bytes, bytes, bytes]:
    side = direction.encode()
    forms.pieces[direction] = pieces = (
        b',"type":"websocket-message-%b","timestamp":"' % side,
        b'"%b,"streamId":"%b","direction":"%b","content":'
        % (exchange.line_ids or _ids(exchange), exchange.id.encode(), side),
        b',"timingEvents":%b,"tags":%b}\n' % (_dumps(timing_of(exchange)), exchange.line_tags),
    )
    return pieces


def _ids(exchange: LoggedExchange) -> bytes:
    """Return what `envelope` adds after the time. It is the same in all records of the exchange, which keeps it."""
    ids = b',"id":"%b","connectionId":"%b"' % (exchange.id.encode(), exchange.client.connection_id.encode())
    if exchange.scope is not None:
        ids += b',"scope":' + encode_value(exchange.scope.name)
    exchange.line_ids = ids
    return ids


def _client(client: ClientConnection) -> tuple[bytes, bytes]:
    """Return the address of the client and its `tlsMetadata`, as `request_record` adds them. All requests of the
    connection have the same."""
    form = client.log_form
    if isinstance(form, _ClientForm) and form.tls is client.tls and form.port == client.port and form.ip == client.ip:
        return form.pieces
    form = client.log_form = _ClientForm(client)
    return form.pieces


class _ClientForm:
    """What is kept of a connection between two records."""

    __slots__ = ("ip", "pieces", "port", "tls")

    def __init__(self, client: ClientConnection) -> None:
        address = b',"remoteIpAddress":%b,"remotePort":%b' % (encode_value(client.ip), encode_value(client.port))
        self.tls = client.tls
        self.ip, self.port = client.ip, client.port  # those of a replay change with its connections
        self.pieces = address, b',"tlsMetadata":' + encode_value(client.tls) if client.tls else b""


def _rules(exchange: ExchangeState) -> bytes:
    """Return what `add_rules` adds."""
    rule = exchange.rule
    if rule is None and not exchange.continued:
        return b""
    text = b""
    if rule is not None:
        rule_id = rule.rule.id
        text = b',"matchedRuleId":' + (_rule_ids.get(rule_id) or _rule_id(rule_id))
    if exchange.continued:
        text += b',"continuedRuleIds":' + encode_value([rule.rule.id for rule in exchange.continued])
    return text


def _operation(head: LogForm) -> bytes:
    return b"" if head.operation is None else b',"operation":' + encode_value(head.operation)


def _duration(exchange: LoggedExchange, end: float) -> float:
    """Return what `add_outcome` adds: times are whole tenths of a microsecond, so this is `round` in a third of its
    time."""
    return int((end - exchange.started_at) * 10_000.0 + 0.5) / 10_000.0


def _rule_id(rule_id: str) -> bytes:
    return remember(_rule_ids, rule_id, encode_value(rule_id), _MOST)
