"""Statistics that can be sent and merged: counts as they are, durations as KLL sketches of Apache DataSketches.

A quantile of a sketch has at most `ERROR` of rank error (99 % of the time); counts, sums and maxima are exact.
"""

from __future__ import annotations

import base64
from array import array
from collections import Counter
from typing import Any

import orjson

from mockrec.formats.analysis.stats import MAX_ENDPOINTS, OTHER, PERCENTILES, EndpointStats, Stats

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
        self.sketches: dict[tuple[str, str, str], Any] = {}

    def percentiles(self, endpoint: EndpointStats | None = None) -> dict[str, float]:
        """See `Stats.percentiles`: within the error of the sketches."""
        if endpoint is None:
            whole = _sketch()
            for sketch in self.sketches.values():
                whole.merge(sketch)
        else:
            key = next(key for key, known in self.endpoints.items() if known is endpoint)
            whole = self.sketches[key]
        if whole.is_empty():
            return {}
        found = {f"p{share}": whole.get_quantile(share / 100, True) for share in PERCENTILES}
        return {**found, "max": whole.get_max_value()}

    def add_part(self, data: bytes) -> None:
        """Add the result of `packed`. Parts are added in the order of their sessions."""
        part, sketches = _unpacked(data)
        self.merge(part)
        for key, sketch in sketches.items():
            key = key if key in self.endpoints else OTHER
            if key in self.sketches:
                self.sketches[key].merge(sketch)
            else:
                self.sketches[key] = sketch


def packed(stats: Stats) -> bytes:
    """Return statistics as bytes, with a sketch for the durations of each endpoint."""
    endpoints = []
    for key, one in stats.endpoints.items():
        sketch = _sketch()
        for duration in one.durations:
            sketch.update(duration)
        data = base64.b64encode(sketch.serialize()).decode()
        endpoints.append([key, one.count, one.failed, dict(one.statuses), one.bytes, data])
    return orjson.dumps(
        {
            "records": dict(stats.records),
            "endpoints": endpoints,
            "statuses": list(stats.statuses.items()),
            "errors": list(stats.errors.items()),
            "rules": dict(stats.rules),
            "knownRules": stats.known_rules,
            "slowest": stats.ranked(),
            **{name: getattr(stats, name) for name in _SCALARS},
        }
    )


def _unpacked(data: bytes) -> tuple[Stats, dict[tuple[str, str, str], Any]]:
    known = orjson.loads(data)
    stats = Stats(
        records=Counter(known["records"]),
        statuses=Counter(dict(known["statuses"])),
        errors=Counter({(kind, error): count for (kind, error), count in known["errors"]}),
        rules=Counter(known["rules"]),
        known_rules=known["knownRules"],
        **{name: known[name] for name in _SCALARS},
    )
    sketches = {}
    for (method, host, path), count, failed, statuses, size, sketch in known["endpoints"][: MAX_ENDPOINTS + 1]:
        key = method, host, path
        stats.endpoints[key] = EndpointStats(count, failed, Counter(statuses), array("d"), size)
        sketches[key] = _sketch(base64.b64decode(sketch))
    stats.add_ranked(known["slowest"])
    return stats, sketches
