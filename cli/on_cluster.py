"""Commands whose sessions a cluster reads: the plan is made here, tasks run there, results are merged here."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mockrec.cli.arguments import KEY_VARIABLE
from mockrec.cli.diff import DiffWish, FailOn, Report
from mockrec.cli.diff_sets import ComparedPair, compare_pair
from mockrec.formats.fleet.cluster_selection import ClusterSelection
from mockrec.formats.fleet.compact import CompactedSession, CompactPlan
from mockrec.formats.fleet.pairs import SessionPair
from mockrec.formats.fleet.sketches import SketchedStats
from mockrec.formats.fleet.skipped import Skipped
from mockrec.formats.fleet.spark import PER_TASK, EngineError, engine
from mockrec.formats.fleet.sql import VIEWS
from mockrec.formats.fleet.tasks import described
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.select.inputs import EVERYTHING
from mockrec.formats.sessions.session import Reading

if TYPE_CHECKING:
    import pyarrow as pa

    from mockrec.cli.filter_output import FilterOptions
    from mockrec.cli.reading import Read


def stats_on_cluster(
    name: str, paths: Sequence[str], expression: str | None, skipped: Skipped, read: list[Read]
) -> SketchedStats:
    """Return the statistics of sessions; what is to be said about sessions is added to `read`."""
    _refuse_key(expression)
    collected = SketchedStats()
    given = [
        {"sessions": list(map(described, paths[start : start + PER_TASK])), "expression": expression}
        for start in range(0, len(paths), PER_TASK)
    ]
    with engine(name) as cluster:
        for result in cluster.run("statistics", given):
            collected.add_part(base64.b64decode(result["stats"]))
            _add_errors(skipped, result["errors"])
            read += (
                Reading(one["name"], tuple(one["problems"]), one["cut_off"], tuple(one["notes"]))
                for one in result["read"]
            )
    return collected


@contextmanager
def selection_on_cluster(wish: FilterOptions) -> Iterator[ClusterSelection]:
    """Context with the selected lines."""
    _refuse_key(wish.expression)
    expression = wish.expression or (None if wish.plan is None else EVERYTHING)
    limit = None if wish.sort else wish.limit
    assert wish.engine is not None
    with engine(wish.engine) as cluster:
        yield ClusterSelection(cluster, wish.paths, expression, wish.skipped, records=wish.records, limit=limit)


def compact_on_cluster(
    name: str, made: CompactPlan, file_mode: int
) -> list[tuple[list[CompactedSession], list[SessionError]]]:
    """Write the parts of a plan, each in a task. Return their sessions, and the errors of others."""
    given = [
        {
            "output": made.output,
            "number": part.number,
            "sessions": list(map(described, part.sessions)),
            "sizes": part.sizes,
            "mode": file_mode,
        }
        for part in made.parts
    ]
    if not given:
        return []
    with engine(name) as cluster:
        return [
            (
                [CompactedSession(**one) for one in result["sessions"]],
                [SessionError(*error) for error in result["errors"]],
            )
            for result in cluster.run("compacted", given)
        ]


def diff_on_cluster(
    name: str, pairs: Sequence[SessionPair], wish: DiffWish, shapes: Sequence[Report]
) -> list[ComparedPair]:
    """Compare pairs, each in a task."""
    given = [{"pair": asdict(pair), "wish": asdict(wish), "shapes": list(map(str, shapes))} for pair in pairs]
    with engine(name) as cluster:
        return [
            ComparedPair(**{**result, "pair": SessionPair(**result["pair"])})
            for result in cluster.run(f"{__name__}:compare_task", given)
        ]


def compare_task(task: Any) -> Any:
    """The task of `diff_on_cluster`."""
    wish: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in task["wish"].items()
    }
    wish["fail_on"] = FailOn(wish["fail_on"])
    pair = SessionPair(**task["pair"])
    return asdict(compare_pair(pair, DiffWish(**wish), [Report(shape) for shape in task["shapes"]]))


@contextmanager
def sql_on_cluster(name: str, query: str, sessions: Sequence[str], skipped: Skipped) -> Iterator[pa.RecordBatchReader]:
    """Context with the rows that answer a query in Spark's SQL."""
    views = [view for view in VIEWS if re.search(rf"\b{view}\b", query, re.IGNORECASE)]
    with engine(name) as cluster:
        rows, errors = cluster.query(query, sessions, views)
        _add_errors(skipped, errors)
        yield rows.to_reader()


def _refuse_key(expression: str | None) -> None:
    """Refuse an expression whose values would be compared with placeholders: the key does not leave this machine."""
    if expression is not None and os.environ.get(KEY_VARIABLE):
        raise EngineError(f"--engine: an expression with {KEY_VARIABLE} is for sessions on this machine; unset it")


def _add_errors(skipped: Skipped, errors: Sequence[Sequence[Any]]) -> None:
    for error in errors:
        skipped.add(SessionError(*error))
