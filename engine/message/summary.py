"""An exchange that is over, as people see it: in a line of the terminal, and in the summary."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from mockrec.engine.exchange.exchange import Exchange

Shown = Callable[[str, Exchange | None], str]
"""Leaves secrets out of a text, those of an exchange too."""


class ExchangeSummary(NamedTuple):
    """What is told of it."""

    what: str
    """Method and path, without secrets."""
    status: int
    """0 where there was no answer."""
    aborted: bool
    took: float
    """Milliseconds."""
    rule: str
    """The id of its rule; empty if there was none to choose from."""
    unmatched: bool


def summary_of(exchange: Exchange, shown: Shown) -> ExchangeSummary:
    """Looks at an exchange once it is over."""
    end = exchange.aborted_at or exchange.response_sent_at or exchange.started_at
    return ExchangeSummary(
        shown(f"{exchange.head.method} {exchange.target.path}", exchange),
        exchange.response_head.status if exchange.response_head is not None else 0,
        exchange.aborted_at is not None,
        end - exchange.started_at,
        "" if exchange.unmatched or exchange.rule is None else exchange.rule.rule.id,
        exchange.unmatched,
    )
