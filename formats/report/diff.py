"""The differences of two sessions as a report: findings by severity and endpoint, and the exchanges that they name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from mockrec.formats.diff.collect import general_path
from mockrec.formats.diff.ignore import parse_rule
from mockrec.formats.diff.model.finding import Difference, OnlyIn, Severity
from mockrec.formats.diff.report.entries import headline, remarks, rolled_up, shown
from mockrec.formats.diff.report.json import summary
from mockrec.formats.diff.result import Result
from mockrec.formats.report.gather import Gathered, ReportRow
from mockrec.formats.schema.errors import FormatError
from mockrec.formats.schema.lenient import text_of
from mockrec.formats.sessions.session import open_session

SIDES = ("A", "B")
_ORDER = (Severity.breaking, Severity.changed, Severity.info)
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_MOST_ENDPOINTS = 50
"""Endpoints of one common difference that are named."""


def gather_sides(result: Result, paths: Sequence[str], limit: int) -> Gathered:
    """Read the exchanges that differ from both sessions. One that was read from stdin cannot be read again.

    Close what is returned. Raises `SessionError`.
    """
    gathered = Gathered(limit)
    wanted: tuple[set[str], set[str]] = (set(), set())
    for difference in result.differences:
        wanted[0].add(difference.id_a)
        wanted[1].add(difference.id_b)
    for side, only in enumerate((result.only_a, result.only_b)):
        wanted[side].update(one.id for one in only)
    try:
        for source, path in enumerate(paths):
            if path == "-":
                gathered.summary.warn("stdin", "it cannot be read twice, so its exchanges are not in this report")
                continue
            with open_session(path) as session:
                for _, record in session:
                    if text_of(record.get("id")) in wanted[source] or record["type"] in (
                        "session-started",
                        "session-ended",
                    ):
                        gathered.add(record, session.bodies_folder, source)
    except BaseException:
        gathered.close()
        raise
    return gathered


def findings(result: Result, rows: Sequence[ReportRow]) -> dict[str, Any]:
    """Return the findings for the page; their exchanges are numbers of rows."""
    places = {(row.source, row.id): place for place, row in enumerate(rows)}
    made = [_difference(same, places) for same in rolled_up(result.differences)]
    for side, only in enumerate((result.only_a, result.only_b)):
        made += [_only(one, side, places) for one in only]
    made.sort(key=lambda finding: _ORDER.index(finding["severity"]))
    return {
        "headline": headline(result),
        "same": result.same,
        "summary": summary(result),
        "names": [result.a.name, result.b.name],
        "cutOff": [result.a.cut_off, result.b.cut_off],
        "remarks": remarks(result),
        "ignored": [[str(rule), rule.reason, rule.hidden] for rule in result.rules],
        "findings": made,
    }


def _difference(same: Sequence[Difference], places: dict[tuple[int, str], int]) -> dict[str, Any]:
    first = same[0]
    finding = first.finding
    a, b = shown(finding)
    common = len(same) > 1
    return {
        "severity": finding.severity,
        "kind": finding.kind,
        "path": general_path(finding.path) if common else finding.path,
        "a": a,
        "b": b,
        "endpoints": [str(one.endpoint) for one in same[:_MOST_ENDPOINTS]],
        "endpointCount": len(same),
        "occurrences": sum(one.occurrences for one in same),
        "values": max(one.values for one in same),
        "fingerprints": [one.fingerprint for one in same],
        "ignore": _ignoring(first, everywhere=common),
        "rows": [places.get((0, first.id_a)), places.get((1, first.id_b))],
    }


def _only(only: OnlyIn, side: int, places: dict[tuple[int, str], int]) -> dict[str, Any]:
    status = f"{only.method} {only.url} → {only.status}" if only.status is not None else f"{only.method} {only.url}"
    sides = [status, "(absent)"] if side == 0 else ["(absent)", status]
    rows = [places.get((side, only.id)), None]
    return {
        "severity": only.severity,
        "kind": "added" if side else "removed",
        "path": f"only in {SIDES[side]}",
        "a": sides[0],
        "b": sides[1],
        "nearest": only.nearest,
        "endpoints": [str(only.endpoint)],
        "endpointCount": 1,
        "occurrences": only.occurrences,
        "values": 1,
        "fingerprints": [only.fingerprint],
        "ignore": f"{only.endpoint.method} {_glob(only.endpoint.template)} count",
        "rows": rows if side == 0 else rows[::-1],
    }


def _ignoring(difference: Difference, *, everywhere: bool) -> str:
    """Return the rule of `--ignore` that hides a difference; empty if there is none that does."""
    finding, endpoint = difference.finding, difference.endpoint
    selector = general_path(finding.path).split(" ")[0]
    for candidate in (selector, finding.subject.area, f"{finding.subject.message}.body", "body"):
        text = candidate if everywhere else f"{endpoint.method} {_glob(endpoint.template)} {candidate}"
        try:
            if parse_rule(text).hides(finding.subject, endpoint, difference.method, endpoint.template):
                return text
        except FormatError:
            continue
    return ""


def _glob(template: str) -> str:
    return _PLACEHOLDER.sub("*", template)
