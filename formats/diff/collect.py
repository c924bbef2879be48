"""Turn findings into differences: remove and count what a rule, noise or the baseline covers, and merge equal ones."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from mockrec.formats.diff.compare.documents import dump, is_float
from mockrec.formats.diff.compare.keys import split
from mockrec.formats.diff.ignore import IgnoreRule
from mockrec.formats.diff.model.exchange import Digest, Endpoint, Pair
from mockrec.formats.diff.model.finding import ABSENT, Difference, DifferenceKind, Finding, OnlyIn, Severity, Subject
from mockrec.formats.sessions.endpoints import former_template

MOST_TEXT = 500
"""Characters of a value that are kept: a report is for people."""
_BEFORE = 100
"""Characters that are kept before the first that differs, if two long values begin alike."""
_MOST_OF_A_PATH = 3
"""Differences at one path of an endpoint that are kept; more are merged into one, with their number."""
_MOST_LINES = 25
"""Differing lines of one text that are kept, because people read them one by one."""
_MOST_VALUES = 1_000
"""Different values of a merged difference that are counted exactly."""
_MOST = 10_000
"""Differences that are kept in total."""
_MASK = Callable[[str, int], str]

_INDEX = re.compile(r"\[\?@\.\w+==(?:\"(?:[^\"\\]|\\.)*\"|-?\d+)\]|\[\d+\]")
_LINE = re.compile(r" \(line \d+\)")
_NOISY = frozenset({DifferenceKind.value, DifferenceKind.moved, DifferenceKind.header})

NoiseKey = tuple[Endpoint, str]
_Place = tuple[Endpoint, str, DifferenceKind, Severity]


@dataclass
class Filters:
    """Differences that are not reported."""

    rules: list[IgnoreRule] = field(default_factory=list)
    noise: frozenset[NoiseKey] = frozenset()
    """Places that differ between two recordings of the same program."""
    baseline: frozenset[str] = frozenset()
    """Accepted fingerprints."""


class Collector:
    """Takes findings one by one and keeps those to report, in bounded memory."""

    def __init__(self, filters: Filters, mask: _MASK) -> None:
        self._filters = filters
        self._mask = mask
        self._listed: dict[str, Difference] = {}
        self._values_at: dict[_Place, dict[str, None]] = {}
        """Place → fingerprints of its differences (a dict as an ordered set)."""
        self._merged: dict[_Place, Difference] = {}
        self._only: tuple[dict[str, OnlyIn], dict[str, OnlyIn]] = ({}, {})
        self.by_severity: Counter[Severity] = Counter()
        self.by_kind: Counter[DifferenceKind] = Counter()
        self.ignored = 0
        self.noise = 0
        self.accepted: Counter[str] = Counter()
        """Fingerprint of the baseline → number of findings that it covered."""
        self.omitted = 0
        """Differences beyond `_MOST`, which are only counted."""

    @property
    def differences(self) -> list[Difference]:
        """The kept differences, in the order in which they were found."""
        return list(self._listed.values())

    def only_in(self, side: int) -> list[OnlyIn]:
        """Return the exchanges that only A (0) or only B (1) has."""
        return list(self._only[side].values())

    def add(self, finding: Finding, pair: Pair, endpoint: Endpoint) -> None:
        """Take a finding of a pair."""
        path = split(pair.a.url).path
        if self._is_ignored(finding.subject, endpoint, pair.a.method, path):
            return
        general = general_path(finding.path)
        if is_noise(finding) and (endpoint, general) in self._filters.noise:
            self.noise += 1
            return
        fingerprint = self._fingerprint(finding, endpoint, general)
        if self._is_accepted(finding, endpoint, general, path, fingerprint):
            return
        self.by_kind[finding.kind] += 1
        self.by_severity[finding.severity] += 1
        earlier = self._listed.get(fingerprint)
        if earlier is not None:
            earlier.occurrences += 1
            return
        place = (endpoint, general, finding.kind, finding.severity)
        merged = self._merged.get(place)
        if merged is not None:
            merged.occurrences += 1
            if fingerprint not in self._values_at[place] and len(self._values_at[place]) < _MOST_VALUES:
                self._values_at[place][fingerprint] = None
                merged.values += 1
            return
        if len(self._listed) >= _MOST:
            self.omitted += 1
            return
        finding.a, finding.b = shortened_pair(finding.a, finding.b)
        made = Difference(finding, endpoint, fingerprint, pair.a.method, pair.a.url, pair.a.id, pair.b.id, pair.by)
        self._listed[fingerprint] = made
        fingerprints_here = self._values_at.setdefault(place, {})
        fingerprints_here[fingerprint] = None
        if len(fingerprints_here) > (_MOST_LINES if finding.subject.area == "text" else _MOST_OF_A_PATH):
            self._merge(place, fingerprints_here)

    def _merge(self, place: _Place, fingerprints: dict[str, None]) -> None:
        """Merge the differences of a place into the first one, with their number."""
        endpoint, general, kind, _ = place
        first, *rest = [self._listed[fingerprint] for fingerprint in fingerprints]
        for other in rest:
            del self._listed[other.fingerprint]
            first.occurrences += other.occurrences
        first.values = len(fingerprints)
        first.finding.path = general
        first.fingerprint = varied(kind, endpoint, general)
        self._merged[place] = first

    def add_for_endpoint(self, finding: Finding, endpoint: Endpoint) -> None:
        """Take a finding about all exchanges of an endpoint."""
        digest = Digest("", "", endpoint.method, f"{endpoint.host}{endpoint.template}")
        self.add(finding, Pair(digest, digest, "endpoint"), endpoint)

    def add_only(self, side: int, digest: Digest, nearest: str) -> None:
        """Take an exchange without a partner. `nearest`: a similar endpoint of the other session, or ""."""
        endpoint = digest.endpoint
        assert endpoint is not None
        if self._is_ignored(Subject("", "count"), endpoint, digest.method, split(digest.url).path):
            return
        kind = DifferenceKind.added if side else DifferenceKind.removed
        severity = Severity.changed if side else Severity.breaking
        fingerprint = _digest(kind, endpoint, "exchange", digest.status)
        former = Endpoint(endpoint.method, endpoint.host, former_template(split(digest.url).path))
        for either in (fingerprint, _digest(kind, former, "exchange", digest.status)):
            if either in self._filters.baseline:
                self.accepted[either] += 1
                return
        earlier = self._only[side].get(fingerprint)
        if earlier is not None:
            earlier.occurrences += 1
        elif len(self._only[side]) >= _MOST:
            self.omitted += 1
        else:
            self._only[side][fingerprint] = OnlyIn(
                endpoint, fingerprint, digest.method, digest.url, digest.id, digest.status, severity, nearest
            )

    def _is_ignored(self, subject: Subject, endpoint: Endpoint, method: str, path: str) -> bool:
        for rule in self._filters.rules:
            if rule.hides(subject, endpoint, method, path):
                rule.hidden += 1
                self.ignored += 1
                return True
        return False

    def _is_accepted(self, finding: Finding, endpoint: Endpoint, general: str, path: str, fingerprint: str) -> bool:
        """True if the baseline has the finding: with its fingerprint, as one of many values of a place, or with a
        fingerprint of a former version."""
        baseline = self._filters.baseline
        if not baseline:
            return False
        former = Endpoint(endpoint.method, endpoint.host, former_template(path))
        for named in (endpoint, former) if former != endpoint else (endpoint,):
            for candidate in (
                fingerprint if named is endpoint else self._fingerprint(finding, named, general),
                self._fingerprint(finding, named, general, former=True),
                varied(finding.kind, named, general),
            ):
                if candidate in baseline:
                    self.accepted[candidate] += 1
                    return True
        return False

    def _fingerprint(self, finding: Finding, endpoint: Endpoint, general: str, *, former: bool = False) -> str:
        """Return the fingerprint. `former`: as former versions made it, with exact decimals as texts."""
        if finding.kind is DifferenceKind.timing:
            return _digest(finding.kind, endpoint, general)  # without values: no two measurements are equal
        sides = [
            "" if value is ABSENT else self._mask(_quoted(value) if former else rendered(value), side)
            for side, value in enumerate((finding.a, finding.b))
        ]
        return _digest(finding.kind, endpoint, general, *sides)


def varied(kind: DifferenceKind, endpoint: Endpoint, general: str) -> str:
    """Return the fingerprint of a place whose value differs each time."""
    return _digest(kind, endpoint, general, "\x00varies")


def general_path(path: str) -> str:
    """Return a path without indexes, which covers all items of arrays, messages and lines."""
    return _LINE.sub("", _INDEX.sub("[*]", path))


def is_noise(finding: Finding) -> bool:
    """True if a finding of this kind may be noise: never a status, a missing value, or another type."""
    return finding.kind in _NOISY and finding.a is not ABSENT and finding.b is not ABSENT


def noise_of(findings: Iterable[tuple[Endpoint, Finding]]) -> frozenset[NoiseKey]:
    """Return the places that differ between two recordings of the same program."""
    return frozenset((endpoint, general_path(finding.path)) for endpoint, finding in findings if is_noise(finding))


def rendered(value: Any) -> str:
    """Return a value as text: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else dump(value)


def _quoted(value: Any) -> str:
    text = rendered(value)
    return f'"{text}"' if isinstance(value, Decimal) and not is_float(value) else text


def shortened(value: Any) -> Any:
    """Return the value, or the beginning of its text if that is longer than `MOST_TEXT`."""
    if value is ABSENT or value is None or isinstance(value, bool):
        return value
    text = rendered(value)
    return value if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}… ({len(text)} characters)"


def shortened_pair(a: Any, b: Any) -> tuple[Any, Any]:
    """Shorten two values; of long values that begin alike, keep the part around the first difference."""
    short_a, short_b = shortened(a), shortened(b)
    if short_a is a or short_b is b:
        return short_a, short_b
    text_a, text_b = rendered(a), rendered(b)
    start = _first_difference(text_a, text_b) - _BEFORE
    if start <= MOST_TEXT - 2 * _BEFORE:
        return short_a, short_b
    return _from(text_a, start), _from(text_b, start)


def _from(text: str, start: int) -> str:
    end = start + MOST_TEXT
    return f"…{text[start:end]}{'…' if end < len(text) else ''} (from character {start + 1} of {len(text)})"


def _first_difference(a: str, b: str) -> int:
    """Return the length of two texts' common beginning, by bisection."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _digest(*parts: object) -> str:
    return hashlib.sha256("\x00".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()[:12]
