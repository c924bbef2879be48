"""Counts and durations of exchanges, in the text format of Prometheus (version 0.0.4)."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import Final

_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds."""
_MOST_RULES: Final = 1000
"""Rules with series of their own; all others share one."""
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """What is counted of exchanges that have ended."""

    def __init__(self) -> None:
        self.exchanges: Counter[tuple[str, str]] = Counter()
        """By the id of the rule, and the class of the status (`2xx`, or `abort`)."""
        self.missed = 0
        self.unmatched = 0
        self.errors = 0
        """Exchanges that were aborted."""
        self._durations = [0] * (len(_BUCKETS) + 1)
        self._seconds = 0.0
        self._rules: set[str] = set()

    @property
    def total(self) -> int:
        """The number of exchanges."""
        return self.exchanges.total()

    def add(self, rule: str, status: int, seconds: float, *, aborted: bool, unmatched: bool, missed: bool) -> None:
        """Count an exchange that has ended."""
        if rule not in self._rules:
            if len(self._rules) >= _MOST_RULES:
                rule = "(other)"
            self._rules.add(rule)
        self.exchanges[rule, "abort" if aborted else f"{status // 100}xx"] += 1
        self.errors += aborted
        self.unmatched += unmatched
        self.missed += missed
        self._durations[bisect_left(_BUCKETS, seconds)] += 1
        self._seconds += seconds

    def text(self, *, queue: int, connections: int, open_exchanges: int) -> str:
        """Return everything in the text format. `queue`: bytes that wait for the disk."""
        lines = _family("mockrec_exchanges_total", "counter", "Exchanges that have ended.")
        for (rule, status), count in sorted(self.exchanges.items()):
            lines.append(f'mockrec_exchanges_total{{rule="{_escaped(rule)}",status_class="{status}"}} {count}')
        name = "mockrec_exchange_duration_seconds"
        lines += _family(name, "histogram", "Time from the start of a request to the end of its response.")
        passed = 0
        for bound, count in zip(_BUCKETS, self._durations, strict=False):
            passed += count
            lines.append(f'{name}_bucket{{le="{bound}"}} {passed}')
        lines += [f'{name}_bucket{{le="+Inf"}} {self.total}', f"{name}_sum {self._seconds:.6f}"]
        lines.append(f"{name}_count {self.total}")
        for name, kind, about, value in (
            ("mockrec_missed_total", "counter", "Requests without a matching recording.", self.missed),
            ("mockrec_unmatched_total", "counter", "Requests that no rule matched.", self.unmatched),
            ("mockrec_errors_total", "counter", "Exchanges that were aborted.", self.errors),
            ("mockrec_queue_bytes", "gauge", "Bytes of the log that wait for the disk.", queue),
            ("mockrec_open_connections", "gauge", "Connections of clients.", connections),
            ("mockrec_open_exchanges", "gauge", "Exchanges that have begun and not ended.", open_exchanges),
        ):
            lines += [*_family(name, kind, about), f"{name} {value}"]
        return "\n".join([*lines, ""])


def _family(name: str, kind: str, about: str) -> list[str]:
    return [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
