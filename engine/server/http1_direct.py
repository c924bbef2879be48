"""Answers requests in the callback that brings their bytes, while the task of the connection sleeps.

A task that is woken for each request costs a future, a turn of the event loop, and a way down through all coroutines
that wait for it. Most requests to a mock need none of that: their head arrives whole, their rule waits for nothing, and
their response fits into the socket. So an idle connection lets its stream call `_answer_directly`, which parses the
bytes and begins the response. Whatever is more than that is left, as far as it has come, to the task, which is woken.
"""

from __future__ import annotations

import asyncio
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Coroutine, Sequence
from typing import Any

from mockrec.engine import clock
from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.server.client_end import DeadlineHolder
from mockrec.engine.server.context import ServerContext
from mockrec.engine.server.eager_task import EagerTask
from mockrec.engine.server.http1_channel import Http1Channel
from mockrec.engine.steps.plan import CompiledSteps
from mockrec.engine.wire.http1.server import H1Server
from mockrec.engine.wire.parts import End, Part


class DirectAnswers:
    """The part of an `Http1Connection` that runs in the callback."""

    _codec: H1Server
    _channel: Http1Channel
    _context: ServerContext
    _holder: DeadlineHolder
    _exchange: Exchange | None
    _stopping: bool
    _head_began: float

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        """The task of the connection."""
        self._is_left = False
        """Whether the rest of what `_answer_directly` has begun is left to the task."""
        self._parts: Sequence[Part] = ()
        """Received parts that are left to it."""
        self._begun: EagerTask | None = None
        """A response that has begun, and is left to it."""
        self._plan: CompiledSteps | None = None
        """The steps of an exchange whose rule is selected, but has to run in it."""
        self._failure: Exception | None = None
        """What was raised, and is left to it."""
        self._waits = False
        """Whether the last rule had to run in the task. It is likely that the next one has to as well."""

    def _take(self, parts: Sequence[Part]) -> None:
        raise NotImplementedError

    def _begin_response(self, exchange: Exchange) -> Coroutine[Any, Any, None]:
        raise NotImplementedError

    def _answer_directly(self, data: bytes) -> bytes | None:
        """Take bytes of the client. Return None if the task can go on sleeping; empty bytes if it has to go on where
        this call has ended; `data` if nothing was done with them."""
        context, codec = self._context, self._codec
        if (
            self._exchange is not None
            or self._waits
            or self._stopping
            or context.closing
            or context.backpressure.behind
        ):
            return data
        if not codec.head_begun:
            self._head_began = clock.now()
        self._parts = codec.receive(data)
        self._is_left = True
        if self._parts and type(self._parts[-1]) is End:
            _enter_task(self._loop, self._task)  # what follows may ask which task it is in
            try:
                self._is_left = not self._is_answered()
            except Exception as error:
                self._failure = error
            finally:
                _leave_task(self._loop, self._task)
        return b"" if self._is_left else None

    def _is_answered(self) -> bool:
        """Begin the exchange of `_parts`, a complete request. Return whether it has ended, and the connection waits for
        the next one."""
        parts, self._parts = self._parts, ()
        self._take(parts)
        exchange, codec = self._exchange, self._codec
        if exchange is None:  # a tunnel was opened
            return False
        begun = EagerTask(self._begin_response(exchange))
        if begun.done and self._plan is None and codec.reusable and not (codec.buffered or self._channel.ended):
            self._exchange = None
            codec.next_request()
            self._holder.deadline = clock.now() + self._context.timeouts.keep_alive * 1000.0
            return True
        self._begun = begun
        return False

    def _parts_left(self, data: bytes) -> Sequence[Part]:
        """In the task: return the parts that are left to it, and those that are completed by `data`, received since.
        Raises what is left to raise."""
        self._is_left = False
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        parts, self._parts = self._parts, ()
        return [*parts, *self._codec.receive(data)] if data else parts
