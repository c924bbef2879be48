"""The report for programs, and what `--baseline` takes. Its schema is in docs/diff.md."""

from __future__ import annotations

import json
from typing import Any

from mockrec.formats.diff.documents import plain
from mockrec.formats.diff.model import ABSENT, Difference, OnlyIn
from mockrec.formats.diff.result import Result

SCHEMA_VERSION = 1


def report(result: Result) -> str:
    """One JSON object, indented."""
    document = {
        "schemaVersion": SCHEMA_VERSION,
        "a": result.a.name,
        "b": result.b.name,
        "summary": summary(result),
        "differences": [_difference(difference) for difference in result.differences],
        "ignored": [
            {"rule": str(rule), "reason": rule.reason, "count": rule.hidden} for rule in result.rules if rule.hidden
        ],
        "unusedRules": [str(rule) for rule in result.unused_rules],
        "onlyInA": [_only(only) for only in result.only_a],
        "onlyInB": [_only(only) for only in result.only_b],
    }
    # A lone surrogate has no form in UTF-8; as an escape it has one in JSON.
    text = json.dumps(document, indent=2, ensure_ascii=False)
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


def _difference(difference: Difference) -> dict[str, Any]:
    finding = difference.finding
    told: dict[str, Any] = {
        "kind": finding.kind,
        "severity": finding.severity,
        "path": finding.path,
        "endpoint": str(difference.endpoint),
    }
    for name, value in (("a", finding.a), ("b", finding.b)):
        if value is not ABSENT:
            told[name] = plain(value)
    return told | {
        "fingerprint": difference.fingerprint,
        "exchange": {"method": difference.method, "url": difference.url, **_ids(difference)},
        "pairedBy": difference.paired_by,
        "occurrences": difference.occurrences,
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
