"""`mockrec show SESSION [ID]`: lists the exchanges of a session, or shows one in full."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mockrec.cli import arguments, printing
from mockrec.cli.many import exit_if_skipped, skipped_sessions, skipping
from mockrec.cli.options import As, OutputShape, Quiet, SessionPath, Verbose
from mockrec.cli.reading import warn_of
from mockrec.formats.schema.lifecycle import CLOSED_TYPES

if TYPE_CHECKING:
    from mockrec.formats.sessions.rows import Row
    from mockrec.formats.sessions.session import Session

_HEADER = ("STATUS", "METHOD", "URL", "DURATION", "RULE", "ID", "NOTE")
_DURATION_COLUMN = 3
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


def show(
    session: SessionPath,
    identity: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="An exchange or tunnel, or the beginning of its id.", show_default=False),
    ] = None,
    shape: As = OutputShape.text,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """List the exchanges of a session, or show one in full.

    A folder, a prefix of a store, a pattern or a list (@FILE) stands for many sessions.
    """
    skipped = skipped_sessions(allowed=arguments.has_many([session]))
    for name in arguments.expanded([session]):
        with skipping(skipped):
            _show(name, identity, shape, heading=skipped.allowed)
    exit_if_skipped(skipped)


def _show(session: str, identity: str | None, shape: OutputShape, *, heading: bool) -> None:
    from mockrec.formats.sessions.session import open_session

    with open_session(session) as opened:
        if heading and shape is OutputShape.text and identity is None:
            printing.data(printing.style(f"{printing.escape(session)}:", "bold", sys.stdout))
        if identity is None:
            _list(opened, shape)
        else:
            _one(opened, identity, shape)
        warn_of(opened)


def _list(session: Session, shape: OutputShape) -> None:
    from mockrec.formats.sessions.rows import rows_of

    kinds: Counter[str] = Counter()
    rows = _counted(rows_of(session), kinds)
    if shape is OutputShape.json:
        for row in rows:
            printing.data(_json(_row_record(row)))
    else:
        printing.table(_HEADER, map(_cells, rows), right=frozenset({_DURATION_COLUMN}), whole="--as json")
    printing.note(_summary(kinds))


def _counted(rows: Iterable[Row], kinds: Counter[str]) -> Iterator[Row]:
    for row in rows:
        kinds[_NOUNS.get(row.kind, _STATUS_WORDS.get(row.kind, row.kind))] += 1
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


def _cells(row: Row) -> tuple[str, ...]:
    # An aborted exchange is shown as such even if a status was sent.
    word = _STATUS_WORDS.get(row.kind)
    status = " ".join(str(part) for part in (row.status, word) if part is not None)
    return (
        status,
        printing.escape_start(row.method),
        printing.escape_start(row.url),
        printing.duration(row.duration),
        printing.escape_start(row.rule),
        printing.escape_start(row.id),
        printing.escape_start(row.note),
    )


def _row_record(row: Row) -> dict[str, Any]:
    """Return the row under the log's names, without unknown values."""
    named = {
        "type": row.kind,
        "id": row.id,
        "statusCode": row.status,
        "method": row.method,
        "url": row.url,
        "duration": row.duration,
        "matchedRuleId": row.rule,
        "note": row.note,
    }
    return {key: value for key, value in named.items() if value not in (None, "")}


def _one(session: Session, prefix: str, shape: OutputShape) -> None:
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

    for line in story(records, session.bodies_folder):
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
