"""How fast recorded requests are sent, and how well that was kept."""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass

_FACTOR = re.compile(r"([0-9]+(?:\.[0-9]+)?)x")
_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)/s")


@dataclass(frozen=True, slots=True)
class Pace:
    """Exactly one of `factor` and `rate` is set, or none: as fast as possible."""

    factor: float | None = None
    """How much faster than recorded."""
    rate: float | None = None
    """Requests a second."""

    @property
    def is_timed(self) -> bool:
        """Whether there is a time for each request."""
        return self.factor is not None or self.rate is not None

    def due(self, number: int, since_first: float) -> float:
        """When a request is due, in seconds from the start: the `number`th (from 0) of the session, which was recorded
        `since_first` seconds after the first."""
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
    """When requests were due and when they left. Times in monotonic milliseconds."""

    def __init__(self) -> None:
        self._drifts = array("d")  # eight bytes a request
        self._due = [float("inf"), float("-inf")]
        self._left = [float("inf"), float("-inf")]

    def sent(self, due: float, left: float) -> None:
        """A request has left."""
        self._drifts.append(max(0.0, left - due))
        for range_, value in ((self._due, due), (self._left, left)):
            range_[0], range_[1] = min(range_[0], value), max(range_[1], value)

    @property
    def asked(self) -> float | None:
        """Requests a second that were asked for; None where that is no rate."""
        return self._rate(self._due)

    @property
    def achieved(self) -> float | None:
        """Requests a second that have left."""
        return self._rate(self._left)

    def _rate(self, range_: list[float]) -> float | None:
        count, span = len(self._drifts), range_[1] - range_[0]
        return (count - 1) / span * 1000.0 if count > 1 and span > 0 else None

    def drift(self, share: float) -> float:
        """Milliseconds by which so large a share of the requests was late at most; 0 where nothing was sent."""
        if not self._drifts:
            return 0.0
        ordered = sorted(self._drifts)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
