"""Findings → differences: what a rule, the noise or the baseline takes away is counted, equal ones become one."""

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
"""Of those, how many stand before the first that differs, where two long values begin alike."""
_MOST_OF_A_PATH = 3
"""Different differences at one path of an endpoint that are kept; more of them are one, with their number."""
_MOST_LINES = 25
"""The same for the lines of texts, which people read one by one."""
_MOST_VALUES = 1_000
"""Of those, how many are told apart."""
_MOST = 10_000
"""Differences that are kept at all."""
_MASK = Callable[[str, int], str]

_INDEX = re.compile(r"\[\?@\.\w+==(?:\"(?:[^\"\\]|\\.)*\"|-?\d+)\]|\[\d+\]")
_LINE = re.compile(r" \(line \d+\)")
_NOISY = frozenset({DifferenceKind.value, DifferenceKind.moved, DifferenceKind.header})

NoiseKey = tuple[Endpoint, str]
_Place = tuple[Endpoint, str, DifferenceKind, Severity]


@dataclass
class Filters:
    """What is not to be reported, and how much of it there was."""

    rules: list[IgnoreRule] = field(default_factory=list)
    noise: frozenset[NoiseKey] = frozenset()
    """Places that differ between two recordings of the same thing."""
    baseline: frozenset[str] = frozenset()
    """Fingerprints that are known and accepted."""


class Collector:
    """Takes findings one by one and keeps what is to be reported, in bounded memory."""

    def __init__(self, filters: Filters, mask: _MASK) -> None:
        self._filters = filters
        self._mask = mask
        self._kept: dict[str, Difference] = {}
        self._values_at: dict[_Place, dict[str, None]] = {}
        """The fingerprints that were met at a place."""
        self._merged: dict[_Place, Difference] = {}
        self._only: tuple[dict[str, OnlyIn], dict[str, OnlyIn]] = ({}, {})
        self.by_severity: Counter[Severity] = Counter()
        self.by_kind: Counter[DifferenceKind] = Counter()
        self.ignored = 0
        self.noise = 0
        self.accepted: Counter[str] = Counter()
        """Fingerprints of the baseline that were met."""
        self.omitted = 0
        """Differences that count but are not kept one by one."""

    @property
    def differences(self) -> list[Difference]:
        """Those that are kept, in the order in which they were found."""
        return list(self._kept.values())

    def only_in(self, side: int) -> list[OnlyIn]:
        """Exchanges that only A (0) or only B (1) has."""
        return list(self._only[side].values())

    def add(self, finding: Finding, pair: Pair, endpoint: Endpoint) -> None:
        """A finding of a pair."""
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
        known = self._kept.get(fingerprint)
        if known is not None:
            known.occurrences += 1
            return
        place = (endpoint, general, finding.kind, finding.severity)
        merged = self._merged.get(place)
        if merged is not None:
            merged.occurrences += 1
            if fingerprint not in self._values_at[place] and len(self._values_at[place]) < _MOST_VALUES:
                self._values_at[place][fingerprint] = None
                merged.values += 1
            return
        if len(self._kept) >= _MOST:
            self.omitted += 1
            return
        finding.a, finding.b = shortened_pair(finding.a, finding.b)
        made = Difference(finding, endpoint, fingerprint, pair.a.method, pair.a.url, pair.a.id, pair.b.id, pair.by)
        self._kept[fingerprint] = made
        known_here = self._values_at.setdefault(place, {})
        known_here[fingerprint] = None
        if len(known_here) > (_MOST_LINES if finding.subject.area == "text" else _MOST_OF_A_PATH):
            self._merge(place, known_here)

    def _merge(self, place: _Place, fingerprints: dict[str, None]) -> None:
        """One difference for all that one place says: the first one, with their number."""
        endpoint, general, kind, _ = place
        first, *others = [self._kept[known] for known in fingerprints]
        for other in others:
            del self._kept[other.fingerprint]
            first.occurrences += other.occurrences
        first.values = len(fingerprints)
        first.finding.path = general
        first.fingerprint = varied(kind, endpoint, general)
        self._merged[place] = first

    def add_for_endpoint(self, finding: Finding, endpoint: Endpoint) -> None:
        """A finding about all exchanges of an endpoint."""
        digest = Digest("", "", endpoint.method, f"{endpoint.host}{endpoint.template}")
        self.add(finding, Pair(digest, digest, "endpoint"), endpoint)

    def add_only(self, side: int, digest: Digest, nearest: str) -> None:
        """An exchange without a partner."""
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
        known = self._only[side].get(fingerprint)
        if known is not None:
            known.occurrences += 1
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
        """Whether the baseline knows it: as it is, as one of many values of a place, or under a former name."""
        baseline = self._filters.baseline
        if not baseline:
            return False
        former = Endpoint(endpoint.method, endpoint.host, former_template(path))
        for named in (endpoint, former) if former != endpoint else (endpoint,):
            for known in (
                fingerprint if named is endpoint else self._fingerprint(finding, named, general),
                self._fingerprint(finding, named, general, former=True),
                varied(finding.kind, named, general),
            ):
                if known in baseline:
                    self.accepted[known] += 1
                    return True
        return False

    def _fingerprint(self, finding: Finding, endpoint: Endpoint, general: str, *, former: bool = False) -> str:
        """`former`: as it was made when numbers that no float is were told as texts."""
        if finding.kind is DifferenceKind.timing:
            return _digest(finding.kind, endpoint, general)  # no two measurements are the same
        said = [
            "" if value is ABSENT else self._mask(_quoted(value) if former else rendered(value), side)
            for side, value in enumerate((finding.a, finding.b))
        ]
        return _digest(finding.kind, endpoint, general, *said)


def varied(kind: DifferenceKind, endpoint: Endpoint, general: str) -> str:
    """The fingerprint of a place that says something else each time."""
    return _digest(kind, endpoint, general, "\x00varies")


def general_path(path: str) -> str:
    """A path that fits all items of arrays, messages and lines."""
    return _LINE.sub("", _INDEX.sub("[*]", path))


def is_noise(finding: Finding) -> bool:
    """Whether such a finding may be noise at all: never a status, something that is missing, or another type."""
    return finding.kind in _NOISY and finding.a is not ABSENT and finding.b is not ABSENT


def noise_of(findings: Iterable[tuple[Endpoint, Finding]]) -> frozenset[NoiseKey]:
    """The places that differ between two recordings of the same thing."""
    return frozenset((endpoint, general_path(finding.path)) for endpoint, finding in findings if is_noise(finding))


def rendered(value: Any) -> str:
    """A value as text: texts as they are, anything else as JSON."""
    return value if isinstance(value, str) else dump(value)


def _quoted(value: Any) -> str:
    text = rendered(value)
    return f'"{text}"' if isinstance(value, Decimal) and not is_float(value) else text


def shortened(value: Any) -> Any:
    """A value that takes no more than a bounded room; what is longer becomes the beginning of its text."""
    if value is ABSENT or value is None or isinstance(value, bool):
        return value
    text = rendered(value)
    return value if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}… ({len(text)} characters)"


def shortened_pair(a: Any, b: Any) -> tuple[Any, Any]:
    """Two values that take a bounded room: of long ones that begin alike, what is kept is where they first differ."""
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
    """How many characters two texts have in common at their beginning, by halves."""
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
