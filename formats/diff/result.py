"""What a comparison has found, as the reports get it."""

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
    """Why the recording is not complete; empty when it is."""
    problems: tuple[str, ...] = ()
    """What of the file was left out, a sentence each; see `Session.problems`."""
    notes: tuple[str, ...] = ()
    """What of the file was repaired, a sentence each; see `Session.notes`."""


@dataclass
class Result:
    """Everything that reports are made of."""

    a: Side
    b: Side
    noise_side: Side | None = None
    """The other recording of what A is, with which noise was found."""
    paired: dict[str, int] = field(default_factory=dict)
    """Pairs by the rule that paired them."""
    endpoints: dict[Endpoint, int] = field(default_factory=dict)
    """All that were compared, with their pairs."""
    differences: list[Difference] = field(default_factory=list)
    only_a: list[OnlyIn] = field(default_factory=list)
    only_b: list[OnlyIn] = field(default_factory=list)
    by_severity: dict[str, int] = field(default_factory=dict)
    """All of them, occurrence by occurrence, those that are not kept included."""
    by_kind: dict[str, int] = field(default_factory=dict)
    rules: list[IgnoreRule] = field(default_factory=list)
    """What was to be left out, with how much each rule hid."""
    noise: int = 0
    accepted: int = 0
    """Differences that the baseline knows."""
    gone: int = 0
    """Fingerprints of the baseline that were not met any more."""
    omitted: int = 0
    """Differences that are counted but not listed."""
    notes: list[str] = field(default_factory=list)
    """What people should know of the comparison itself."""

    @property
    def total(self) -> int:
        """How many differences of pairs and endpoints there are, without those that are only worth knowing."""
        return self.by_severity.get(Severity.breaking, 0) + self.by_severity.get(Severity.changed, 0)

    @property
    def same(self) -> bool:
        """Whether nothing is to be reported but what is only worth knowing."""
        return not (self.total or self.only_a or self.only_b)

    def failed(self, severity: Severity) -> bool:
        """Whether there is a difference that is at least so severe. A call that is missing is breaking."""
        if severity is Severity.breaking:
            return bool(self.by_severity.get(Severity.breaking) or self.only_a)
        return not self.same

    @property
    def unused_rules(self) -> list[IgnoreRule]:
        """Rules that hid nothing."""
        return [rule for rule in self.rules if not rule.hidden]
