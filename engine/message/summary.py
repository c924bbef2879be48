"""The summary of a finished exchange that people see: one line in the terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from mockrec.engine import clock
from mockrec.engine.message.state import ExchangeState
from mockrec.formats.schema.upstream_failures import failure_code, failure_words

_MOST_CAUSE: Final = 600

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
    host: str = ""
    """Where a proxy's client wanted to go; empty for a request to the recorder itself."""
    cause: str = ""
    """Why the exchange failed, with secrets replaced; empty if it did not fail."""
    ended_at: float = 0.0
    """Wall clock, milliseconds since the epoch."""


def summary_of(exchange: AnyExchange, shown: Shown[AnyExchange]) -> ExchangeSummary:
    """Return the summary of a finished exchange."""
    end = (
        exchange.aborted_at or exchange.response_sent_at or (clock.now() if exchange.websocket else exchange.started_at)
    )
    method, status = exchange.head.method, exchange.response_head.status if exchange.response_head is not None else 0
    if exchange.websocket and method == "CONNECT":  # RFC 8441: an upgrade, not a tunnel
        method, status = "WS", 101 if status == 200 else status
    return ExchangeSummary(
        shown(f"{method} {exchange.target.path}", exchange),
        status,
        exchange.aborted_at is not None,
        end - exchange.started_at,
        "" if exchange.unmatched or exchange.rule is None else exchange.rule.rule.id,
        exchange.unmatched,
        exchange.target.host if exchange.target.is_absolute or exchange.target.context.tunnel is not None else "",
        shown(_cause_of(exchange), exchange),
        clock.wall(end),
    )


def _cause_of(exchange: ExchangeState) -> str:
    """Return the kind of a failure and a sentence about it: `dns: its name cannot be resolved`."""
    code = failure_code(exchange.tags)
    own = exchange.prepared
    text = own.body[:_MOST_CAUSE].decode("utf-8", "replace").split("\n")[0] if own is not None and own.is_own else ""
    if code is None:
        return "" if exchange.aborted_at is None else exchange.abort_reason or "the client disconnected"
    return failure_words(code, text.partition(": ")[2].removesuffix(f" [{code}]"))
