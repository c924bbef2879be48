"""The report for programs, which `--baseline` reads too. Its schema is in docs/diff.md."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from mockrec.formats.diff.collect import general_path
from mockrec.formats.diff.compare.documents import plain
from mockrec.formats.diff.model.finding import ABSENT, Difference, OnlyIn
from mockrec.formats.diff.report.entries import rolled_up
from mockrec.formats.diff.result import Result

SCHEMA_VERSION = 1


def report(result: Result) -> str:
    """Return one JSON object, indented."""
    numbers = _Numbers()
    document = {
        "schemaVersion": SCHEMA_VERSION,
        "a": result.a.name,
        "b": result.b.name,
        "summary": summary(result),
        "differences": [_differences(same, numbers) for same in rolled_up(result.differences)],
        "ignored": [
            {"rule": str(rule), "reason": rule.reason, "count": rule.hidden} for rule in result.rules if rule.hidden
        ],
        "unusedRules": [str(rule) for rule in result.unused_rules],
        "onlyInA": [_only(only) for only in result.only_a],
        "onlyInB": [_only(only) for only in result.only_b],
    }
    # UTF-8 cannot encode a lone surrogate, but JSON can escape it.
    text = numbers.put_in(json.dumps(document, indent=2, ensure_ascii=False))
    return text.encode("utf-8", "backslashreplace").decode() + "\n"


def summary(result: Result) -> dict[str, Any]:
    """Return the summary, mostly numbers."""
    return {
        "exchanges": {"a": result.a.exchanges, "b": result.b.exchanges},
        "complete": {"a": not result.a.cut_off, "b": not result.b.cut_off},
        "paired": sum(result.paired.values()),
        "pairedBy": dict(result.paired),
        "bySeverity": dict(result.by_severity),
        "byKind": dict(result.by_kind),
        "onlyInA": sum(only.occurrences for only in result.only_a),
        "onlyInB": sum(only.occurrences for only in result.only_b),
        "ignored": sum(rule.hidden for rule in result.rules),
        "noise": result.noise,
        "baseline": result.accepted,
        "baselineGone": result.gone,
        "omitted": result.omitted,
        "notes": list(result.notes),
    }


class _Numbers:
    """Exact decimals, which `json` cannot write: each is a marked text until the report is written."""

    def __init__(self) -> None:
        self._mark = secrets.token_hex(16)  # no recorded text contains it

    def marked(self, number: Decimal) -> str:
        """Return the marked text for a number."""
        return f"{self._mark}{number}"

    def put_in(self, text: str) -> str:
        """Replace the marked texts in a report by the numbers."""
        return re.sub(rf'"{self._mark}([^"]*)"', r"\1", text)


def _differences(same: Sequence[Difference], numbers: _Numbers) -> dict[str, Any]:
    """Return common differences as one: the first one, with all endpoints."""
    entry = _difference(same[0], numbers)
    if len(same) > 1:
        entry["path"] = general_path(entry["path"])
        entry["occurrences"] = sum(one.occurrences for one in same)
        entry["endpoints"] = [
            {"endpoint": str(one.endpoint), "fingerprint": one.fingerprint, "occurrences": one.occurrences}
            for one in same
        ]
    return entry


def _difference(difference: Difference, numbers: _Numbers) -> dict[str, Any]:
    finding = difference.finding
    entry: dict[str, Any] = {
        "kind": finding.kind,
        "severity": finding.severity,
        "path": finding.path,
        "endpoint": str(difference.endpoint),
    }
    for name, value in (("a", finding.a), ("b", finding.b)):
        if value is not ABSENT:
            entry[name] = plain(value, numbers.marked)
    return entry | {
        "fingerprint": difference.fingerprint,
        "exchange": {"method": difference.method, "url": difference.url, **_ids(difference)},
        "pairedBy": difference.paired_by,
        "occurrences": difference.occurrences,
        **({"differentValues": difference.values} if difference.values > 1 else {}),
    }


def _ids(difference: Difference) -> dict[str, str]:
    """Return the ids of the exchanges, for `mockrec show`; a difference of a whole endpoint has none."""
    return {name: found for name, found in (("a", difference.id_a), ("b", difference.id_b)) if found}


def _only(only: OnlyIn) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "method": only.method,
        "url": only.url,
        "endpoint": str(only.endpoint),
        "id": only.id,
        "severity": only.severity,
        "fingerprint": only.fingerprint,
        "occurrences": only.occurrences,
    }
    if only.status is not None:
        entry["status"] = only.status
    if only.nearest:
        entry["nearest"] = only.nearest
    return entry
