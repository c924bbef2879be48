"""A session sent to servers: every request at its time, in the order of its client connection, so many at once.

The session is read as it is sent. Each recorded connection has a `ConnectionSender`: a client of its own towards the
servers. A request waits for those of its connection that had ended when it began in the recording, so requests that
were concurrent on one HTTP/2 connection are concurrent again.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
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
from mockrec.engine.replay.send.request import SendContext, Sending
from mockrec.engine.replay.send.survey import ClientAbort, SurveyedRequest, judge
from mockrec.engine.replay.send.target import Server, Targets, outgoing
from mockrec.engine.replay.send.websocket import WebSocketReplay
from mockrec.engine.replay.session.editable import EditableRequest
from mockrec.engine.replay.session.requests import RecordedMessage, RecordedRequest, RecordedResponse
from mockrec.engine.steps.timing import sleep_until
from mockrec.engine.usercode.calls import own_call

_BATCH = 64
"""What is read at once."""
_AHEAD = 2000
"""Requests that are read ahead of those that are sent."""
_BYTES_AHEAD = 32 * 1024 * 1024
_IDLE_LINES = 128
"""Recorded connections without a request under way whose connections to servers stay open."""
_EXAMPLES = 1000
_AT_ONCE = 32 * 1024
"""Bytes of a body that are looked through in the event loop."""


@dataclass(slots=True, eq=False)
class ConnectionSender:
    """One recorded client connection."""

    peer: ClientConnection
    running: dict[str, anyio.Event] = field(default_factory=dict)
    """Requests under way or waiting, and what is set when they are over."""
    last: list[anyio.Event] = field(default_factory=list)
    """Those that a request has to wait for that was beside none."""


@dataclass(slots=True, eq=False)
class _Job:
    """A request that is going to be sent."""

    call: RecordedRequest
    line: ConnectionSender
    due: float
    waits: list[anyio.Event]
    size: int
    judged: SurveyedRequest
    server: Server
    one: Sending | WebSocketReplay | None = None
    what: str = ""
    problem: str = ""
    over: anyio.Event = field(default_factory=anyio.Event)


@dataclass(slots=True)
class SendProgress:
    """How far a replay is."""

    sent: int = 0
    done: int = 0
    failed: int = 0
    skipped: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    """What has failed and why → how often."""
    fidelity: PacingReport = field(default_factory=PacingReport)


@dataclass(frozen=True, slots=True)
class Sends:
    """What a replay does with each request."""

    targets: Targets
    pace: Pace
    concurrency: int
    fill: Callable[[EditableRequest], None]
    fill_message: Callable[[bytes], bytes]
    folder: Path | None
    """Where bodies beside the session are."""
    left: Mapping[str, ClientAbort]
    silenced: frozenset[str]
    """WebSockets that must not be sent."""
    chains: Chains


def _next_batch(
    found: Iterator[RecordedRequest | RecordedMessage | RecordedResponse],
) -> list[RecordedRequest | RecordedMessage | RecordedResponse]:
    """What comes next of a session, which may be a pipe that says nothing for long."""
    return list(islice(found, _BATCH))


class Sender:
    """Sends a session once, or several times in turn."""

    def __init__(self, sends: Sends, tools: SendContext, progress: SendProgress) -> None:
        self._sends = sends
        self._tools = tools
        self._progress = progress
        self._slots = anyio.Semaphore(sends.concurrency, fast_acquire=True)
        self._lines: OrderedDict[str, ConnectionSender] = OrderedDict()
        self._talks: dict[str, WebSocketReplay] = {}
        self._waiting = 0
        self._bytes = 0
        self._room = anyio.Event()
        self._number = 0
        self._first: float | None = None
        """When the first request was recorded."""
        self._started = 0.0
        """When it was sent, in monotonic milliseconds."""

    async def send(self, found: Iterator[RecordedRequest | RecordedMessage | RecordedResponse]) -> None:
        """Send a session from its first request to its last; returns when all answers are there."""
        self._first, self._number = None, 0
        try:
            async with anyio.create_task_group() as group:
                while batch := await own_call(_next_batch, found):
                    for one in batch:
                        if isinstance(one, RecordedRequest):
                            await self._take(one, group)
                        elif (talk := self._talks.get(one.id)) is not None:
                            await talk.script.add(one.record)
                for talk in self._talks.values():
                    talk.script.end()
        finally:
            for line in self._lines.values():
                _close(line)
            self._lines.clear()
            self._talks.clear()

    async def _take(self, call: RecordedRequest, group: TaskGroup) -> None:
        while self._waiting >= _AHEAD or self._bytes > _BYTES_AHEAD:
            self._room = anyio.Event()
            await self._room.wait()
        if self._first is None:
            self._first, self._started = call.began, clock.now()
        due = self._started + self._sends.pace.due(self._number, call.began - self._first) * 1000.0
        judged = await self._judge(call)
        if judged.reason or call.id in self._sends.silenced:
            self._progress.skipped += 1
            return
        self._number += 1
        line = self._line(call.connection)
        server = self._sends.targets.server_for(call.record)
        assert server is not None
        job = _Job(call, line, due, self._before(call, line), len(judged.draft.body), judged, server)
        is_wanted = self._sends.chains.expect(call.id)
        self._make(job)
        if isinstance(job.one, Sending):
            job.one.keeps_answer = is_wanted
        line.running[call.id] = job.over
        line.last.append(job.over)
        self._waiting += 1
        self._bytes += job.size
        group.start_soon(self._run, job)

    async def _judge(self, call: RecordedRequest) -> SurveyedRequest:
        sends = self._sends
        find = partial(sends.chains.plan.links, order=call.order, began=call.began)
        told = call.record.get("body")
        size = told.get("size") if isinstance(told, Mapping) else 0
        asked = call, sends.targets, sends.fill, sends.folder, find
        if isinstance(size, int) and size > _AT_ONCE:  # to look through it takes a while
            return await own_call(judge, *asked)
        return judge(*asked)

    def _make(self, job: _Job) -> None:
        """Make the request of a job, or make it once more when values of answers have been put into it."""
        call, draft, sends = job.call, job.judged.draft, self._sends
        try:
            request, body = outgoing(call.record, draft, job.server, sends.targets)
        except ValueError as error:
            job.what, job.problem = f"{draft.method} {draft.target}", str(error)
            return
        job.what = f"{request.method} {request.url}"
        if job.one is not None:
            job.one.change(request, body)
        elif call.is_websocket:
            job.one = self._talks[call.id] = WebSocketReplay(
                self._tools, job.line.peer, request, call.id, sends.pace, self._fill_message, sends.folder
            )
        else:
            job.one = Sending(self._tools, job.line.peer, request, body, call.id, sends.left.get(call.id))

    async def _fill_message(self, data: bytes, record: Mapping[str, Any]) -> bytes:
        data = self._sends.fill_message(data)
        chains = self._sends.chains
        find = chains.plan.message_links
        links = find(data, record) if len(data) <= _AT_ONCE else await own_call(find, data, record)
        return await chains.fill_message(data, links)

    async def _fill(self, job: _Job) -> None:
        """Put the values of answers into a request, once they are there."""
        tags, job.problem = await self._sends.chains.fill(job.judged.draft, job.judged.links)
        if job.one is not None and tags and not job.problem:
            job.one.tags = tags
            self._make(job)

    async def _take_answer(self, job: _Job) -> None:
        answer = job.one.answer if isinstance(job.one, Sending) and job.one.keeps_answer else None
        if answer is not None:
            await self._sends.chains.take(job.call.id, job.judged.draft.target, *answer)

    def _line(self, connection: str) -> ConnectionSender:
        line = self._lines.get(connection)
        if line is None:
            line = self._lines[connection] = ConnectionSender(ClientConnection(new_id(), "127.0.0.1", 0, 0))
        else:
            self._lines.move_to_end(connection)
        return line

    def _before(self, call: RecordedRequest, line: ConnectionSender) -> list[anyio.Event]:
        """What has to be over before a request is sent."""
        if not call.overlapping:
            waits, line.last = line.last, []
            return waits
        if len(line.last) > _AHEAD:
            line.last = [over for over in line.last if not over.is_set()]
        return [over for identity, over in line.running.items() if identity not in call.overlapping]

    async def _run(self, job: _Job) -> None:
        progress = self._progress

        def told() -> None:
            progress.sent += 1
            progress.fidelity.sent(job.due, clock.now())

        try:
            if self._sends.pace.is_timed:
                await sleep_until(job.due)
            for over in job.waits:
                await over.wait()
            if job.judged.links:
                await self._fill(job)
            if job.problem:
                if isinstance(job.one, WebSocketReplay):
                    job.one.script.drop()
            elif isinstance(job.one, WebSocketReplay):
                job.problem = await job.one.run(told)  # it may wait for what others do, so it takes no place of theirs
            elif job.one is not None:
                async with self._slots:
                    job.problem = await job.one.run(told)
                await self._take_answer(job)
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
        running = job.line.running
        running.pop(job.call.id, None)
        job.over.set()
        self._sends.chains.over(job.call.id)
        self._talks.pop(job.call.id, None)
        self._waiting -= 1
        self._bytes -= job.size
        self._room.set()
        if len(self._lines) > _IDLE_LINES and not running:
            self._close_oldest()

    def _close_oldest(self) -> None:
        """Those that have been used last stay open: nothing in a session says that a connection is over."""
        surplus = len(self._lines) - _IDLE_LINES
        for connection, line in list(islice(self._lines.items(), surplus)):
            if not line.running:
                _close(line)
                del self._lines[connection]


def _close(line: ConnectionSender) -> None:
    if line.peer.pool is not None:
        line.peer.pool.close()
