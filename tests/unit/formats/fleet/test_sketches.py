"""Statistics that were packed and merged are those of all sessions, with operations and times to the first byte."""

from __future__ import annotations

import orjson
from random_sessions import lines, random_session

from mockrec.cli.stats import summary
from mockrec.formats.analysis.stats import Stats
from mockrec.formats.fleet.sketches import SketchedStats, packed
from mockrec.formats.select.inputs import SelectedLine


def _stats(seed: int) -> Stats:
    stats = Stats()
    stats.add(SelectedLine(line, 0, 0) for line in lines(random_session(seed)).splitlines())
    return stats


def test_parts_of_few_exchanges_are_merged_exactly() -> None:
    merged, exact = SketchedStats(), Stats()
    for seed in range(40):
        merged.add_part(packed(_stats(seed)))
        exact.merge(_stats(seed))
    assert exact.operations
    assert exact.first_bytes()
    found, expected = (orjson.loads(orjson.dumps(summary(one))) for one in (merged, exact))
    assert found == expected
