"""Gathered sessions → the HTML file, within the limits of size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mockrec.formats.report.blocks import blocks_of, packed_json
from mockrec.formats.report.bundle import page
from mockrec.formats.report.choose import MOST_ROWS, choose
from mockrec.formats.report.columns import columns, late_columns
from mockrec.formats.report.gather import Gathered, ReportRow
from mockrec.formats.schema.version import mockrec_version

MOST_BYTES = 19_800_000
"""Packed bytes of a report without script and styles. If there are more, it shows fewer exchanges."""
_ORDINARY_BODIES = 5 * 1024 * 1024
_GROWTH = 1.5
"""Bytes of a report for each byte of bodies beyond the ordinary ones, which users ask for (`--bodies`)."""
_ROUNDS = 6
_FEWEST = 100
"""Exchanges of which the report shows all, whatever they need."""


def html(
    gathered: Gathered,
    title: str,
    sessions: Sequence[str],
    *,
    diff: Callable[[Sequence[ReportRow]], dict[str, Any]] | None = None,
) -> tuple[Iterable[bytes], str]:
    """Return the parts of the HTML file, and a sentence about what it leaves out (empty: nothing).

    `sessions`: their names. `diff` returns the findings of a comparison, given the rows of the report.
    """
    gathered.finish()
    most = MOST_ROWS
    room = MOST_BYTES + int(max(0, gathered.bodies.limit - _ORDINARY_BODIES) * _GROWTH)
    for _ in range(_ROUNDS):
        choice = choose(gathered.rows, most)
        rows = choice.rows
        starts, details = blocks_of(gathered.spool.get(row.detail) for row in rows)
        bodies, hashes, contents = _bodies(gathered, rows)
        blocks = [packed_json(late_columns(rows) | {"hashes": hashes}), *details, *contents]
        table = columns(gathered, rows, sessions)
        size = len(packed_json(table)) + sum(map(len, blocks))
        if size <= room or len(rows) < _FEWEST:
            break
        most = max(_FEWEST - 1, int(len(rows) * room / size * 0.95))
    words = [choice.words] if choice.words else []
    if bodies["omitted"]:
        words.append(f"{bodies['omitted']:,} different bodies are shown by size and hash only (--bodies SIZE).")
    index = {
        "version": mockrec_version(),
        "title": title,
        "summary": gathered.summary.to_json(),
        "sampled": choice.words,
        "notes": words,
        "table": table,
        "details": starts,
        "bodies": bodies,
        **({"diff": diff(rows)} if diff is not None else {}),
    }
    return page(packed_json(index), blocks), " ".join(words)


def _bodies(gathered: Gathered, rows: Sequence[ReportRow]) -> tuple[dict[str, Any], dict[str, str], list[bytes]]:
    """Choose contents, those of failures first. Return their numbers, the hashes of the others, and the blocks."""
    order = sorted(range(len(rows)), key=lambda place: not rows[place].failed)
    wanted = list(dict.fromkeys(number for place in order for number in rows[place].bodies))
    found, omitted = gathered.bodies.chosen(wanted)
    numbers = sorted(found)
    starts, contents = blocks_of(found[number] for number in numbers)
    before = 0
    differences = []
    for number in numbers:
        differences.append(number - before)
        before = number
    left = gathered.bodies.hashes(number for number in wanted if number not in found) if omitted else {}
    return {"numbers": differences, "starts": starts, "omitted": omitted}, left, contents
