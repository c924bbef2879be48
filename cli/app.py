"""The `mockrec` command and its sub-commands. Each of them imports the engine only when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from mockrec.cli import ca, check, diff, printing, replay, run, show, verify
from mockrec.cli.options import invocation

__all__ = ["app", "invocation"]

# Plain help: rich help takes twice as long to appear. Exceptions are told by `main`.
app = typer.Typer(
    name="mockrec",
    help="Record and mock HTTP: YAML rules in, every event out as JSON Lines.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from mockrec.formats.version import mockrec_version

        printing.data(f"mockrec {mockrec_version()}")
        raise typer.Exit


@app.callback()
def _all_commands(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version and exit.")
    ] = False,
) -> None:
    if invocation.command is not None and context.invoked_subcommand != "run":
        printing.fail(f"{context.invoked_subcommand} takes no COMMAND after --; only run does")
        raise typer.Exit(2)


app.command()(run.run)
app.command()(check.check)
app.command()(replay.replay)
app.command()(show.show)
app.command()(verify.verify)
app.command()(diff.diff)
app.add_typer(ca.app, name="ca")
