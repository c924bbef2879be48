"""A rule's steps, ready to act on an exchange, one after another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from mockrec.engine.exchange.exchange import Exchange

StepHandler = Callable[[Exchange], Awaitable[None]]


class CompiledSteps:
    """`await plan.run(exchange)` does what the rule says."""

    __slots__ = ("needs_body", "never_blocks", "run", "streams_body")

    def __init__(
        self, acts: Sequence[StepHandler], *, never_blocks: bool, streams_body: bool = False, needs_body: bool = True
    ) -> None:
        """`never_blocks`: the handlers of a complete request wait only for the client to read. `streams_body`: the
        request body may be forwarded while it arrives. `needs_body`: a handler may need the whole request body in
        memory."""
        self.never_blocks = never_blocks
        self.streams_body = streams_body
        self.needs_body = needs_body
        self.run: StepHandler = acts[0] if len(acts) == 1 else _in_turn(tuple(acts))


def _in_turn(acts: Sequence[StepHandler]) -> StepHandler:
    async def run(exchange: Exchange) -> None:
        for act in acts:
            await act(exchange)

    return run
