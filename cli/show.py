"""`mockrec show SESSION [ID]`: lists the exchanges of a session, or shows one in full."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, pairwise
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mockrec.cli import arguments, printing
from mockrec.cli.descriptors import Protobuf, given_descriptors
from mockrec.cli.fitting import Fit
from mockrec.cli.many import exit_if_skipped, skipped_sessions, skipping
from mockrec.cli.options import As, NoPager, OutputShape, Quiet, SessionPath, Verbose, Wide
from mockrec.cli.paging import paged
from mockrec.cli.reading import warn_of
from mockrec.formats.schema.lifecycle import CLOSED_TYPES

if TYPE_CHECKING:
    from mockrec.formats.operations.grpc.descriptors import Descriptors
    from mockrec.formats.sessions.rows import Row
    from mockrec.formats.sessions.session import Session

_HEADER = ("STATUS", "METHOD", "URL", "DURATION", "RULE", "ID", "NOTE")
_STATUS_COLUMN, _URL_COLUMN, _DURATION_COLUMN, _RULE_COLUMN, _ID_COLUMN, _NOTE_COLUMN = 0, 2, 3, 4, 5, 6
_LEAST = {_URL_COLUMN: 22, _RULE_COLUMN: 6, _NOTE_COLUMN: 6}
"""Columns that may be cut to fit a terminal, each with its least width."""
_MOST_SHORTENED = 100_000
"""Rows that are held to find the shortest ids; in longer sessions, ids are printed whole."""
_SHORTEST_ID = 8
_COLOURS = {"2": "green", "3": "cyan", "4": "yellow", "5": "red", "1": "blue"}
_NOUNS = {"response": "exchange", "websocket-close": "exchange", "open": "unfinished"}
_STATUS_WORDS = {
    "abort": "abort",
    "client-error": "error",
    "tls-client-error": "tls",
    **dict.fromkeys(CLOSED_TYPES, "tunnel"),
    "gap": "gap",
    "callback-error": "error",
    "open": "open",
}
_CANDIDATES = 10
_SAMPLE = 100
"""Rows that decide whether the list has a column for operations."""


def show(
    session: SessionPath,
    identity: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="An exchange or tunnel, or the beginning of its id.", show_default=False),
    ] = None,
    shape: As = OutputShape.text,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=0, help="List only the first N.", show_default=False)
    ] = None,
    protobuf: Protobuf = None,
    wide: Wide = False,
    no_pager: NoPager = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """List the exchanges of a session, or show one in full.

    A folder, a prefix of a store, a pattern or a list (@FILE) stands for many sessions.
    """
    given = given_descriptors(protobuf)
    skipped = skipped_sessions(allowed=arguments.has_many([session]))
    with paged(wanted=not no_pager and shape is OutputShape.text):
        for name in arguments.expanded([session]):
            with skipping(skipped):
                _show(name, identity, shape, limit, given, wide=wide, heading=skipped.allowed)
    exit_if_skipped(skipped)


def _show(
    session: str,
    identity: str | None,
    shape: OutputShape,
    limit: int | None,
    descriptors: Descriptors | None,
    *,
    wide: bool,
    heading: bool,
) -> None:
    from mockrec.formats.sessions.live import recorder_of
    from mockrec.formats.sessions.session import open_session

    is_live = bool(recorder_of(session))
    with open_session(session) as opened:
        if heading and shape is OutputShape.text and identity is None:
            printing.data(printing.style(f"{printing.escape(session)}:", "bold", sys.stdout))
        if identity is None:
            _list(opened, shape, limit, wide=wide, is_live=is_live)
        else:
            _one(opened, identity, shape, descriptors)
        warn_of(opened)


def _list(session: Session, shape: OutputShape, limit: int | None, *, wide: bool, is_live: bool) -> None:
    from mockrec.formats.sessions.rows import rows_of

    kinds: Counter[str] = Counter()
    rows = rows_of(session, session.bodies_folder)
    rows = _counted(_being_recorded(rows) if is_live else rows, kinds)
    width = None if wide else printing.columns(sys.stdout)
    if shape is OutputShape.json:
        for row in islice(rows, limit):
            printing.data(_json(_row_record(row)))
    else:
        first = list(islice(rows, _SAMPLE))
        named = any(row.operation for row in first)
        rows = chain(first, rows)
        chosen, length = (islice(rows, limit), None) if width is None else _with_short_ids(rows, limit)
        blank = frozenset[int]() if isinstance(chosen, Iterator) else _blank_columns(chosen, named=named)
        least = {column + (named and column >= _DURATION_COLUMN): size for column, size in _LEAST.items()}
        printing.table(
            (*_HEADER[:_DURATION_COLUMN], "OPERATION", *_HEADER[_DURATION_COLUMN:]) if named else _HEADER,
            (_cells(row, length, readable=width is not None, named=named) for row in chosen),
            right=frozenset({_DURATION_COLUMN + named}),
            whole="--as json" if width is None else "--wide",
            fit=None if width is None else Fit(width, least, frozenset({_URL_COLUMN}), hidden=blank),
            colour=_colour,
        )
    for _ in rows:
        pass  # the rest is counted, and read to the session's end
    more = f"; the first {limit} are listed (--limit)" if limit is not None and kinds.total() > limit else ""
    printing.note(f"{_summary(kinds)}{more}")


def _with_short_ids(rows: Iterator[Row], limit: int | None) -> tuple[Sequence[Row] | Iterator[Row], int | None]:
    """Return the rows to list, and the length at which the beginnings of all ids differ; None: ids stay whole."""
    held = list(islice(rows, _MOST_SHORTENED))
    if len(held) == _MOST_SHORTENED:
        return islice(chain(held, rows), limit), None
    ids = sorted({row.id for row in held if row.id})
    same = max((_common(a, b) for a, b in pairwise(ids)), default=0)
    return held[:limit], max(_SHORTEST_ID, same + 1)


def _blank_columns(rows: Iterable[Row], *, named: bool) -> frozenset[int]:
    """Return which of the columns for rules and notes have no text; `named`: there is a column for operations."""
    rows = list(rows)
    columns = {_RULE_COLUMN: any(row.rule for row in rows), _NOTE_COLUMN: any(row.note for row in rows)}
    return frozenset(column + named for column, has_texts in columns.items() if not has_texts)


def _common(a: str, b: str) -> int:
    """Return the length of the common beginning of two texts."""
    return next((place for place, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _colour(column: int, text: str) -> str:
    """Return the colour of a cell: that of the status."""
    if column != _STATUS_COLUMN or not text:
        return ""
    return "red" if text.endswith(("abort", "error", "tls")) else _COLOURS.get(text[0], "")


def _counted(rows: Iterable[Row], kinds: Counter[str]) -> Iterator[Row]:
    for row in rows:
        kinds[_NOUNS.get(row.kind, _STATUS_WORDS.get(row.kind, row.kind))] += 1
        yield row


def _being_recorded(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows of a session that is being recorded, where an exchange without an end is under way."""
    for row in rows:
        if row.kind == "open":
            row.note = "being recorded"
        yield row


def _summary(kinds: Counter[str]) -> str:
    """`2 exchanges, 1 abort, 1 unfinished`."""
    if not kinds:
        return "no exchanges"
    words = [
        f"{count} {kind}" if kind in ("unfinished", "tls") else printing.plural(count, kind)
        for kind, count in kinds.items()
    ]
    return ", ".join(words)


def _cells(row: Row, id_length: int | None = None, *, readable: bool = False, named: bool = False) -> tuple[str, ...]:
    """Return the cells of a row; `named`: there is a column for operations."""
    # An aborted exchange is shown as such even if a status was sent.
    word = _STATUS_WORDS.get(row.kind)
    status = " ".join(str(part) for part in (row.status, word) if part is not None)
    method, note = row.method, row.note
    if method == "CONNECT" and row.url.startswith(("ws://", "wss://")):  # RFC 8441: an upgrade, not a tunnel
        method = "WS"
        if row.kind == "abort":
            status = status.removesuffix(" abort")
            note = f"closed without a close frame{'' if note == 'aborted' else f': {note}'}"
    return (
        status,
        printing.escape_start(method),
        printing.escape_url(row.url) if readable else printing.escape_start(row.url),
        *((printing.escape_start(row.operation),) if named else ()),
        printing.duration(row.duration),
        printing.escape_start(row.rule),
        printing.escape_start(row.id[:id_length]),
        printing.escape_start(note),
    )


def _row_record(row: Row) -> dict[str, Any]:
    """Return the row under the log's names, without unknown values."""
    named = {
        "type": row.kind,
        "id": row.id,
        "statusCode": row.status,
        "method": row.method,
        "url": row.url,
        "operation": row.operation,
        "duration": row.duration,
        "matchedRuleId": row.rule,
        "note": row.note,
    }
    return {key: value for key, value in named.items() if value not in (None, "")}


def _one(session: Session, prefix: str, shape: OutputShape, descriptors: Descriptors | None) -> None:
    wanted = prefix.lower()
    candidates: dict[str, list[dict[str, Any]]] = {}
    """Records by id; with several matching ids, only the ids."""
    for _, record in session:
        identity = _belongs_to(record, wanted)
        if identity is None:
            continue
        records = candidates.setdefault(identity, [])
        if len(candidates) == 1 or identity == wanted:
            records.append(record)
    if wanted in candidates:
        candidates = {wanted: candidates[wanted]}
    if len(candidates) != 1:
        _print_candidates(session.name, prefix, list(candidates))
        raise typer.Exit(2)
    (records,) = candidates.values()
    if shape is OutputShape.json:
        for record in records:
            printing.data(_json(record))
        return
    from mockrec.cli.exchange_report import story
    from mockrec.formats.operations.grpc.descriptors import of_header

    for line in story(records, session.bodies_folder, descriptors or of_header(session.header)):
        printing.data(line)


def _belongs_to(record: Mapping[str, Any], prefix: str) -> str | None:
    """Return the matching id: of an exchange, or of the exchange that a client error broke."""
    if not prefix:
        return None
    for key in ("exchangeId", "id"):
        identity = record.get(key)
        if isinstance(identity, str) and identity.startswith(prefix):
            return identity
    return None


def _print_candidates(name: str, prefix: str, candidates: list[str]) -> None:
    asked = printing.escape(repr(prefix))
    if not candidates:
        printing.fail(f"{printing.escape(name)}: no id begins with {asked}; `mockrec show SESSION` lists them")
        return
    shown = [f"  {printing.escape(identity)}" for identity in candidates[:_CANDIDATES]]
    if len(candidates) > _CANDIDATES:
        shown.append(f"  … and {len(candidates) - _CANDIDATES} more")
    printing.fail("\n".join([f"{printing.escape(name)}: {asked} is the beginning of several ids:", *shown]))


def _json(value: Mapping[str, Any]) -> str:
    from mockrec.formats.files.jsonl import encode_lines

    return printing.escape_json(encode_lines([value]).decode().rstrip("\n"))
