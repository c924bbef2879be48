"""Turns rows into the table on the terminal and into docs/benchmarks.md and .json."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plot
from rows import Row

HEADINGS = ("#", "work", "mockrec", "compared with", "CPU µs", "result", "target", "met")


def _cells(row: Row) -> tuple[str, ...]:
    met = {True: "yes", False: "no", None: row.note or "–"}[row.met]
    target = f"{row.target} {row.unit}" if row.target else "–"
    return (row.item, row.work, row.mockrec or "–", row.other or "–", row.cpu or "–", row.result, target, met)


def table(rows: Sequence[Row]) -> str:
    """Aligned columns for the terminal."""
    lines = [HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    texts = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return "\n".join(text.rstrip() for text in texts)


def _record(row: Row, commit: str, date: str, before: dict[str, Any] | None) -> dict[str, Any]:
    """`before` is the record of the same work in the run before; its result shows what repeats."""
    return {
        "item": row.item,
        "work": row.work,
        "value": row.value,
        "result": row.result,
        "target": f"{row.target} {row.unit}" if row.target else None,
        "met": row.met,
        "note": row.note,
        "commit": commit,
        "date": date,
        "runs": row.runs,
        "cpu": row.cpu,
        "cells": _cells(row),
        "before": {name: before[name] for name in ("result", "cpu", "commit", "date")} if before else None,
    }


def document(
    rows: Sequence[Row],
    facts: dict[str, dict[str, str | int]],
    commit: str,
    date: str,
    earlier: dict[str, Any] | None,
) -> dict[str, Any]:
    """The JSON document. Items that were not measured now stay from an earlier one of the same machine."""
    measured = {row.item for row in rows}
    former: list[dict[str, Any]] = []
    if earlier and earlier.get("machine") == facts["machine"]:
        former = [record for record in earlier["rows"] if len(record["cells"]) == len(HEADINGS)]  # of no older table
    before = {(record["item"], _place(record["work"])): record for record in former}
    records = [_record(row, commit, date, before.get((row.item, _place(row.work)))) for row in rows]
    records += [record for record in former if record["item"] not in measured]
    # Stable: the rows of one item keep the order they were measured in.
    records.sort(key=lambda record: str(record["item"]))
    return {**facts, "rows": records}


def _place(work: str) -> str:
    """The work without measured numbers, which differ from run to run."""
    return re.sub(r"\([\d,.]+/s\)|[\d,]{4,}", "", work)


def markdown(content: dict[str, Any]) -> str:
    """The page people read."""
    machine, versions = content["machine"], content["versions"]
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    lines = [
        "# Benchmarks",
        "",
        "This page compares the performance of mockrec with other programs. It is written by",
        "`python tests/benchmarks/run.py --all --write`. Absolute figures apply to the machine below; the",
        "relevant result is the ratio: the median of rounds in which the compared programs ran alternately.",
        "",
        f"* Machine: {machine['cpu']}, {machine['cores']} cores, {machine['system']}",
        f"* Versions: {named}",
        "* CPU µs: user and system time of all processes of a server for one exchange (message, name), mockrec : peer;"
        "\n  on a shared machine it is what repeats, while a rate depends on what else runs",
        "* Load: wrk with one thread and 16 keep-alive connections on loopback, one server process",
        "* Run before: the result, and CPU µs, of the run before this one, hours or days earlier; the code may be older",
        "",
        f"| {' | '.join((*HEADINGS, 'run before', 'commit'))} |",
        f"|{'---|' * (len(HEADINGS) + 2)}",
    ]
    lines += [f"| {' | '.join((*record['cells'], _before(record), record['commit']))} |" for record in content["rows"]]
    if _curves(content):
        lines += ["", "## How the cost grows", "", "![CPU time of an exchange by size](growth.svg)"]
    return "\n".join(lines) + "\n"


def _before(record: dict[str, Any]) -> str:
    before = record.get("before")
    if not before:
        return "–"
    return f"{before['result']} ({before['cpu']})" if before["cpu"] else str(before["result"])


def _curves(content: dict[str, Any]) -> dict[str, list[dict[str, float]]]:
    """Return the rounds of each growth curve (see `growth`) by what grows."""
    return {
        record["work"].partition(" by ")[2].partition(",")[0]: record["runs"]
        for record in content["rows"]
        if record["item"] == "G1"
    }


def write(content: dict[str, Any], docs: Path) -> None:
    """Both files, or neither when a record cannot be encoded."""
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    (docs / "benchmarks.json").write_text(text, encoding="utf-8")
    (docs / "benchmarks.md").write_text(markdown(content), encoding="utf-8")
    if curves := _curves(content):
        (docs / "growth.svg").write_text(plot.svg(curves), encoding="utf-8")


def read_earlier(docs: Path) -> dict[str, Any] | None:
    """What was written before, if it can still be read."""
    try:
        found = json.loads((docs / "benchmarks.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
