"""What a worker has to tell its parent about what it did, gathered until it is asked for."""

from __future__ import annotations

from mockrec.engine.message.summary import ExchangeSummary, Shown, summary_of
from mockrec.engine.recording.body_encoder import BodyEncoder
from mockrec.engine.recording.logged_exchange import LoggedExchange
from mockrec.engine.redaction.redactor import Redactor
from mockrec.engine.rules.matching.select import RuleSet
from mockrec.engine.run.workers.messages import ProgressMessage


class WorkerProgress:
    """Counts since the last `progress`."""

    def __init__(self, redactor: Redactor | None, *, tells_exchanges: bool) -> None:
        self.version = 0
        """Which reading of the rules is counted."""
        self._redactor = redactor
        self._shown: Shown[LoggedExchange] = (lambda text, _: text) if redactor is None else redactor.text
        self._tells_exchanges = tells_exchanges
        self._exchanges = 0
        self._unmatched = 0
        self._ended: list[ExchangeSummary] = []
        self._used: list[int] = []
        self._truncated = 0
        self._redactions = 0

    def ended(self, exchange: LoggedExchange) -> None:
        """An exchange is over."""
        self._exchanges += 1
        self._unmatched += exchange.unmatched
        if self._tells_exchanges:
            self._ended.append(summary_of(exchange, self._shown))

    def renew(self, version: int) -> None:
        """Other rules are in force, and none of them has been used."""
        self.version = version
        self._used = []

    def progress(self, rules: RuleSet, bodies: BodyEncoder) -> ProgressMessage | None:
        """What has happened since this was called last; None if that is nothing."""
        used = [rule.used for rule in rules.rules]
        before = self._used or [0] * len(used)
        changed = [
            (place, now - then) for place, (now, then) in enumerate(zip(used, before, strict=True)) if now != then
        ]
        redactions = 0 if self._redactor is None else self._redactor.count
        told = ProgressMessage(
            self._exchanges,
            self._unmatched,
            self._ended,
            self.version,
            changed,
            bodies.truncated - self._truncated,
            redactions - self._redactions,
        )
        if not (told.exchanges or changed or told.truncated or told.redactions):
            return None
        self._exchanges = self._unmatched = 0
        self._ended = []
        self._used = used
        self._truncated, self._redactions = bodies.truncated, redactions
        return told
