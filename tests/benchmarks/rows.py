"""One line of the result: what was measured, against what, and whether the target is met."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Target:
    """A bound and its direction, in the unit of its row."""

    bound: float
    at_least: bool

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '<'} {self.bound:g}"

    def met_by(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value < self.bound


@dataclass(frozen=True)
class Row:
    """`value` is what the target is about: a ratio, or a figure of mockrec's own. None: not measured."""

    item: str
    work: str
    target: Target | None = None
    value: float | None = None
    mockrec: str = ""
    other: str = ""
    note: str = ""
    unit: str = "×"
    runs: list[dict[str, float]] = field(default_factory=list)
    cpu: str = ""
    """CPU time of all processes for one exchange, in µs: `mockrec : peer`."""

    @property
    def met(self) -> bool | None:
        if self.target is None or self.value is None:
            return None
        return self.target.met_by(self.value)

    @property
    def result(self) -> str:
        if self.value is None:
            return "–"
        return f"{self.value:.{2 if self.unit == '×' else 1}f} {self.unit}"
