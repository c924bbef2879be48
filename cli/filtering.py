"""`mockrec filter SESSION… [EXPR]`: selects, converts or merges sessions, or prints chosen fields."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from mockrec.cli import arguments, printing
from mockrec.cli.arguments import Sessions, Where
from mockrec.cli.filter_hints import explain_nothing
from mockrec.cli.filter_output import (
    FilterOptions,
    RowShape,
    Table,
    open_out,
    shape_of,
    write_copy,
    write_lines,
)
from mockrec.cli.filter_rows import fields_of, write_rows
from mockrec.cli.many import exit_if_skipped, skipped_sessions, warn_of_all
from mockrec.cli.options import Engine, FileMode, Force, Quiet, Verbose, Wide, output_name, refuse_inputs
from mockrec.cli.progress import Progress
from mockrec.cli.unfinished import whole_or_none

if TYPE_CHECKING:
    from mockrec.formats.fleet.cluster_selection import ClusterSelection
    from mockrec.formats.fleet.selection import ManySelection
    from mockrec.formats.query import Plan
    from mockrec.formats.select.inputs import SelectedLine
    from mockrec.formats.select.selection import Selection

    AnySelection = Selection | ManySelection | ClusterSelection


def filter_sessions(
    sessions: Sessions,
    where: Where = None,
    output: Annotated[
        str,
        typer.Option("-o", "--output", metavar="OUT", help="Where to write; the extension decides the format."),
    ] = "-",
    output_format: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help="The format of OUT, whatever its extension.")
    ] = None,
    table: Annotated[
        Table,
        typer.Option(
            "--table",
            metavar="events|exchanges",
            help="What a Parquet file gets: a row a record, or a row an exchange.",
        ),
    ] = Table.events,
    records: Annotated[bool, typer.Option("--records", help="Ask and keep single records, not exchanges.")] = False,
    count: Annotated[bool, typer.Option("--count", help="Only say how many match.")] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=0, help="Only the first N that match.", show_default=False)
    ] = None,
    fields: Annotated[
        str | None,
        typer.Option("--fields", metavar="A,B", help="Print these fields, a row for each exchange (or record)."),
    ] = None,
    shape: Annotated[
        RowShape | None,
        typer.Option("--as", metavar="table|csv|jsonl", help="How rows are printed.", show_default="table"),
    ] = None,
    sort: Annotated[
        str | None, typer.Option("--sort", metavar="FIELD", help="Order of the rows; -FIELD: highest first.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on while the session is being written, like tail -f.")
    ] = False,
    redact: Annotated[
        bool, typer.Option("--redact", help="Replace secrets by marks, in a session that was recorded with them.")
    ] = False,
    exit_status: Annotated[bool, typer.Option("-e", "--exit-status", help="Exit with 1 when nothing matches.")] = False,
    wide: Wide = False,
    engine: Engine = None,
    force: Force = False,
    file_mode: FileMode = 0o600,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Keep the exchanges that match an expression, or convert.

    What matches is kept whole and unchanged. Without an expression, sessions are converted or merged. Examples:
    'status >= 500', 'method == POST and url contains /orders/', 'duration > 200ms', 'header[user-agent] ~*
    "curl|okhttp"', 'json[$.user.id] == 7 and not tag == replay'.

    Fields: type method url host hostname port path query query[NAME] status duration size body json[PATH]
    header[NAME] cookie[NAME] protocol version rule tag error id connection ip sni ja3 ja4 ws.count close_code time
    operation. header and cookie look at both sides; body, json and size at the response: request.body, request.json
    and request.size are the request's. path has no query, unless the value has one. Records' own keys can be named
    too, such as eventData.attempt.
    """
    paths, expression = arguments.split(sessions, where)
    output = output_name(output)
    shape = shape_of(output, output_format, fields=fields is not None, shape=shape)
    by_exchange = count or limit is not None or fields is not None or shape is not None
    wish = FilterOptions(
        paths=paths,
        expression=expression,
        plan=arguments.parse(expression, records=records) or _everything(records=records, needed=by_exchange),
        output=output,
        output_format=output_format,
        table=table,
        records=records,
        limit=limit,
        fields=fields,
        shape=shape,
        sort=sort,
        force=force,
        file_mode=file_mode,
        redact=redact,
        wide=wide,
    )
    wish.engine = engine
    wish.given = sessions if where is not None or expression is None else sessions[:-1]
    wish.skipped = skipped_sessions(allowed=arguments.has_many(wish.given))
    _refuse(wish, follow=follow, count=count)
    found = _follow(wish) if follow else _count(wish) if count else _select(wish)
    if not found and expression is not None and wish.plan is not None and limit != 0:
        explain_nothing(expression, wish.plan, paths)
    exit_if_skipped(wish.skipped)
    if exit_status and not found:
        raise typer.Exit(1)


def _everything(*, records: bool, needed: bool) -> Plan | None:
    """Return the match-all plan where exchanges must be grouped; None for a plain copy."""
    if not needed:
        return None
    from mockrec.formats.select.inputs import EVERYTHING

    return arguments.parse(EVERYTHING, records=records)


def _refuse(wish: FilterOptions, *, follow: bool, count: bool) -> None:
    """Refuse options that exclude each other, and an output that is also an input."""
    if wish.sort is not None and not wish.rows:
        raise typer.BadParameter("it orders rows: name --fields too", param_hint="--sort")
    if wish.redact and (wish.rows or count):
        raise typer.BadParameter("it is for sessions that are written, not for rows", param_hint="--redact")
    if count and (wish.rows or wish.output != "-" or follow):
        raise typer.BadParameter("it prints a number and nothing else", param_hint="--count")
    if follow and wish.engine is not None:
        raise typer.BadParameter("it is for a session on this machine", param_hint="--follow")
    if follow and (len(wish.paths) != 1 or wish.sort is not None):
        raise typer.BadParameter("it reads one session, and does not sort", param_hint="--follow")
    refuse_inputs((wish.output,), wish.paths)


def _count(wish: FilterOptions) -> int:
    with _selection(wish, readings=1) as (selection, progress):
        found = selection.count()
        progress.finish()
    printing.data(str(found if wish.limit is None else min(found, wish.limit)))
    warn(selection)
    return found


def _select(wish: FilterOptions) -> int:
    from mockrec.formats.schema.errors import RecordError, SessionError

    try:
        found = _write_selection(wish)
    except RecordError as error:  # a line that no table can hold; it is known when its block is written
        raise SessionError(", ".join(wish.given), str(error)) from None
    if wish.output != "-":
        _tell(wish, found)
    return found


def _write_selection(wish: FilterOptions) -> int:
    from mockrec.formats.select.selection import Selection

    with ExitStack() as stack:
        selection, progress = stack.enter_context(_selection(wish, readings=1 if wish.records else 2))
        sink = stack.enter_context(whole_or_none(open_out(wish)))
        contexts = [known.context for known in selection.inputs]
        if wish.plan is None and isinstance(selection, Selection) and len(wish.paths) == 1:
            write_copy(wish, selection, sink)
        elif wish.rows:
            selection.only(path for field in fields_of(wish) for source in field.sources for path in source.paths)
            write_rows(wish, selection, contexts, sink)
        else:
            headers = [None if wish.skipped.allowed or wish.engine else known.header() for known in selection.inputs]
            write_lines(wish, selection, headers, contexts, sink)
        progress.finish()
        warn(selection)
    return selection.found


def _follow(wish: FilterOptions) -> int:
    from mockrec.formats.select.follow import Follower

    follower = Follower(wish.paths[0], wish.plan)
    with ExitStack() as stack:
        sink = open_out(wish)
        stack.callback(sink.close)
        lines = _first(iter(follower), wish.limit)
        if wish.rows:
            write_rows(wish, lines, [follower.context], sink, at_once=True)
        else:
            write_lines(wish, lines, [None], [follower.context], sink, at_once=True)
    return follower.found


def _first(lines: Iterator[SelectedLine], limit: int | None) -> Iterator[SelectedLine]:
    """Yield the lines of the first `limit` exchanges."""
    seen: set[int] = set()
    for kept in lines:
        if limit is not None and kept.unit and kept.unit not in seen:
            if len(seen) == limit:
                return
            seen.add(kept.unit)
        yield kept


@contextmanager
def _selection(wish: FilterOptions, *, readings: int) -> Iterator[tuple[AnySelection, Progress]]:
    from mockrec.formats.select.selection import Selection

    progress = Progress(wish.paths, readings)
    if wish.engine is not None:
        # Imported here: only a cluster needs it.
        from mockrec.cli.on_cluster import selection_on_cluster

        with selection_on_cluster(wish) as lines:
            yield lines, progress
        return
    if wish.skipped.allowed and len(wish.paths) > 1:
        from mockrec.formats.fleet.selection import ManySelection

        limit = None if wish.sort else wish.limit
        many = ManySelection(wish.paths, wish.plan, wish.skipped, limit=limit, progress=progress)
        try:
            yield many, progress
        finally:
            many.close()
        return
    selection = Selection(wish.paths, wish.plan, limit=None if wish.sort else wish.limit, progress=progress)
    try:
        for known in selection.inputs:
            known.probe()
        yield selection, progress
    finally:
        selection.close()


def _tell(wish: FilterOptions, found: int) -> None:
    noun = "record" if wish.records or wish.plan is None else "exchange"
    printing.note(f"{printing.plural(found, noun)} written to {printing.escape(wish.output)}")


def warn(selection: AnySelection) -> None:
    """Print the warnings about sessions that were read to their end."""
    warn_of_all(selection.inputs)
