"""The report for programs, and what `--baseline` takes. Its schema is in docs/diff.md."""

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
    """One JSON object, indented."""
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
    # A lone surrogate has no form in UTF-8; as an escape it has one in JSON.
    text = numbers.put_in(json.dumps(document, indent=2, ensure_ascii=False))
    return text.encode("utf-8", "backslashreplace").decode() + "\n"


def summary(result: Result) -> dict[str, Any]:
    """Numbers only."""
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
    """Numbers that no float is: a text stands for each until the report is written."""

    def __init__(self) -> None:
        self._mark = secrets.token_hex(16)  # nothing that was recorded holds it

    def taken(self, number: Decimal) -> str:
        """What stands for a number."""
        return f"{self._mark}{number}"

    def put_in(self, text: str) -> str:
        """The text with the numbers as they are."""
        return re.sub(rf'"{self._mark}([^"]*)"', r"\1", text)


def _differences(same: Sequence[Difference], numbers: _Numbers) -> dict[str, Any]:
    """Differences that say the same as one: the first of them, with all endpoints."""
    told = _difference(same[0], numbers)
    if len(same) > 1:
        told["path"] = general_path(told["path"])
        told["occurrences"] = sum(one.occurrences for one in same)
        told["endpoints"] = [
            {"endpoint": str(one.endpoint), "fingerprint": one.fingerprint, "occurrences": one.occurrences}
            for one in same
        ]
    return told


def _difference(difference: Difference, numbers: _Numbers) -> dict[str, Any]:
    finding = difference.finding
    told: dict[str, Any] = {
        "kind": finding.kind,
        "severity": finding.severity,
        "path": finding.path,
        "endpoint": str(difference.endpoint),
    }
    for name, value in (("a", finding.a), ("b", finding.b)):
        if value is not ABSENT:
            told[name] = plain(value, numbers.taken)
    return told | {
        "fingerprint": difference.fingerprint,
        "exchange": {"method": difference.method, "url": difference.url, **_ids(difference)},
        "pairedBy": difference.paired_by,
        "occurrences": difference.occurrences,
        **({"differentValues": difference.values} if difference.values > 1 else {}),
    }


def _ids(difference: Difference) -> dict[str, str]:
    """What `mockrec show` takes; a difference of a whole endpoint has none."""
    return {name: found for name, found in (("a", difference.id_a), ("b", difference.id_b)) if found}


def _only(only: OnlyIn) -> dict[str, Any]:
    told: dict[str, Any] = {
        "method": only.method,
        "url": only.url,
        "endpoint": str(only.endpoint),
        "id": only.id,
        "severity": only.severity,
        "fingerprint": only.fingerprint,
        "occurrences": only.occurrences,
    }
    if only.status is not None:
        told["status"] = only.status
    if only.nearest:
        told["nearest"] = only.nearest
    return told
