"""`mockrec replay SESSION`: options in, settings out; `sending.py` does the rest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mockrec.cli.options import (
    FileMode,
    Force,
    Output,
    Quiet,
    SessionPath,
    Verbose,
    duration,
    one_output_each,
    server_url,
    size,
)

if TYPE_CHECKING:
    from mockrec.engine.replay.send import SendSettings


def replay(
    session: SessionPath,
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to",
            metavar="[HOST=]URL",
            help="Send the requests to this server; with HOST only those for it. May be given several times.",
            show_default=False,
        ),
    ] = None,
    pace: Annotated[
        str, typer.Option(metavar="PACE", help="How fast: original, a factor such as 2x, a rate such as 50/s, or max.")
    ] = "original",
    concurrency: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Most requests under way at a time.", show_default="100; as recorded by times"
        ),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'NAME: VALUE'",
            help="Set a header of every request, or remove it (no value). May be given several times.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SELECTOR=VALUE",
            help="Set a value where it stands in a request, such as json:$.token=abc. May be given several times.",
        ),
    ] = None,
    keep_host: Annotated[bool, typer.Option("--keep-host", help="Leave the Host header as it was recorded.")] = False,
    timeout: Annotated[
        Any,
        typer.Option(metavar="TIME", parser=duration, help="What a request gets, answer included.", show_default="30s"),
    ] = 30.0,
    repeat: Annotated[int, typer.Option(metavar="N", min=1, help="Send the whole session so many times.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
    trust: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A CA (PEM) that servers may be signed by. May be given several times."),
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Do not check the certificates of servers.")] = False,
    output: Output = None,
    output_format: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help="The format of files, whatever their extension.")
    ] = None,
    force: Force = False,
    file_mode: FileMode = 0o600,
    events: Annotated[
        str | None,
        typer.Option(metavar="TYPES", help="Which events: default, all, or types separated by commas."),
    ] = None,
    max_body_size: Annotated[
        Any, typer.Option(metavar="SIZE", parser=size, help="Bytes of a body that are kept.", show_default="10MiB")
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Send the requests of a session again, and record what comes back.

    The order is kept within each recorded client connection. Without -o nothing is recorded.
    """
    if not to:
        raise typer.BadParameter("say where to send the session: --to URL", param_hint="--to")
    from mockrec.cli.sending import send

    raise typer.Exit(
        send(
            _send_settings(
                session,
                to=to,
                pace=pace,
                concurrency=concurrency,
                headers=header or [],
                settings=settings or [],
                keep_host=keep_host,
                timeout=timeout,
                repeat=repeat,
                trusted=trust or [],
                insecure=insecure,
                outputs=one_output_each(output),
                output_format=output_format,
                force=force,
                file_mode=file_mode,
                events=events,
                max_body_size=max_body_size,
            ),
            dry_run=dry_run,
        )
    )


def _send_settings(
    session: str,
    *,
    to: list[str],
    pace: str,
    concurrency: int | None,
    headers: list[str],
    settings: list[str],
    keep_host: bool,
    timeout: float,
    repeat: int,
    trusted: list[Path],
    insecure: bool,
    outputs: tuple[str, ...],
    output_format: str | None,
    force: bool,
    file_mode: int,
    events: str | None,
    max_body_size: int | None,
) -> SendSettings:
    from dataclasses import replace

    from mockrec.cli.run import event_types
    from mockrec.engine.config import RecordSettings
    from mockrec.engine.replay.pace import parse_pace
    from mockrec.engine.replay.selectors import parse_setting
    from mockrec.engine.replay.send import SendSettings
    from mockrec.engine.replay.target import parse_to

    record = RecordSettings()
    if events is not None:
        record = replace(record, events=event_types(events))
    if max_body_size is not None:
        record = replace(record, max_body_size=max_body_size)
    if session == "-" and repeat > 1:
        raise typer.BadParameter("what is read from stdin cannot be read again", param_hint="--repeat")
    if timeout <= 0:
        raise typer.BadParameter("expected more than no time at all", param_hint="--timeout")
    option = "--to"
    try:
        servers = parse_to(to, server_url)
        option = "--pace"
        paced = parse_pace(pace)
        option = "--set"
        set_values = tuple(parse_setting(text) for text in settings)
        option = "--header"
        fields = tuple(_header(text) for text in headers)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
    return SendSettings(
        session=session,
        servers=servers,
        pace=paced,
        concurrency=concurrency,
        headers=fields,
        settings=set_values,
        keep_host=keep_host,
        timeout=timeout,
        repeat=repeat,
        trusted_cas=tuple(str(path) for path in trusted),
        insecure=insecure,
        record=record,
        outputs=outputs,
        output_format=output_format,
        force=force,
        file_mode=file_mode,
    )


def _header(text: str) -> tuple[str, str]:
    """`Name: value` → the pair. Raises ValueError."""
    import re

    name, colon, value = text.partition(":")
    if not colon or not re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name) or re.search(r"[\r\n\0]", value):
        raise ValueError(f"expected a header such as 'Authorization: Bearer abc', got {text!r}")
    return name, value.strip()
