"""The summary of a report: how the recording ended, what it counted, and what needs a look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from mockrec.formats.report.exchange import ReportExchange, micros
from mockrec.formats.report.extras import outcome_of, scope_of
from mockrec.formats.schema.lenient import object_of, text_of
from mockrec.formats.schema.upstream_failures import FAILED_TAG, failure_code, failure_words

Record = Mapping[str, Any]

NO_RULES = frozenset({"unmatched", "upstream"})
"""Ids in the log of requests that were passed on without a rule."""
MISSED = "replay-miss"
"""The tag of a request for which a replayed session had no recording."""
_MOST = 200
"""Error classes, problems and scopes that are listed."""


class Summary:
    """Counts all exchanges, also those that the report leaves out."""

    def __init__(self) -> None:
        self.sessions: list[dict[str, Any]] = []
        self.exchanges = 0
        self.failed = 0
        self.kinds: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.errors: Counter[str] = Counter()
        self.rules: Counter[str] = Counter()
        self.known_rules: dict[str, str] = {}
        """Id → explanation."""
        self.pending: dict[str, None] = {}
        self.causes: Counter[str] = Counter()
        """Code of an upstream error → exchanges that could not reach their server."""
        self.unmatched = 0
        self.passed = 0
        """Exchanges that no rule matched, and that were passed on."""
        self.missed = 0
        self.open = 0
        self.problems: list[str] = []
        self.outcomes: dict[str, str] = {}
        """Scope → outcome, where a record names one."""
        self.first = self.last = 0

    def note(self, record: Record, kind: str) -> None:
        """Take a record of the session itself; of the others only the time and the scope's outcome."""
        moment = micros(record.get("timestamp"))
        if moment:
            self.first = min(self.first, moment) if self.first else moment
            self.last = max(self.last, moment)
        if (outcome := outcome_of(record)) and len(self.outcomes) < 100_000:
            self.outcomes[scope_of(record)] = outcome
        if kind == "session-started":
            self._started(record)
        elif kind == "session-ended":
            self._ended(record)
        elif kind == "rules-reloaded":
            self._know(record.get("rules"))
        elif kind == "gap":
            counts = object_of(record.get("counts"))
            total = sum(count for count in counts.values() if type(count) is int)
            self._problem(f"{total} records were left out, because the disk was too slow")
        elif kind == "callback-error":
            error = object_of(record.get("error"))
            self._problem(f"callback {text_of(record.get('callback'))}: {text_of(error.get('message'))}")

    def count(self, exchange: ReportExchange) -> None:
        """Take an exchange whose records are complete."""
        self.exchanges += 1
        self.failed += exchange.failed
        self.kinds[exchange.kind] += 1
        if exchange.status:
            self.statuses[exchange.status] += 1
        if exchange.errors:
            self.errors[next(iter(exchange.errors))[:300]] += 1
        elif not exchange.ended:
            self.open += 1
        answered = exchange.kind in ("exchange", "websocket")
        rules = [rule for rule in exchange.rules if rule not in NO_RULES]
        for rule in rules:
            self.rules[rule] += 1
        if answered and not rules:
            self.unmatched += not exchange.rules
            self.passed += bool(exchange.rules)
        self.missed += MISSED in exchange.tags
        if (code := failure_code(exchange.tags)) is not None:
            self.causes[code[:300]] += 1

    def to_json(self) -> dict[str, Any]:
        """Return the summary for the page."""
        return {
            "sessions": self.sessions,
            "exchanges": self.exchanges,
            "failed": self.failed,
            "open": self.open,
            "kinds": dict(self.kinds),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "errors": self.errors.most_common(_MOST),
            "rules": self.rules.most_common(_MOST),
            "explanations": {rule: self.known_rules[rule] for rule in list(self.known_rules)[:1000]},
            "unusedRules": [rule for rule in self.known_rules if rule not in self.rules][:_MOST],
            "pendingRules": list(self.pending)[:_MOST],
            "causes": [
                [f"{FAILED_TAG}{code}", failure_words(code), count] for code, count in self.causes.most_common(_MOST)
            ],
            "unmatched": self.unmatched,
            "passed": self.passed,
            "missed": self.missed,
            "problems": self.problems,
            "outcomes": self.outcomes,
            "first": self.first,
            "last": self.last,
        }

    def warn(self, name: str, sentence: str) -> None:
        """Add what was wrong with a session's file."""
        self._problem(f"{name}: {sentence}")

    def _problem(self, sentence: str) -> None:
        if len(self.problems) < _MOST:
            self.problems.append(sentence[:500])

    def _started(self, record: Record) -> None:
        part = record.get("part")
        if type(part) is int and part > 1:
            return
        ci, command = object_of(record.get("ci")), record.get("command")
        self._know(record.get("rules"))
        self.sessions.append(
            {
                "id": text_of(record.get("sessionId")),
                "version": text_of(record.get("mockrecVersion")),
                "started": micros(record.get("timestamp")),
                "command": _words(command, " "),
                "listen": text_of(object_of(record.get("listen")).get("url")),
                "redaction": text_of(object_of(record.get("redaction")).get("mode")),
                "derived": {key: _words(value) for key, value in object_of(record.get("derived")).items()},
                "replay": {key: _words(value) for key, value in object_of(record.get("replay")).items()},
                "ci": {key: text_of(ci.get(key)) for key in ("provider", "runUrl", "commit") if ci.get(key)},
            }
        )

    def _ended(self, record: Record) -> None:
        if text_of(record.get("reason")) == "rotated" or not self.sessions:
            return
        session = next((one for one in self.sessions if "reason" not in one), self.sessions[-1])
        session["reason"] = text_of(record.get("reason"))
        session["ended"] = micros(record.get("timestamp"))
        for key in ("exitCode", "truncatedBodies", "redactions"):
            if type(record.get(key)) is int:
                session[key] = record[key]
        rules = record.get("rules")
        for rule in rules if isinstance(rules, list) else ():
            if object_of(rule).get("pending") is True:
                self.pending[text_of(rule.get("id"))] = None

    def _know(self, rules: Any) -> None:
        for rule in rules if isinstance(rules, list) else ():
            if identity := text_of(object_of(rule).get("id")):
                self.known_rules[identity] = text_of(object_of(rule).get("explanation"))[:500]


def _words(value: Any, between: str = ", ") -> str:
    """Return a text, or the texts of a list in one."""
    return between.join(map(text_of, value)) if isinstance(value, list) else text_of(value)
