"""The delays of a served response: the recorded ones, multiplied by a factor."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_FACTOR = re.compile(r"([0-9]+(?:\.[0-9]+)?)x")
_SPREAD = 20.0
"""Milliseconds between the head and the end of a response; only above it the body is sent separately."""


@dataclass(frozen=True, slots=True)
class Latency:
    """The factor for recorded delays; 0: no delay."""

    factor: float = 0.0

    def of(self, record: Mapping[str, Any]) -> tuple[float, float]:
        """Return the milliseconds from the complete request to the head of the response, and to its end."""
        if not self.factor:
            return 0.0, 0.0
        timing, start = _begin(record)
        end = _first(timing, "responseSentTimestamp", "abortedTimestamp", "wsAcceptedTimestamp")
        head = _first(timing, "headersSentTimestamp", "wsAcceptedTimestamp") or end
        if start is None or head is None:
            duration = _number(record.get("duration")) or 0.0
            return duration * self.factor, duration * self.factor
        return max(0.0, head - start) * self.factor, max(0.0, (end or head) - start) * self.factor

    def due(self, record: Mapping[str, Any], at: float, otherwise: float) -> float:
        """Return the milliseconds from the complete request to the recorded time `at`.

        `otherwise` is returned if the recording lacks the time of the request.
        """
        start = _begin(record)[1]
        return otherwise if start is None else max(0.0, at - start) * self.factor

    def spreads(self, head: float, end: float) -> bool:
        """Return whether the body is sent separately from the head."""
        return end - head > _SPREAD


def _begin(record: Mapping[str, Any]) -> tuple[Mapping[str, Any], float | None]:
    """Return the milestones of an exchange, and the time at which its request was complete."""
    timing = record.get("timingEvents")
    timing = timing if isinstance(timing, Mapping) else {}
    return timing, _number(timing.get("bodyReceivedTimestamp")) or _number(timing.get("startTimestamp"))


def parse_latency(text: str) -> Latency:
    """Parse `none`, `recorded` or a factor: `2x` is twice the recorded delay. Raises ValueError."""
    if text in ("none", "recorded"):
        return Latency(1.0 if text == "recorded" else 0.0)
    found = _FACTOR.fullmatch(text)
    if found is None:
        raise ValueError(f"expected recorded, none or a factor such as 2x, got {text!r}")
    return Latency(float(found[1]))


def _first(timing: Mapping[str, Any], *names: str) -> float | None:
    return next((value for name in names if (value := _number(timing.get(name))) is not None), None)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None
