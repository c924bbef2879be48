"""Gathered sessions → the HTML file, within the limits of size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mockrec.formats.report.blocks import blocks_of, packed_json
from mockrec.formats.report.bundle import page
from mockrec.formats.report.choose import MOST_ROWS, choose
from mockrec.formats.report.columns import columns
from mockrec.formats.report.gather import Gathered, ReportRow
from mockrec.formats.schema.version import mockrec_version

BODIES_LIMIT = 5 * 1024 * 1024
MOST_BYTES = 19_000_000
"""Bytes of the packed rows and details. With script and styles a report stays below 20 MB, apart from its bodies."""
_ROUNDS = 6


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
    for _ in range(_ROUNDS):
        choice = choose(gathered.rows, most)
        rows = choice.rows
        table = columns(gathered, rows, sessions)
        starts, details = blocks_of(gathered.spool.get(row.detail) for row in rows)
        size = len(packed_json(table)) + sum(map(len, details))
        if size <= MOST_BYTES or len(rows) < 100:
            break
        most = int(len(rows) * MOST_BYTES / size * 0.95)
    bodies, contents = _bodies(gathered, rows)
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
    return page(packed_json(index), [*details, *contents]), " ".join(words)


def _bodies(gathered: Gathered, rows: Sequence[ReportRow]) -> tuple[dict[str, Any], list[bytes]]:
    """Choose contents, those of failures first."""
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
    return {"numbers": differences, "starts": starts, "omitted": omitted, "hashes": left}, contents
