"""The `mockrec` command and its sub-commands, of which each is imported and built when it is asked for.

To build all of them takes longer than to run most of them, because typer evaluates every annotation of every option. So
the program knows the name and the first sentence of each command, and nothing else until one is named. What a command
needs beyond its options, the engine above all, it imports when it runs.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Annotated, Any

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

from mockrec.cli import printing
from mockrec.cli.options import invocation

__all__ = ["COMMANDS", "app", "invocation"]

COMMANDS = {
    "run": ("run:run", "Answer by rules, pass on the rest, and record every event."),
    "check": ("check:check", "Check rule files and say every problem with its place."),
    "replay": ("replay:replay", "Send a session again, answer from it, or make rules of it."),
    "filter": ("filtering:filter_sessions", "Keep the exchanges that match an expression, or convert."),
    "show": ("show:show", "List the exchanges of a session, or show one in full."),
    "report": ("report:report", "Write a report: one HTML file that shows sessions in a browser."),
    "watch": ("watch:watch", "Watch exchanges while they are recorded."),
    "stats": ("stats:stats", "Count what sessions hold, and how long it took."),
    "sql": ("sql:sql", "Ask sessions in SQL."),
    "verify": ("verify:verify", "Check that a session is complete and well-formed."),
    "diff": ("diff:diff", "Compare two sessions or sets of them, and say what changed."),
    "compact": ("compact:compact", "Put many small sessions into few large Parquet files."),
    "ca": ("ca:app", "Show, export or explain the CA that clients have to trust."),
}
"""Name → module and function (or group) in this package, and the first sentence of its help. A test compares them."""


class _Built(MutableMapping[str, Any]):
    """Command name → command, which is built at the first access."""

    def __init__(self) -> None:
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            self._built[name] = _build(name)
        return self._built[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._built[name] = command

    def __delitem__(self, name: str) -> None:
        del self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys((*COMMANDS, *self._built)))

    def __len__(self) -> int:
        return len(COMMANDS.keys() | self._built.keys())


def _build(name: str) -> Any:
    """Import and build one command. Raises `KeyError` if there is none of this name."""
    module, _, attribute = COMMANDS[name][0].partition(":")
    found = getattr(import_module(f"mockrec.cli.{module}"), attribute)
    if not isinstance(found, typer.Typer):
        from mockrec.cli.help import Command

        single = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
        single.command(name, cls=Command)(found)
        return typer.main.get_command(single)
    group = typer.main.get_command(found)
    group.name = name
    return group


class _Program(TyperGroup):
    """The group of all commands."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Built()

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        self._outline().format_commands(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        outline = self._outline()
        return outline.shell_complete(type(ctx)(outline, parent=ctx.parent, info_name=ctx.info_name), incomplete)

    def _outline(self) -> TyperGroup:
        """Return the same group with commands that have a name and one sentence, and no options."""
        commands: dict[str, Any] = {name: TyperCommand(name, help=about) for name, (_, about) in COMMANDS.items()}
        return TyperGroup(name=self.name, commands=commands, params=self.params, help=self.help)


# Plain help: rich help takes twice as long to appear. `main` prints exceptions.
app = typer.Typer(
    name="mockrec",
    cls=_Program,
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
