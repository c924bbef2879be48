"""The `mockrec` command and its sub-commands. Each imports the engine only when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from mockrec.cli import (
    ca,
    check,
    compact,
    diff,
    filtering,
    printing,
    replay,
    report,
    run,
    show,
    sql,
    stats,
    verify,
    watch,
)
from mockrec.cli.help import Command
from mockrec.cli.options import invocation

__all__ = ["app", "invocation"]

# Plain help: rich help takes twice as long to appear. `main` prints exceptions.
app = typer.Typer(
    name="mockrec",
    help="Mock server and recording proxy: YAML rules in, every event out as JSON Lines, HAR or Parquet.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from mockrec.formats.schema.version import mockrec_version

        printing.data(f"mockrec {mockrec_version()}")
        raise typer.Exit


@app.callback()
def _all_commands(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version and exit.")
    ] = False,
) -> None:
    if invocation.command is not None and context.invoked_subcommand not in ("run", "replay"):
        printing.fail(f"{context.invoked_subcommand} takes no COMMAND after --; only run and replay --serve do")
        raise typer.Exit(2)


app.command(cls=Command)(run.run)
app.command(cls=Command)(check.check)
app.command(cls=Command)(replay.replay)
app.command("filter", cls=Command)(filtering.filter_sessions)
app.command(cls=Command)(show.show)
app.command(cls=Command)(report.report)
app.command(cls=Command)(watch.watch)
app.command(cls=Command)(stats.stats)
app.command(cls=Command)(sql.sql)
app.command(cls=Command)(verify.verify)
app.command(cls=Command)(diff.diff)
app.command(cls=Command)(compact.compact)
app.add_typer(ca.app, name="ca")
