"""The pace at which recorded requests are sent, and how well it was kept."""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass

_FACTOR = re.compile(r"([0-9]+(?:\.[0-9]+)?)x")
_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)/s")


@dataclass(frozen=True, slots=True)
class Pace:
    """At most one of `factor` and `rate` is set; without them, requests are sent as fast as possible."""

    factor: float | None = None
    """By how much faster than recorded."""
    rate: float | None = None
    """Requests per second."""

    @property
    def is_timed(self) -> bool:
        """Whether each request has a time at which it is due."""
        return self.factor is not None or self.rate is not None

    def due(self, number: int, since_first: float) -> float:
        """When a request is due, in seconds from the start: request `number` (from 0) of the session, recorded
        `since_first` seconds after the first one."""
        if self.factor is not None:
            return since_first / self.factor
        return number / self.rate if self.rate is not None else 0.0

    def __str__(self) -> str:
        if self.factor is not None:
            return "original" if self.factor == 1.0 else f"{self.factor:g}x"
        return "max" if self.rate is None else f"{self.rate:g}/s"


def parse_pace(text: str) -> Pace:
    """`original`, `max`, `2x`, `50/s`. Raises ValueError."""
    word = text.strip()
    if word in ("original", "max"):
        return Pace(factor=1.0) if word == "original" else Pace()
    factor, rate = _FACTOR.fullmatch(word), _RATE.fullmatch(word)
    if factor and float(factor[1]) > 0:
        return Pace(factor=float(factor[1]))
    if rate and float(rate[1]) > 0:
        return Pace(rate=float(rate[1]))
    raise ValueError(f"expected original, max, a factor such as 2x or a rate such as 50/s, got {text!r}")


class PacingReport:
    """When requests were due and when they were sent, in monotonic milliseconds."""

    def __init__(self) -> None:
        self._drifts = array("d")  # eight bytes for each request
        self._due = [float("inf"), float("-inf")]
        self._sent = [float("inf"), float("-inf")]

    def sent(self, due: float, at: float) -> None:
        """Note that a request was sent."""
        self._drifts.append(max(0.0, at - due))
        for range_, value in ((self._due, due), (self._sent, at)):
            range_[0], range_[1] = min(range_[0], value), max(range_[1], value)

    @property
    def asked(self) -> float | None:
        """The rate at which requests were due, per second; None if it is not defined."""
        return self._rate(self._due)

    @property
    def achieved(self) -> float | None:
        """The rate at which requests were sent, per second; None if it is not defined."""
        return self._rate(self._sent)

    def _rate(self, range_: list[float]) -> float | None:
        count, span = len(self._drifts), range_[1] - range_[0]
        return (count - 1) / span * 1000.0 if count > 1 and span > 0 else None

    def drift(self, share: float) -> float:
        """The delay in milliseconds that this share of the requests did not exceed; 0 if none was sent."""
        if not self._drifts:
            return 0.0
        ordered = sorted(self._drifts)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
