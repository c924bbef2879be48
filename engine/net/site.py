"""What all connections of a run share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from mockrec.engine.config import Cors, Limits, Timeouts
from mockrec.engine.exchange.notes import Notes
from mockrec.engine.rules.select import RuleSet
from mockrec.engine.steps.plan import Plan


class Backpressure(Protocol):
    """Says when the log cannot keep up, so that traffic has to wait for it."""

    @property
    def behind(self) -> bool: ...

    async def wait_for_room(self) -> None: ...


@dataclass(slots=True)
class Site:
    """The rules in force, and where everything else goes. `rules` may be replaced at any time."""

    rules: RuleSet
    unmatched: Plan
    notes: Notes
    backpressure: Backpressure
    timeouts: Timeouts
    limits: Limits
    cors: Cors | None
    match_limit: int
    """Bytes of a request body that are kept for matchers, templates and handlers."""
    log_limit: int
    """Bytes of a body that are kept for the log."""
    closing: bool = field(default=False, init=False)
    """Whether connections end after the exchange they are at."""
    report_defect: Callable[[BaseException], None]
    """Told of exceptions that must not happen; the connection they happened on is lost, nothing else."""
