"""Findings → differences: what a rule, the noise or the baseline takes away is counted, equal ones become one."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from mockrec.formats.diff.documents import dump
from mockrec.formats.diff.ignore import Rule
from mockrec.formats.diff.keys import split
from mockrec.formats.diff.model import (
    ABSENT,
    Difference,
    Digest,
    Endpoint,
    Finding,
    Kind,
    OnlyIn,
    Pair,
    Severity,
    Subject,
)

MOST_TEXT = 500
"""Characters of a value that are kept: a report is for people."""
_MOST_OF_A_PATH = 25
"""Different differences at one path of an endpoint that are kept; the others are a number."""
_MOST = 10_000
"""Differences that are kept at all."""
_MASK = Callable[[str, int], str]

_INDEX = re.compile(r"\[\?@\.\w+==(?:\"(?:[^\"\\]|\\.)*\"|-?\d+)\]|\[\d+\]")
_LINE = re.compile(r" \(line \d+\)")
_NOISY = frozenset({Kind.value, Kind.moved, Kind.header})

NoiseKey = tuple[Endpoint, str]


@dataclass
class Filters:
    """What is not to be reported, and how much of it there was."""

    rules: list[Rule] = field(default_factory=list)
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
        self._at_path: Counter[tuple[Endpoint, str]] = Counter()
        self._only: tuple[dict[str, OnlyIn], dict[str, OnlyIn]] = ({}, {})
        self.by_severity: Counter[Severity] = Counter()
        self.by_kind: Counter[Kind] = Counter()
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
        if not self._counts(fingerprint, finding.kind, finding.severity):
            return
        known = self._kept.get(fingerprint)
        if known is not None:
            known.occurrences += 1
            return
        self._at_path[endpoint, general] += 1
        if self._at_path[endpoint, general] > _MOST_OF_A_PATH or len(self._kept) >= _MOST:
            self.omitted += 1
            return
        finding.a, finding.b = shortened(finding.a), shortened(finding.b)
        self._kept[fingerprint] = Difference(
            finding, endpoint, fingerprint, pair.a.method, pair.a.url, pair.a.id, pair.b.id, pair.by
        )

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
        kind = Kind.added if side else Kind.removed
        severity = Severity.changed if side else Severity.breaking
        fingerprint = _digest(kind, endpoint, "exchange", digest.status)
        if fingerprint in self._filters.baseline:
            self.accepted[fingerprint] += 1
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

    def _counts(self, fingerprint: str, kind: Kind, severity: Severity) -> bool:
        if fingerprint in self._filters.baseline:
            self.accepted[fingerprint] += 1
            return False
        self.by_kind[kind] += 1
        self.by_severity[severity] += 1
        return True

    def _fingerprint(self, finding: Finding, endpoint: Endpoint, general: str) -> str:
        if finding.kind is Kind.timing:
            return _digest(finding.kind, endpoint, general)  # no two measurements are the same
        said = [
            "" if value is ABSENT else self._mask(rendered(value), side)
            for side, value in enumerate((finding.a, finding.b))
        ]
        return _digest(finding.kind, endpoint, general, *said)


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


def shortened(value: Any) -> Any:
    """A value that takes no more than a bounded room; what is longer becomes the beginning of its text."""
    if value is ABSENT or value is None or isinstance(value, bool):
        return value
    text = rendered(value)
    return value if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}… ({len(text)} characters)"


def _digest(*parts: object) -> str:
    return hashlib.sha256("\x00".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()[:12]
