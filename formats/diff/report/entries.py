"""The entries of reports for people: one for each difference, in words, grouped by endpoint."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from mockrec.formats.diff.collect import general_path, rendered
from mockrec.formats.diff.compare.documents import dump
from mockrec.formats.diff.model.exchange import Endpoint
from mockrec.formats.diff.model.finding import ABSENT, Difference, DifferenceKind, Finding, OnlyIn, Severity
from mockrec.formats.diff.result import Result

_EVERYWHERE = 3
"""Endpoints from which on a common difference is reported once for all."""
_NAMED = 4
"""Endpoints that a title names."""
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
    """Method, URL and ids of the first exchanges with the difference."""

    values: int = 1
    """Number of merged differences."""

    @property
    def is_short(self) -> bool:
        """True if the values are short enough to follow the path."""
        return self.kind in ("status", "count")

    @property
    def times(self) -> str:
        """The number of occurrences, as `× 3, 2 different values`; "" for one."""
        various = f", {self.values} different values" if self.values > 1 else ""
        return f"× {self.occurrences}{various}" if self.occurrences > 1 else ""

    @property
    def words(self) -> str:
        """Path and kind or, if they are short, path and values: `status 201 → 200`."""
        if self.is_short:
            return f"{self.path} {self.a} → {self.b}"
        return f"{self.path} {self.kind}"

    @property
    def sentence(self) -> str:
        """The entry in one line."""
        if self.is_short:
            line = self.words
        elif self.kind == "removed":
            line = f"{self.path} removed: {self.a}"
        elif self.kind == "added":
            line = f"{self.path} added: {self.b}"
        elif self.kind in ("type", "moved"):
            line = f"{self.path} {self.kind}: {self.a} → {self.b}"
        else:
            line = f"{self.path} {self.a} → {self.b}"
        return f"{line} ({self.times})" if self.times else line


@dataclass
class Group:
    """The differences of one endpoint, or those that several endpoints have in common."""

    endpoint: Endpoint
    """The (first) endpoint."""
    entries: list[Entry] = field(default_factory=list)
    others: tuple[Endpoint, ...] = ()

    @property
    def title(self) -> str:
        """The endpoint, or the number of endpoints and the first names."""
        if not self.others:
            return str(self.endpoint)
        named = [str(endpoint) for endpoint in (self.endpoint, *self.others)[:_NAMED]]
        more = f", and {len(self.others) + 1 - _NAMED} more" if len(self.others) >= _NAMED else ""
        return f"{len(self.others) + 1} endpoints: {', '.join(named)}{more}"

    @property
    def severity(self) -> Severity:
        """The severity of the worst entry."""
        return min((entry.severity for entry in self.entries), key=_ORDER.index)


def groups(result: Result, *, apart: bool = False) -> list[Group]:
    """Return the groups, the worst first, otherwise in A's order; their entries likewise.

    A difference that several endpoints have in common is reported once, in a group before theirs. `apart`: each
    endpoint has all its differences.
    """
    found: dict[tuple[Endpoint, ...], Group] = {}
    for same in [[one] for one in result.differences] if apart else rolled_up(result.differences):
        endpoints = tuple(difference.endpoint for difference in same)
        group = found.setdefault(endpoints, Group(endpoints[0], others=endpoints[1:]))
        group.entries.append(_difference(same))
    for letter, only in (*(("A", only) for only in result.only_a), *(("B", only) for only in result.only_b)):
        found.setdefault((only.endpoint,), Group(only.endpoint)).entries.append(_only(only, letter))
    for group in found.values():
        group.entries.sort(key=lambda entry: _ORDER.index(entry.severity))
    return sorted(found.values(), key=lambda group: (_ORDER.index(group.severity), not group.others))


def rolled_up(differences: Sequence[Difference]) -> list[list[Difference]]:
    """Join differences that several endpoints have in common; each other difference is alone in its list. The order
    stays."""
    found: dict[object, list[Difference]] = {}
    for number, difference in enumerate(differences):
        finding = difference.finding
        if finding.kind in (DifferenceKind.calls, DifferenceKind.timing):
            found[number] = [difference]
            continue
        values = shown(finding) if difference.values == 1 else ("", "")
        found.setdefault((finding.kind, finding.severity, general_path(finding.path), values), []).append(difference)
    together: list[list[Difference]] = []
    for same in found.values():
        endpoints = {difference.endpoint for difference in same}
        if len(endpoints) >= _EVERYWHERE and len(endpoints) == len(same):
            together.append(same)
        else:
            together += [[difference] for difference in same]
    return together


def headline(result: Result) -> str:
    """Return the outcome in one line."""
    pairs = _count(sum(result.paired.values()), "pair")
    numbers = [f"{result.by_severity[word]} {word}" for word in _ORDER if result.by_severity.get(word)]
    parts = [f"{_count(result.total, 'difference')} in {pairs}"] if result.total else []
    for letter, only in (("A", result.only_a), ("B", result.only_b)):
        if only:
            parts.append(f"{_count(sum(one.occurrences for one in only), 'exchange')} only in {letter}")
    return "; ".join([*(parts or [f"no difference in {pairs}"]), *([", ".join(numbers)] if numbers else [])])


def remarks(result: Result) -> list[str]:
    """Return remarks on the comparison, and the numbers of differences that were left out."""
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
    """Escape characters that control terminals or are not allowed in XML."""
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}" if match[0] not in "\n\t" else match[0], text)


def one_line(text: str, most: int) -> str:
    """Escape a text to one line of at most `most` characters."""
    text = escaped(text).replace("\n", "\\n").replace("\t", "\\t")
    return text if len(text) <= most else text[: most - 1] + "…"


def shown(finding: Finding) -> tuple[str, str]:
    """Return both values as text; JSON values as JSON."""
    sides = [
        "(absent)" if value is ABSENT else dump(value) if finding.subject.area == "json" else rendered(value)
        for value in (finding.a, finding.b)
    ]
    return sides[0], sides[1]


def _difference(same: Sequence[Difference]) -> Entry:
    """Return the entry for a list of common differences; the first one is the example."""
    difference = same[0]
    finding = difference.finding
    a, b = shown(finding)
    ids = " ".join(
        f"{letter} {identity}" for letter, identity in (("A", difference.id_a), ("B", difference.id_b)) if identity
    )
    return Entry(
        finding.severity,
        finding.kind,
        finding.path if len(same) == 1 else general_path(finding.path),
        a,
        b,
        sum(one.occurrences for one in same),
        difference.fingerprint,
        f"{difference.method} {difference.url} ({ids})" if ids else "",
        max(one.values for one in same),
    )


def _only(only: OnlyIn, letter: str) -> Entry:
    status = "an exchange" if only.status is None else f"{only.method} {only.url} → {only.status}"
    sides = (status, "(absent)") if letter == "A" else ("(absent)", status)
    near = f"; nearest: {only.nearest}" if only.nearest else ""
    kind = "removed" if letter == "A" else "added"
    example = f"{only.method} {only.url} ({letter} {only.id})"
    path = f"only in {letter}{near}"
    return Entry(only.severity, kind, path, *sides, only.occurrences, only.fingerprint, example)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
