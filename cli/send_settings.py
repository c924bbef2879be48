"""The options of `mockrec replay SESSION --to URL`, checked and made into settings."""

from __future__ import annotations

from pathlib import Path

import typer

from mockrec.cli.arguments import parse
from mockrec.cli.options import server_url
from mockrec.engine.config import RecordSettings
from mockrec.engine.replay.send.pace import parse_pace
from mockrec.engine.replay.send.send import SendSettings
from mockrec.engine.replay.send.target import parse_to
from mockrec.engine.replay.session.selectors import parse_setting
from mockrec.formats.files.outfile import is_pipe
from mockrec.formats.text.syntax import BREAKS_VALUE, TOKEN

_OWN_FIELDS = frozenset({
    "connection", "content-encoding", "content-length", "keep-alive", "proxy-connection", "te", "transfer-encoding",
    "upgrade",
})  # fmt: skip


def send_settings(
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
    only: str | None,
    chain: bool,
    trusted: list[Path],
    insecure: bool,
    outputs: tuple[str, ...],
    output_format: str | None,
    force: bool,
    file_mode: int,
    record: RecordSettings,
) -> SendSettings:
    """Return the settings for the options of the command. Raises BadParameter."""
    for option, wanted in (("--repeat", repeat > 1), ("--only", only is not None)):
        if wanted and (session == "-" or is_pipe(session)):
            raise typer.BadParameter("what is read from stdin or a pipe cannot be read again", param_hint=option)
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
        chain=chain,
        only=parse(only),
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
    name, colon, value = text.partition(":")
    if not colon or not TOKEN.fullmatch(name) or BREAKS_VALUE.search(value):
        raise ValueError(f"expected a header such as 'Authorization: Bearer abc', got {text!r}")
    if name.lower() in _OWN_FIELDS:
        raise ValueError(f"{name} belongs to the body or the connection, and is what these are; it cannot be set")
    return name, value.strip()
