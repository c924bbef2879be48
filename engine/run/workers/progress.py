"""What a worker reports to its parent: counts, and the exchanges that have ended."""

from __future__ import annotations

from mockrec.engine.message.summary import ExchangeSummary, Shown, summary_of
from mockrec.engine.recording.body_encoder import BodyEncoder
from mockrec.engine.recording.logged_exchange import LoggedExchange
from mockrec.engine.redaction.redactor import Redactor
from mockrec.engine.rules.matching.select import RuleSet
from mockrec.engine.run.workers.messages import ProgressMessage


class WorkerProgress:
    """Collects what happens between two calls of `take`."""

    def __init__(self, redactor: Redactor | None, *, reports_exchanges: bool) -> None:
        self.version = 0
        """The version of the rules whose uses are counted."""
        self._redactor = redactor
        self._shown: Shown[LoggedExchange] = (lambda text, _: text) if redactor is None else redactor.text
        self._reports_exchanges = reports_exchanges
        self._exchanges = 0
        self._unmatched = 0
        self._ended: list[ExchangeSummary] = []
        self._used: list[int] = []
        """How often each rule had been used at the last call of `take`."""
        self._truncated = 0
        self._redactions = 0

    def exchange_ended(self, exchange: LoggedExchange) -> None:
        """Count an exchange."""
        self._exchanges += 1
        self._unmatched += exchange.unmatched
        if self._reports_exchanges:
            self._ended.append(summary_of(exchange, self._shown))

    def rules_replaced(self, version: int) -> None:
        """Other rules are in force, none of which has been used."""
        self.version = version
        self._used = []

    def take(self, rules: RuleSet, bodies: BodyEncoder) -> ProgressMessage | None:
        """Return what has happened since the last call; None if nothing has."""
        used = [rule.used for rule in rules.rules]
        before = self._used or [0] * len(used)
        changed = [
            (index, now - then) for index, (now, then) in enumerate(zip(used, before, strict=True)) if now != then
        ]
        redactions = 0 if self._redactor is None else self._redactor.count
        message = ProgressMessage(
            self._exchanges,
            self._unmatched,
            self._ended,
            self.version,
            changed,
            bodies.truncated - self._truncated,
            redactions - self._redactions,
        )
        if not (message.exchanges or changed or message.truncated or message.redactions):
            return None
        self._exchanges = self._unmatched = 0
        self._ended = []
        self._used = used
        self._truncated, self._redactions = bodies.truncated, redactions
        return message
