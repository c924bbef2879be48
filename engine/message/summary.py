"""The summary of a finished exchange that people see: one line in the terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from mockrec.engine.message.state import ExchangeState

AnyExchange = TypeVar("AnyExchange", bound=ExchangeState)

Shown = Callable[[str, AnyExchange | None], str]
"""Returns a text with its secrets replaced, and with those that are known from an exchange, if one is given."""


class ExchangeSummary(NamedTuple):
    """A finished exchange in the fields that are printed."""

    what: str
    """Method and path, with secrets replaced."""
    status: int
    """0 if no response was sent."""
    aborted: bool
    took: float
    """Milliseconds."""
    rule: str
    """The id of the rule that answered; empty if there was none."""
    unmatched: bool


def summary_of(exchange: AnyExchange, shown: Shown[AnyExchange]) -> ExchangeSummary:
    """Return the summary of a finished exchange."""
    end = exchange.aborted_at or exchange.response_sent_at or exchange.started_at
    return ExchangeSummary(
        shown(f"{exchange.head.method} {exchange.target.path}", exchange),
        exchange.response_head.status if exchange.response_head is not None else 0,
        exchange.aborted_at is not None,
        end - exchange.started_at,
        "" if exchange.unmatched or exchange.rule is None else exchange.rule.rule.id,
        exchange.unmatched,
    )
