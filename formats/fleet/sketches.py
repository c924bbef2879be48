"""Statistics that can be sent and merged: counts as they are, durations as KLL sketches of Apache DataSketches.

A quantile of a sketch has at most `ERROR` of rank error (99 % of the time); counts, sums and maxima are exact.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable
from typing import Any

import orjson

from mockrec.formats.analysis.stats import MAX_ENDPOINTS, OTHER, OTHER_OPERATION, Stats
from mockrec.formats.analysis.stats_groups import PERCENTILES, EndpointStats, OperationStats

K = 400
"""The size of a sketch: at most 0.7 % of rank error, about 4 KiB."""
_SCALARS = ("without_rule", "request_bytes", "response_bytes", "largest", "tunnel_bytes", "first", "last")


def _sketch(data: bytes | None = None) -> Any:
    from datasketches import kll_doubles_sketch

    return kll_doubles_sketch(K) if data is None else kll_doubles_sketch.deserialize(data)


class SketchedStats(Stats):
    """Statistics merged from parts. Percentiles are those of sketches."""

    def __init__(self) -> None:
        super().__init__()
        self.sketches: dict[tuple[str, ...], Any] = {}
        """Of durations, by endpoint (method, host and path) or operation (place and name)."""
        self.first_sketches: dict[tuple[str, ...], Any] = {}
        """Of the times to the first byte, by endpoint."""
        self._keys: dict[int, tuple[str, ...]] = {}
        """The keys of endpoints and operations, by their identity."""

    def percentiles(self, endpoint: EndpointStats | None = None) -> dict[str, float]:
        """See `Stats.percentiles`: within the error of the sketches."""
        return self._percentiles(self.sketches, endpoint)

    def first_bytes(self, endpoint: EndpointStats | None = None) -> dict[str, float]:
        """See `Stats.first_bytes`: within the error of the sketches."""
        return self._percentiles(self.first_sketches, endpoint)

    def _percentiles(self, sketches: dict[tuple[str, ...], Any], endpoint: EndpointStats | None) -> dict[str, float]:
        if endpoint is None:
            whole = _sketch()
            for key, sketch in sketches.items():
                if key in self.endpoints:  # operations are exchanges of endpoints
                    whole.merge(sketch)
        else:
            whole = sketches.get(self._keys[id(endpoint)])
        if whole is None or whole.is_empty():
            return {}
        found = {f"p{share}": whole.get_quantile(share / 100, True) for share in PERCENTILES}
        return {**found, "max": whole.get_max_value()}

    def add_part(self, data: bytes) -> None:
        """Add the result of `packed`. Parts are added in the order of their sessions."""
        part, sketches, first_sketches = _unpacked(data)
        self.merge(part)
        for ours, theirs in ((self.sketches, sketches), (self.first_sketches, first_sketches)):
            for key, sketch in theirs.items():
                known: Any = self.endpoints if len(key) == len(OTHER) else self.operations
                key = key if key in known else OTHER if known is self.endpoints else OTHER_OPERATION
                self._keys[id(known[key])] = key
                if key in ours:
                    ours[key].merge(sketch)
                else:
                    ours[key] = sketch


def packed(stats: Stats) -> bytes:
    """Return statistics as bytes, with sketches for the times of each endpoint and operation."""
    return orjson.dumps(
        {
            "records": dict(stats.records),
            "endpoints": [[key, *_packed(one), _sketched(one.first_bytes)] for key, one in stats.endpoints.items()],
            "operations": [
                [key, *_packed(one), one.input_tokens, one.output_tokens] for key, one in stats.operations.items()
            ],
            "statuses": list(stats.statuses.items()),
            "errors": list(stats.errors.items()),
            "rules": dict(stats.rules),
            "knownRules": stats.known_rules,
            "slowest": stats.ranked(),
            **{name: getattr(stats, name) for name in _SCALARS},
        }
    )


def _packed(one: EndpointStats) -> tuple[Any, ...]:
    return one.count, one.failed, dict(one.statuses), one.bytes, _sketched(one.durations)


def _sketched(values: Iterable[float]) -> str:
    sketch = _sketch()
    for value in values:
        sketch.update(value)
    return base64.b64encode(sketch.serialize()).decode()


def _unpacked(data: bytes) -> tuple[Stats, dict[tuple[str, ...], Any], dict[tuple[str, ...], Any]]:
    known = orjson.loads(data)
    stats = Stats(
        records=Counter(known["records"]),
        statuses=Counter(dict(known["statuses"])),
        errors=Counter({(kind, error): count for (kind, error), count in known["errors"]}),
        rules=Counter(known["rules"]),
        known_rules=known["knownRules"],
        **{name: known[name] for name in _SCALARS},
    )
    sketches: dict[tuple[str, ...], Any] = {}
    first_sketches: dict[tuple[str, ...], Any] = {}
    for (method, host, path), count, failed, statuses, size, sketch, first in known["endpoints"][: MAX_ENDPOINTS + 1]:
        key = method, host, path
        stats.endpoints[key] = EndpointStats(count, failed, Counter(statuses), bytes=size)
        sketches[key] = _sketch(base64.b64decode(sketch))
        first_sketches[key] = _sketch(base64.b64decode(first))
    for (place, name), count, failed, statuses, size, sketch, given, got in known["operations"][: MAX_ENDPOINTS + 1]:
        call = place, name
        stats.operations[call] = OperationStats(
            count, failed, Counter(statuses), bytes=size, input_tokens=given, output_tokens=got
        )
        sketches[call] = _sketch(base64.b64decode(sketch))
    stats.add_ranked(known["slowest"])
    return stats, sketches, first_sketches
