"""The result of a comparison, from which the reports are made."""

from __future__ import annotations

from dataclasses import dataclass, field

from mockrec.formats.diff.ignore import IgnoreRule
from mockrec.formats.diff.model.exchange import Endpoint
from mockrec.formats.diff.model.finding import Difference, OnlyIn, Severity


@dataclass
class Side:
    """One of the two sessions."""

    name: str
    exchanges: int = 0
    cut_off: str = ""
    """Reason for an incomplete recording; "" if it is complete."""
    problems: tuple[str, ...] = ()
    """Records that were left out, a sentence each; see `Session.problems`."""
    notes: tuple[str, ...] = ()
    """Repairs of the file, a sentence each; see `Session.notes`."""


@dataclass
class Result:
    """The result of a comparison."""

    a: Side
    b: Side
    noise_side: Side | None = None
    """The second recording of A's program, with which noise was found."""
    paired: dict[str, int] = field(default_factory=dict)
    """Stage of pairing → number of its pairs."""
    endpoints: dict[Endpoint, int] = field(default_factory=dict)
    """Compared endpoint → number of its pairs."""
    differences: list[Difference] = field(default_factory=list)
    only_a: list[OnlyIn] = field(default_factory=list)
    only_b: list[OnlyIn] = field(default_factory=list)
    by_severity: dict[str, int] = field(default_factory=dict)
    """Severity → number of occurrences, including differences that are not listed."""
    by_kind: dict[str, int] = field(default_factory=dict)
    rules: list[IgnoreRule] = field(default_factory=list)
    """The ignore rules, with the number of findings that each hid."""
    noise: int = 0
    accepted: int = 0
    """Differences that the baseline accepts."""
    gone: int = 0
    """Fingerprints of the baseline without a difference."""
    omitted: int = 0
    """Differences that are counted but not listed."""
    notes: list[str] = field(default_factory=list)
    """Remarks on the comparison itself."""

    @property
    def total(self) -> int:
        """The number of differences of pairs and endpoints, without those of severity `info`."""
        return self.by_severity.get(Severity.breaking, 0) + self.by_severity.get(Severity.changed, 0)

    @property
    def same(self) -> bool:
        """True if there is no difference, apart from those of severity `info`."""
        return not (self.total or self.only_a or self.only_b)

    def failed(self, severity: Severity) -> bool:
        """True if there is a difference of at least this severity. A missing exchange is breaking."""
        if severity is Severity.breaking:
            return bool(self.by_severity.get(Severity.breaking) or self.only_a)
        return not self.same

    @property
    def unused_rules(self) -> list[IgnoreRule]:
        """Rules that hid nothing."""
        return [rule for rule in self.rules if not rule.hidden]
