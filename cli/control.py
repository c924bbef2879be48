"""The options of the control API, and its part of the ready file."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mockrec.cli.options import invocation, port
from mockrec.formats.files.scope_names import PLACEHOLDER
from mockrec.formats.parquet.paths import is_uri
from mockrec.formats.schema.lifecycle import DEFAULT_EVENTS, EVENT_TYPES

if TYPE_CHECKING:
    from mockrec.engine.config import RecordSettings
    from mockrec.engine.run.control.settings import ControlSettings
    from mockrec.engine.run.run import Run

UseControl = Annotated[
    bool,
    typer.Option(
        "--control",
        help="Serve the control API on a port of its own: a test suite adds rules, opens scopes, resets, and reads"
        " exchanges. --ready-file and COMMAND get its URL and token.",
    ),
]
ControlPort = Annotated[
    Any,
    typer.Option(
        "--control-port",
        metavar="PORT",
        parser=port,
        help="With --control: its port on 127.0.0.1.",
        show_default="any free one",
    ),
]
Cassettes = Annotated[
    Path | None,
    typer.Option("--cassettes", metavar="DIR", help="With --control: the folder of recordings that scopes may use."),
]


def control_settings(
    used: bool, ports: tuple[int, int] | None, cassettes: Path | None, ready_file: Path | None, workers: int = 1
) -> ControlSettings | None:
    """Return the settings of the control API, None without one. Raises BadParameter."""
    if not used:
        for option, given in (("--control-port", ports), ("--cassettes", cassettes)):
            if given is not None:
                raise typer.BadParameter("it means nothing without --control", param_hint=option)
        return None
    if workers > 1:
        raise typer.BadParameter(
            "rules that are added, scopes and counts are those of one process; use it without --workers",
            param_hint="--control",
        )
    if ready_file is None and invocation.command is None:
        raise typer.BadParameter(
            "nobody would get the token of the control API; add --ready-file PATH, or COMMAND", param_hint="--control"
        )
    if cassettes is not None and not cassettes.is_dir():
        raise typer.BadParameter(f"{cassettes} is not a folder", param_hint="--cassettes")
    from mockrec.engine.run.control.settings import ControlSettings

    folder = None if cassettes is None else str(cassettes.absolute())
    return ControlSettings(ports=ports or (0, 0), cassettes=folder)


def scope_output(
    outputs: tuple[str, ...], control: ControlSettings | None, *, force: bool
) -> tuple[tuple[str, ...], ControlSettings | None]:
    """Return the outputs without that for scopes (`-o 'cassettes/{scope}.jsonl'`), and the settings with it. Raises
    BadParameter."""
    own = [path for path in outputs if PLACEHOLDER in path]
    if control is None or not own:
        return outputs, control
    if len(own) > 1:
        raise typer.BadParameter(f"one output can have {PLACEHOLDER} in its name, not {len(own)}", param_hint="-o")
    if is_uri(own[0]):
        raise typer.BadParameter(f"{own[0]}: the sessions of scopes are files", param_hint="-o")
    from msgspec.structs import replace  # here and below: not for --help

    control = replace(control, output=os.path.abspath(own[0]), replaces=force)
    return tuple(path for path in outputs if path not in own), control


def for_cassettes(record: RecordSettings) -> RecordSettings:
    """Return the settings with at least the events that a cassette needs, and the chunks of responses."""
    chosen = DEFAULT_EVENTS if record.events == "default" else record.events
    if chosen == "all":
        return record
    from msgspec.structs import replace

    wanted = {*DEFAULT_EVENTS, "response-body-data", *chosen}
    return replace(record, events=tuple(name for name in EVENT_TYPES if name in wanted))


def described(run: Run) -> dict[str, dict[str, str]]:
    """Return what the ready file says of the control API; empty without one."""
    control, url = run.settings.control, run.control_url
    return {} if control is None or url is None else {"control": {"url": url, "token": control.token}}


def variables(run: Run) -> dict[str, str]:
    """Return the variables that COMMAND gets; empty without a control API."""
    found = described(run).get("control")
    return {} if found is None else {"MOCKREC_CONTROL": found["url"], "MOCKREC_CONTROL_TOKEN": found["token"]}


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read. Raises OSError."""
    with suppress(FileNotFoundError):
        path.unlink()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def remove_ready_file(run: Run, path: Path | None) -> None:
    """Remove the ready file at the end: its token is worth nothing any more."""
    if path is not None and run.settings.control is not None:
        with suppress(OSError):
            path.unlink()
