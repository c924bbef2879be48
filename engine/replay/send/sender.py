"""Sends a session to servers: each request at its time and in the order of its client connection, with a limit on
concurrent requests.

The session is read while it is sent. Each recorded connection has a `ConnectionSender`: a client of its own towards the
servers. A request waits for those of its connection that had ended when it began in the recording, so requests that
were concurrent on one HTTP/2 connection are concurrent again.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup

from mockrec.engine import clock
from mockrec.engine.ids import new_id
from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.replay.chain.chains import Chains
from mockrec.engine.replay.send.pace import Pace, PacingReport
from mockrec.engine.replay.send.recorded_exchange import SendContext
from mockrec.engine.replay.send.request import RequestReplay
from mockrec.engine.replay.send.survey import ClientAbort, Judgement, SurveyedRequest, judge
from mockrec.engine.replay.send.target import Server, Targets, outgoing
from mockrec.engine.replay.send.websocket import WebSocketReplay
from mockrec.engine.replay.session.editable import EditableRequest
from mockrec.engine.replay.session.requests import RecordedMessage, RecordedRequest, RecordedResponse
from mockrec.engine.steps.timing import sleep_until
from mockrec.engine.usercode.calls import own_call

_BATCH = 64
"""Records that are read from the session in one call."""
_AHEAD = 2000
"""Requests that are read before those ahead of them are done."""
_BYTES_AHEAD = 32 * 1024 * 1024
_IDLE_SENDERS = 128
"""Recorded connections without a request under way that keep their connections to servers."""
_EXAMPLES = 1000
_AT_ONCE = 32 * 1024
"""The longest body, in bytes, that is searched in the event loop."""


@dataclass(slots=True, eq=False)
class ConnectionSender:
    """A client of the replay for one recorded client connection."""

    client: ClientConnection
    running: dict[str, _Job] = field(default_factory=dict)
    """The id of each request that is under way or waits → its job."""
    last: list[_Job] = field(default_factory=list)
    """The jobs that a request without concurrent ones waits for."""


@dataclass(slots=True, eq=False)
class _Job:
    """A request that will be sent."""

    request: RecordedRequest
    sender: ConnectionSender
    due: float
    waits: Sequence[_Job]
    """The jobs that have to be over before this one."""
    size: int
    judged: SurveyedRequest
    server: Server
    replay: RequestReplay | WebSocketReplay | None = None
    problem: str = ""
    is_over: bool = False
    then: _Job | None = None
    """A job that waits for this one alone: the task of this one goes on with it, which takes no task and no event."""
    _over: anyio.Event | None = None

    async def wait(self) -> None:
        """Return when it is over."""
        if not self.is_over:
            if self._over is None:
                self._over = anyio.Event()
            await self._over.wait()

    def end(self) -> None:
        """It is over now."""
        self.is_over = True
        if self._over is not None:
            self._over.set()

    @property
    def what(self) -> str:
        """The request, for messages."""
        draft, outgoing = self.judged.draft, self.judged.outgoing
        return f"{draft.method} {draft.target if outgoing is None else outgoing[0].url}"


@dataclass(slots=True)
class SendProgress:
    """The progress of a replay."""

    sent: int = 0
    done: int = 0
    failed: int = 0
    skipped: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    """Request and reason of a failure → how often."""
    fidelity: PacingReport = field(default_factory=PacingReport)


@dataclass(frozen=True, slots=True)
class Sends:
    """How a replay sends each request."""

    targets: Targets
    pace: Pace
    concurrency: int
    fill: Callable[[EditableRequest], None]
    fill_message: Callable[[bytes], bytes]
    folder: Path | None
    """The folder of the session's bodies in files of their own."""
    left: Mapping[str, ClientAbort]
    silenced: frozenset[str]
    """Ids of WebSockets that must not be sent."""
    chains: Chains


def _next_batch(
    found: Iterator[RecordedRequest | RecordedMessage | RecordedResponse],
) -> list[RecordedRequest | RecordedMessage | RecordedResponse]:
    """The next records of a session. It may be a pipe, from which nothing arrives for a long time."""
    return list(islice(found, _BATCH))


class Sender:
    """Sends a session once, or several times one after another."""

    def __init__(self, sends: Sends, context: SendContext, progress: SendProgress) -> None:
        self._sends = sends
        self._context = context
        self._progress = progress
        self._judgement = Judgement(sends.targets, sends.fill, sends.folder)
        self._slots = anyio.Semaphore(sends.concurrency, fast_acquire=True)
        self._senders: OrderedDict[str, ConnectionSender] = OrderedDict()
        self._websockets: dict[str, WebSocketReplay] = {}
        self._waiting = 0
        self._bytes = 0
        self._progressed = anyio.Event()
        self._number = 0
        self._first: float | None = None
        """When the first request was recorded."""
        self._started = 0.0
        """When it was sent, in monotonic milliseconds."""

    async def send(self, found: Iterator[RecordedRequest | RecordedMessage | RecordedResponse]) -> None:
        """Send a session from its first request to its last; return when all responses are complete."""
        self._first, self._number = None, 0
        try:
            async with anyio.create_task_group() as group:
                while batch := await own_call(_next_batch, found):
                    for one in batch:
                        if isinstance(one, RecordedRequest):
                            await self._take(one, group)
                        elif (websocket := self._websockets.get(one.id)) is not None:
                            await websocket.script.add(one.record)
                for websocket in self._websockets.values():
                    websocket.script.end()
        finally:
            for sender in self._senders.values():
                self._context.upstream_client.close_pool(sender.client)
            self._senders.clear()
            self._websockets.clear()

    async def _take(self, request: RecordedRequest, group: TaskGroup) -> None:
        while self._waiting >= _AHEAD or self._bytes > _BYTES_AHEAD:
            self._progressed = anyio.Event()
            await self._progressed.wait()
        if self._first is None:
            self._first, self._started = request.began, clock.now()
        due = self._started + self._sends.pace.due(self._number, request.began - self._first) * 1000.0
        judged = await self._judge(request)
        if judged.reason or request.id in self._sends.silenced:
            self._progress.skipped += 1
            return
        self._number += 1
        sender = self._sender_for(request.connection)
        server = judged.server
        assert server is not None
        waits = [one for one in self._before(request, sender) if not one.is_over]
        job = _Job(request, sender, due, waits, len(judged.draft.body), judged, server)
        is_wanted = self._sends.chains.expect(request.id)
        self._make(job)
        if isinstance(job.replay, RequestReplay):
            job.replay.keeps_response = is_wanted
        sender.running[request.id] = job
        sender.last.append(job)
        self._waiting += 1
        self._bytes += job.size
        if len(waits) == 1 and waits[0].then is None:
            job.waits, waits[0].then = (), job
        else:
            group.start_soon(self._run, job)

    async def _judge(self, request: RecordedRequest) -> SurveyedRequest:
        sends, find = self._sends, None
        if sends.chains.plan.values:
            find = partial(sends.chains.plan.links, order=request.order, began=request.began)
        body = request.record.get("body")
        size = body.get("size") if isinstance(body, Mapping) else 0
        if isinstance(size, int) and size > _AT_ONCE:  # searching it takes a while
            return await own_call(judge, request, sends.targets, sends.fill, sends.folder, find)
        return self._judgement.of(request, find)

    def _make(self, job: _Job) -> None:
        """Make the request of a job; make it again after values from responses have been put into it."""
        recorded, judged, sends = job.request, job.judged, self._sends
        if judged.outgoing is None:
            try:
                judged.outgoing = outgoing(recorded.record, judged.draft, job.server, sends.targets)
            except ValueError as error:
                job.problem = str(error)
                return
        request, body = judged.outgoing
        if job.replay is not None:
            job.replay.change(request, body)
        elif recorded.is_websocket:
            job.replay = self._websockets[recorded.id] = WebSocketReplay(
                self._context, job.sender.client, request, recorded.id, sends.pace, self._fill_message, sends.folder
            )
        else:
            job.replay = RequestReplay(
                self._context, job.sender.client, request, body, recorded.id, sends.left.get(recorded.id)
            )
        scope = recorded.record.get("scope")
        job.replay.scope = scope if isinstance(scope, str) else None

    async def _fill_message(self, data: bytes, record: Mapping[str, Any]) -> bytes:
        data = self._sends.fill_message(data)
        chains = self._sends.chains
        find = chains.plan.message_links
        links = find(data, record) if len(data) <= _AT_ONCE else await own_call(find, data, record)
        return await chains.fill_message(data, links)

    async def _fill(self, job: _Job) -> None:
        """Put values from responses into a request, once these have arrived."""
        tags, job.problem = await self._sends.chains.fill(job.judged.draft, job.judged.links)
        if job.replay is not None and tags and not job.problem:
            job.replay.tags = tags
            job.judged.outgoing = None  # its draft has changed
            self._make(job)

    async def _take_response(self, job: _Job) -> None:
        response = job.replay.response if isinstance(job.replay, RequestReplay) and job.replay.keeps_response else None
        if response is not None:
            await self._sends.chains.take(job.request.id, job.judged.draft.target, *response)

    def _sender_for(self, connection: str) -> ConnectionSender:
        sender = self._senders.get(connection)
        if sender is None:
            sender = self._senders[connection] = ConnectionSender(ClientConnection(new_id(), "127.0.0.1", 0, 0))
        else:
            self._senders.move_to_end(connection)
        return sender

    def _before(self, request: RecordedRequest, sender: ConnectionSender) -> list[_Job]:
        """The requests that have to be over before this one is sent, and some that are over."""
        if not request.overlapping:
            waits, sender.last = sender.last, []
            return waits
        if len(sender.last) > _AHEAD:
            sender.last = [job for job in sender.last if not job.is_over]
        return [job for identity, job in sender.running.items() if identity not in request.overlapping]

    async def _run(self, job: _Job | None) -> None:
        """Send a request, and then those that wait for nothing else."""
        while job is not None:
            await self._send_one(job)
            job = job.then

    async def _send_one(self, job: _Job) -> None:
        progress = self._progress

        def on_sent() -> None:
            progress.sent += 1
            progress.fidelity.sent(job.due, clock.now())

        try:
            if self._sends.pace.is_timed:
                await sleep_until(job.due)
            for earlier in job.waits:
                await earlier.wait()
            job.waits = ()  # they would keep all requests before them in memory
            if job.judged.links:
                await self._fill(job)
            if job.problem:
                if isinstance(job.replay, WebSocketReplay):
                    job.replay.script.drop()
            elif isinstance(job.replay, WebSocketReplay):
                # It may wait for other requests, so it takes no slot from them.
                job.problem = await job.replay.run(on_sent)
            elif job.replay is not None:
                try:
                    self._slots.acquire_nowait()
                except anyio.WouldBlock:
                    await self._slots.acquire()
                try:
                    job.problem = await job.replay.run(on_sent)
                finally:
                    self._slots.release()
                if job.replay.keeps_response:
                    await self._take_response(job)
            self._done(job)
        finally:
            self._over(job)

    def _done(self, job: _Job) -> None:
        progress = self._progress
        progress.done += 1
        if job.problem:
            progress.failed += 1
            text = f"{job.what}: {job.problem}"
            if text in progress.failures or len(progress.failures) < _EXAMPLES:
                progress.failures[text] += 1

    def _over(self, job: _Job) -> None:
        running = job.sender.running
        running.pop(job.request.id, None)
        job.end()
        self._sends.chains.over(job.request.id)
        self._websockets.pop(job.request.id, None)
        self._waiting -= 1
        self._bytes -= job.size
        self._progressed.set()
        if len(self._senders) > _IDLE_SENDERS and not running:
            self._close_oldest()

    def _close_oldest(self) -> None:
        """Close the connections that were used least recently: a session does not record which request of a client is
        its last."""
        surplus = len(self._senders) - _IDLE_SENDERS
        for connection, sender in list(islice(self._senders.items(), surplus)):
            if not sender.running:
                self._context.upstream_client.close_pool(sender.client)
                del self._senders[connection]
