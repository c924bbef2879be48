"""A rule's steps, ready to act on an exchange, one after another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from mockrec.engine.exchange.exchange import Exchange

Act = Callable[[Exchange], Awaitable[None]]


class Plan:
    """`await plan.run(exchange)` does what the rule says."""

    __slots__ = ("forwards", "is_quick", "reads", "run")

    def __init__(self, acts: Sequence[Act], *, is_quick: bool, forwards: bool = False, reads: bool = True) -> None:
        """`is_quick`: once the request is complete, no act waits for anything but the client's reading. `forwards`: the
        request body may be passed on, so that all of it is wanted. `reads`: an act may look at the whole request body,
        so that it has to be in memory."""
        self.is_quick = is_quick
        self.forwards = forwards
        self.reads = reads
        self.run: Act = acts[0] if len(acts) == 1 else _in_turn(tuple(acts))


def _in_turn(acts: Sequence[Act]) -> Act:
    async def run(exchange: Exchange) -> None:
        for act in acts:
            await act(exchange)

    return run
