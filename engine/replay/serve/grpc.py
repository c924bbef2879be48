"""Serve a recorded gRPC conversation: each answer after as many messages of the client as were recorded before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from mockrec.formats.operations.grpc.frames import Decompressor, Frame, join_frames, split_frames
from mockrec.formats.operations.grpc.media import is_protobuf
from mockrec.formats.operations.grpc.messages import GrpcBody, read_body
from mockrec.formats.operations.grpc.protocol import is_hash, message_key, messages_key
from mockrec.formats.operations.grpc.scanner import KEPT

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
    listener = _Listener(exchange, cassette, found, course["messages"])
    expected = sent = 0
    begun_at, recorded_at = clock.now(), float(course["at"])
    for side, count, at in course["script"]:
        if side != SENT:
            expected += count
            if not await messages.wait_for(expected, exchange):
                _mismatch(exchange, cassette, found, f"the client has ended its request before message {expected}")
                await _end_early(exchange, response, expected - messages.received)
                return
            listener.compare()
            begun_at, recorded_at = clock.now(), at
            continue
        await sleep_until(begun_at + max(0.0, at - recorded_at) * latency.factor)
        if not exchange.response_started:
            await exchange.begin(response)
        for data in answers[sent : sent + count]:
            await exchange.send(data)
        sent += count
    messages.heard = None
    if not exchange.response_started:
        await exchange.begin(response)
    if is_open:
        await faults.never_respond(exchange)
    if course["waits"]:
        await exchange.wait_for_body()
    for data in [*answers[sent:], frames.rest]:
        await exchange.send(data)
    await exchange.finish()


class _Listener:
    """Compares the client's messages with the recorded ones, each once."""

    def __init__(
        self, exchange: Exchange, cassette: Cassette, found: RecordedExchange, recorded: Sequence[Any]
    ) -> None:
        assert exchange.grpc is not None
        self._exchange = exchange
        self._cassette = cassette
        self._found = found
        self._recorded = recorded
        self._number = 0
        self._heard = exchange.grpc.heard = []
        self._encoding = str(exchange.view.headers.get("grpc-encoding", ""))
        self._protobuf = is_protobuf(exchange.view.content_type)
        for message in _so_far(exchange).messages[: exchange.grpc.received]:
            self._compare(message.data)

    def compare(self) -> None:
        """Compare the messages that have arrived since the last call."""
        heard, self._heard[:] = [*self._heard], []
        for message in heard:
            data = None
            if message.data is not None:
                frame = Frame(int(message.is_compressed), message.data)
                data, _ = Decompressor(self._encoding, 4 * KEPT).message(frame)
            self._compare(data)

    def _compare(self, data: bytes | None) -> None:
        """Compare the next message; None for a long one, whose bytes are not there."""
        number = self._number
        self._number += 1
        if number >= len(self._recorded) or data is None:
            return
        recorded = self._recorded[number]
        received = message_key(data, protobuf=self._protobuf, by_hash=is_hash(recorded))
        if not fits(recorded, received):
            what = f"the client has sent something else in its message {number + 1}"
            _mismatch(self._exchange, self._cassette, self._found, what)


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
