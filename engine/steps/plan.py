"""A rule's steps, compiled: handlers that run on an exchange one after another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from mockrec.engine.exchange.exchange import Exchange

StepHandler = Callable[[Exchange], Awaitable[None]]


class CompiledSteps:
    """The steps of a rule: `await plan.run(exchange)` runs them."""

    __slots__ = ("needs_body", "never_blocks", "run", "streams_body")

    def __init__(
        self,
        handlers: Sequence[StepHandler],
        *,
        never_blocks: bool,
        streams_body: bool = False,
        needs_body: bool = True,
    ) -> None:
        """`never_blocks`: the handlers of a complete request wait only for the client to read. `streams_body`: the
        request body may be forwarded while it arrives. `needs_body`: a handler may need the whole request body in
        memory."""
        self.never_blocks = never_blocks
        self.streams_body = streams_body
        self.needs_body = needs_body
        self.run: StepHandler = handlers[0] if len(handlers) == 1 else _in_turn(tuple(handlers))


def _in_turn(handlers: Sequence[StepHandler]) -> StepHandler:
    async def run(exchange: Exchange) -> None:
        for handle in handlers:
            await handle(exchange)

    return run
