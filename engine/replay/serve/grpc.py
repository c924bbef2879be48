"""Serve a recorded gRPC conversation: each answer after as many messages of the client as were recorded before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mockrec.engine import clock
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.message.response import PreparedResponse
from mockrec.engine.replay.serve.cassette import Cassette, Miss, RecordedExchange
from mockrec.engine.replay.serve.grpc_tape import SENT
from mockrec.engine.replay.serve.latency import Latency
from mockrec.engine.replay.serve.websocket import MISMATCH
from mockrec.engine.replay.session.fingerprint import fits
from mockrec.engine.steps import faults
from mockrec.engine.steps.timing import sleep_until
from mockrec.formats.operations.grpc.frames import join_frames, split_frames
from mockrec.formats.operations.grpc.messages import GrpcBody, read_body
from mockrec.formats.operations.grpc.protocol import messages_key

_ABORTED = "10"


async def find_conversation(exchange: Exchange, cassette: Cassette, host: str | None) -> RecordedExchange | Miss | None:
    """Return the recorded conversation that begins as the request does, once enough of it has arrived; the miss if
    it is stale; None if there is none: then the whole request decides."""
    messages = exchange.grpc
    assert messages is not None
    for count in cassette.conversations(exchange.view.path):
        if not await messages.wait_for(count, exchange):
            return None
        found = cassette.find_conversation(exchange.view, host, messages_key(_so_far(exchange), count))
        if found is not None:
            return found
    return None


def _so_far(exchange: Exchange) -> GrpcBody:
    """Return the messages that have arrived."""
    return read_body(exchange.request_body.kept, exchange.view.headers) or GrpcBody([])


async def serve_conversation(
    exchange: Exchange,
    cassette: Cassette,
    found: RecordedExchange,
    response: PreparedResponse,
    latency: Latency,
    *,
    is_open: bool,
) -> None:
    """Send the recorded response by its script. `is_open`: the client left before its end."""
    messages = exchange.grpc
    assert messages is not None
    course: Mapping[str, Any] = cassette.read(found.course)  # type: ignore[arg-type]
    frames = split_frames(response.body)
    answers = [join_frames([frame.data], flags=frame.flags) for frame in frames.frames]
    response.body = b""
    compared = expected = sent = 0
    begun_at, recorded_at = clock.now(), float(course["at"])
    for side, count, at in course["script"]:
        if side != SENT:
            expected += count
            if not await messages.wait_for(expected, exchange):
                _mismatch(exchange, cassette, found, f"the client has ended its request before message {expected}")
                await _end_early(exchange, response, expected - messages.received)
                return
            compared = _compare(exchange, cassette, found, course["messages"], compared, expected)
            begun_at, recorded_at = clock.now(), at
            continue
        await sleep_until(begun_at + max(0.0, at - recorded_at) * latency.factor)
        if not exchange.response_started:
            await exchange.begin(response)
        for data in answers[sent : sent + count]:
            await exchange.send(data)
        sent += count
    if not exchange.response_started:
        await exchange.begin(response)
    if is_open:
        await faults.never_respond(exchange)
    if course["waits"]:
        await exchange.wait_for_body()
    for data in [*answers[sent:], frames.rest]:
        await exchange.send(data)
    await exchange.finish()


def _compare(
    exchange: Exchange, cassette: Cassette, found: RecordedExchange, recorded: Any, start: int, end: int
) -> int:
    """Report the client's messages that differ from the recorded ones; return the number of those compared."""
    received = messages_key(_so_far(exchange), end)
    for number in range(start, min(end, len(recorded), len(received))):
        if not fits(recorded[number], received[number]):
            _mismatch(exchange, cassette, found, f"the client has sent something else in its message {number + 1}")
    return end


async def _end_early(exchange: Exchange, response: PreparedResponse, missing: int) -> None:
    """End a call whose client has ended it before the recorded answers are due."""
    text = f"the recording goes on with {missing} more messages of the client"
    response.trailers = (("grpc-status", _ABORTED), ("grpc-message", text))
    if not exchange.response_started:
        await exchange.begin(response)
    await exchange.finish(response.trailers)


def _mismatch(exchange: Exchange, cassette: Cassette, found: RecordedExchange, what: str) -> None:
    cassette.mismatch(f"{found.name}: {what}")
    exchange.log.rule_event(exchange, MISMATCH, {"recording": found.id, "message": what})
