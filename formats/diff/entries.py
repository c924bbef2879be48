"""What reports for people are made of: per endpoint, one entry a difference, in words."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mockrec.formats.diff.collect import rendered
from mockrec.formats.diff.documents import dump
from mockrec.formats.diff.model import ABSENT, Difference, Endpoint, Finding, OnlyIn, Severity
from mockrec.formats.diff.result import Result

_ORDER = (Severity.breaking, Severity.changed, Severity.info)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Entry:
    """One line of a report."""

    severity: Severity
    kind: str
    path: str
    a: str
    b: str
    occurrences: int
    fingerprint: str
    example: str
    """Method, URL and ids of the first exchanges in question."""

    @property
    def sentence(self) -> str:
        """The entry in one line."""
        times = f" (× {self.occurrences})" if self.occurrences > 1 else ""
        return f"{self.path}: {self.kind}: {self.a} → {self.b}{times}"


@dataclass
class Group:
    """What differs at one endpoint."""

    endpoint: Endpoint
    entries: list[Entry] = field(default_factory=list)

    @property
    def severity(self) -> Severity:
        """The worst of its entries."""
        return min((entry.severity for entry in self.entries), key=_ORDER.index)


def groups(result: Result) -> list[Group]:
    """The worst endpoints first, otherwise in the order of A; within them likewise."""
    found: dict[Endpoint, Group] = {}
    for difference in result.differences:
        found.setdefault(difference.endpoint, Group(difference.endpoint)).entries.append(_difference(difference))
    for letter, only in (*(("A", only) for only in result.only_a), *(("B", only) for only in result.only_b)):
        found.setdefault(only.endpoint, Group(only.endpoint)).entries.append(_only(only, letter))
    for group in found.values():
        group.entries.sort(key=lambda entry: _ORDER.index(entry.severity))
    return sorted(found.values(), key=lambda group: _ORDER.index(group.severity))


def headline(result: Result) -> str:
    """The outcome in one line."""
    pairs = _count(sum(result.paired.values()), "pair")
    numbers = [f"{result.by_severity[word]} {word}" for word in _ORDER if result.by_severity.get(word)]
    told = [f"{_count(result.total, 'difference')} in {pairs}"] if result.total else []
    for letter, only in (("A", result.only_a), ("B", result.only_b)):
        if only:
            told.append(f"{_count(sum(one.occurrences for one in only), 'exchange')} only in {letter}")
    return "; ".join([*(told or [f"no difference in {pairs}"]), *([", ".join(numbers)] if numbers else [])])


def remarks(result: Result) -> list[str]:
    """What was left out, and what else should be known."""
    found = list(result.notes)
    for count, words in (
        (sum(rule.hidden for rule in result.rules), "ignored by rules"),
        (result.noise, "taken for noise"),
        (result.accepted, "accepted by the baseline"),
        (result.gone, "of the baseline not met any more"),
        (result.omitted, "more counted but not listed"),
    ):
        if count:
            found.append(f"{count} {words}")
    return found


def escaped(text: str) -> str:
    """Without characters that steer terminals or that XML cannot hold."""
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}" if match[0] not in "\n\t" else match[0], text)


def one_line(text: str, most: int) -> str:
    """Escaped, in one line of at most so many characters."""
    text = escaped(text).replace("\n", "\\n").replace("\t", "\\t")
    return text if len(text) <= most else text[: most - 1] + "…"


def shown(finding: Finding) -> tuple[str, str]:
    """Both values in words: those of JSON as JSON."""
    said = [
        "(absent)" if value is ABSENT else dump(value) if finding.subject.area == "json" else rendered(value)
        for value in (finding.a, finding.b)
    ]
    return said[0], said[1]


def _difference(difference: Difference) -> Entry:
    finding = difference.finding
    a, b = shown(finding)
    ids = " ".join(
        f"{letter} {identity}" for letter, identity in (("A", difference.id_a), ("B", difference.id_b)) if identity
    )
    example = f"{difference.method} {difference.url} ({ids})" if ids else ""
    return Entry(
        finding.severity, finding.kind, finding.path, a, b, difference.occurrences, difference.fingerprint, example
    )


def _only(only: OnlyIn, letter: str) -> Entry:
    status = "an exchange" if only.status is None else f"{only.method} {only.url} → {only.status}"
    said = (status, "(absent)") if letter == "A" else ("(absent)", status)
    near = f"; nearest: {only.nearest}" if only.nearest else ""
    kind = "removed" if letter == "A" else "added"
    example = f"{only.method} {only.url} ({letter} {only.id})"
    path = f"only in {letter}{near}"
    return Entry(only.severity, kind, path, *said, only.occurrences, only.fingerprint, example)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
