"""`mockrec watch SESSION`: the exchanges of a session in the terminal, while they are recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mockrec.cli import printing
from mockrec.cli.codes import USAGE
from mockrec.cli.options import Quiet, Verbose

_INSTALL = "pip install 'mockrec[tui]'"


def watch(
    session: Annotated[
        str | None,
        typer.Argument(metavar="SESSION", help="A session that is being recorded, or a recorded one."),
    ] = None,
    attach: Annotated[
        Path | None,
        typer.Option("--attach", metavar="READY_FILE", help="Watch the run that has written this ready file."),
    ] = None,
    where: Annotated[
        str | None, typer.Option("-w", "--where", metavar="EXPR", help="The filter expression to begin with.")
    ] = None,
    errors_first: Annotated[
        bool, typer.Option("--errors-first/--in-order", help="List failed exchanges above the others.")
    ] = True,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Watch exchanges while they are recorded.

    Keys: / filters, Enter shows an exchange in full, e lists failures first, f follows the newest, q ends. Nothing of
    the session is changed, and the recorder does not notice.
    """
    if (session is None) is (attach is None):
        raise typer.BadParameter("name the session, or the ready file of a run with --attach")
    path = session if session is not None else _session_of(attach)
    if path == "-" or not Path(path).exists():
        raise typer.BadParameter(f"{printing.escape(path)}: there is no such session to watch")
    try:
        from mockrec.cli.watch_app import WatchApp
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("textual", "rich"):
            raise
        printing.fail(f"watch needs Textual, which is not installed: {_INSTALL}")
        raise typer.Exit(USAGE) from None
    from mockrec.cli import arguments

    arguments.parse(where)  # a mistake is reported before the screen changes
    failure = WatchApp(path, where or "", errors_first=errors_first).run()
    if failure:
        printing.fail(printing.escape(failure))
        raise typer.Exit(USAGE)


def _session_of(ready_file: Path | None) -> str:
    """Return the first output that can be watched of the run with this ready file."""
    # Imported here: --help needs no JSON.
    import orjson

    assert ready_file is not None
    shown = printing.escape(str(ready_file))
    try:
        found = orjson.loads(ready_file.read_bytes())
        outputs = [str(one) for one in found["outputs"]]
    except OSError as error:
        raise typer.BadParameter(f"{shown}: {error.strerror or error}", param_hint="--attach") from None
    except (ValueError, KeyError, TypeError):
        raise typer.BadParameter(f"{shown} is no ready file of mockrec", param_hint="--attach") from None
    files = sorted((one for one in outputs if one != "-"), key=lambda one: ".jsonl" not in Path(one).name)
    if not files:
        raise typer.BadParameter(f"the run of {shown} records to no file", param_hint="--attach")
    return files[0]
