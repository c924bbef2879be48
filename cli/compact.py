"""`mockrec compact SESSION… -o OUT`: many small sessions become few large files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mockrec.cli import arguments, printing
from mockrec.cli.many import exit_if_skipped, skipped_sessions, warn_of_all
from mockrec.cli.options import Engine, FileMode, Quiet, Verbose, output_name, size

if TYPE_CHECKING:
    from mockrec.formats.fleet.compact import CompactedSession, CompactPlan
    from mockrec.formats.schema.errors import SessionError

_PART_SIZE = 256 * 1024 * 1024


def compact(
    sessions: Annotated[
        list[str],
        typer.Argument(
            metavar="SESSION...",
            help="Folders, prefixes of stores, patterns, lists (@FILE), or recorded sessions.",
            show_default=False,
        ),
    ],
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="OUT", help="The data set: a folder, or a prefix of a store.")
    ],
    part_size: Annotated[
        Any,
        typer.Option(
            "--part-size", metavar="SIZE", parser=size, help="Bytes of sessions for one file.", show_default="256MiB"
        ),
    ] = _PART_SIZE,
    delete: Annotated[
        bool, typer.Option("--delete", help="Remove sessions that are in OUT, each after its file is complete.")
    ] = False,
    engine: Engine = None,
    file_mode: FileMode = 0o600,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Put many small sessions into few large Parquet files.

    These are faster to search.

    Sessions that OUT has already are left out, so the command can be repeated, and interrupted at any time.
    """
    from mockrec.formats.fleet.compact import plan, still_there
    from mockrec.formats.fleet.output_lock import only_writer
    from mockrec.formats.parquet.paths import is_data_set

    output = output_name(output)
    if not is_data_set(output):
        raise typer.BadParameter("name a folder or a prefix; it becomes a data set", param_hint="-o")
    skipped = skipped_sessions(allowed=arguments.has_many(sessions))
    names = arguments.expanded(sessions)
    with only_writer(output) as check:
        made = plan(names, output, skipped, part_size)
        before, done = len(made.done), dict(made.done)
        new: list[CompactedSession] = []
        for part, (written, errors) in zip(made.parts, _written(made, engine, file_mode, check), strict=True):
            for error in errors:
                skipped.add(error)
            new += written
            printing.detail(f"part {part.number}: {printing.plural(len(written), 'session')}")
        done |= {one.name: one for one in new}
        warn_of_all(new)
        _tell(output, len(done) - before, before, len(made.parts))
        if delete:
            check()
            _delete(still_there(output, done), {str(name): name for name in names})
    exit_if_skipped(skipped)


def _written(
    made: CompactPlan, engine: str | None, file_mode: int, check: Callable[[], None]
) -> Iterable[tuple[list[CompactedSession], list[SessionError]]]:
    """Return the results of the parts, which are written one by one, or by a cluster. `check`: see `only_writer`."""
    if engine is not None:
        # Imported here: only a cluster needs it.
        from mockrec.cli.on_cluster import compact_on_cluster

        check()
        return compact_on_cluster(engine, made, file_mode)
    return _written_here(made, file_mode, check)


def _written_here(
    made: CompactPlan, file_mode: int, check: Callable[[], None]
) -> Iterator[tuple[list[CompactedSession], list[SessionError]]]:
    from mockrec.formats.fleet.compact import write_part

    for part in made.parts:
        check()
        yield write_part(made.output, part, file_mode, check)


def _tell(output: str, new: int, before: int, parts: int) -> None:
    text = f"{printing.plural(new, 'session')} compacted into {printing.plural(parts if new else 0, 'file')}"
    printing.note(f"{text} of {printing.escape(output)}" + (f"; {before} were there before" if before else ""))


def _delete(done: dict[str, CompactedSession], found: dict[str, str]) -> None:
    from mockrec.formats.fleet.compact import remove

    removed = 0
    for name, known in done.items():
        if remove(found.get(name, name), known):
            removed += 1
        else:
            printing.warn(f"{printing.escape(name)}: it has changed since it was compacted, and stays")
    printing.note(f"{printing.plural(removed, 'session')} removed")
