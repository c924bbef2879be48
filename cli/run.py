"""`mockrec run [RULES] [-- COMMAND]`: the recorder. Options to settings; `recording.py` does the rest."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mockrec.cli import printing
from mockrec.cli.control import Cassettes, ControlPort, UseControl, control_settings, for_cassettes, scope_output
from mockrec.cli.defaults import weaker_than_rules
from mockrec.cli.help_tables import WORDS
from mockrec.cli.options import (
    EventTypes,
    FileMode,
    Force,
    Insecure,
    MaxBodySize,
    Output,
    Quiet,
    TrustedCas,
    Verbose,
    check_word,
    duration,
    invocation,
    one_output_each,
    port,
    server_url,
    size,
)
from mockrec.cli.report import RunReport, later_report

if TYPE_CHECKING:
    from mockrec.engine.recording.outputs import Rotate
    from mockrec.engine.rules.language.load import Loaded
    from mockrec.engine.run.control.settings import ControlSettings
    from mockrec.engine.run.settings import RunSettings

_SHORTEST_PART = 1.0
_SMALLEST_PART = 64 * 1024
_FORMATS = "jsonl, jsonl.gz, jsonl.zst, har or parquet"


def run(
    rules: Annotated[
        Path | None,
        typer.Argument(
            metavar="RULES", help="The rule file (YAML); without one, everything is passed on.", show_default=False
        ),
    ] = None,
    output: Output = None,
    output_format: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help=f"The format of files: {_FORMATS}.")
    ] = None,
    force: Force = False,
    file_mode: FileMode = 0o600,
    host: Annotated[
        str | None, typer.Option(metavar="HOST", help="The address to listen on.", show_default="127.0.0.1")
    ] = None,
    ports: Annotated[
        Any,
        typer.Option(
            "--port",
            metavar="PORT",
            parser=port,
            help="The port; 0 for any free one, 8000-8100 for the first free one.",
            show_default="8000, with COMMAND 0",
        ),
    ] = None,
    events: EventTypes = None,
    max_body_size: MaxBodySize = None,
    inline_bodies: Annotated[
        bool, typer.Option("--inline-bodies", help="Keep long bodies in the log itself, not in files next to it.")
    ] = False,
    redact: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="Which secrets are replaced in the log: default (passwords, tokens, cookies, …) or none.",
            show_default="default",
        ),
    ] = None,
    unmatched: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="What happens without a matching rule: reject, or passthrough to the server that is meant.",
            show_default="reject, without RULES passthrough",
        ),
    ] = None,
    upstream: Annotated[
        Any,
        typer.Option(
            metavar="URL",
            parser=server_url,
            help="Stand before this server: requests for the recorder itself that no rule matches go there;"
            " those of a proxy's clients go where they are meant to, unless --unmatched or RULES say otherwise.",
        ),
    ] = None,
    rotate: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE|TIME",
            help="Go on in a next file (session.0002.jsonl) at this size, such as 256MB, or age, such as 1h.",
        ),
    ] = None,
    on_full: Annotated[
        str, typer.Option(metavar="WHAT", help="When the disk is too slow: wait (traffic waits) or drop (records).")
    ] = "wait",
    ready_file: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Write url, port, pid and ca there as JSON when ready.")
    ] = None,
    grace: Annotated[
        Any,
        typer.Option(metavar="TIME", parser=duration, help="What running exchanges get at the end.", show_default="2s"),
    ] = 2.0,
    stop_after: Annotated[
        str | None, typer.Option(metavar="COUNT|TIME", help="Stop after a number of exchanges or a time.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 when a rule was not used or a request matched none.")
    ] = False,
    live_lines: Annotated[
        str,
        typer.Option(
            metavar="WHEN",
            help="A line for each exchange on stderr: on, off, or auto (on a terminal). With COMMAND, lines are held"
            " until its output pauses.",
        ),
    ] = "auto",
    watch: Annotated[bool, typer.Option("--watch", help="Read the rule file again when it changes.")] = False,
    transparent: Annotated[
        bool,
        typer.Option(
            "--transparent",
            help="Show clients how a server fails (reset, end, silence) instead of a 502; the log says why.",
        ),
    ] = False,
    trust: TrustedCas = None,
    insecure: Insecure = False,
    no_proxy: Annotated[
        str | None, typer.Option(metavar="HOSTS", help="Hosts that COMMAND reaches without the proxy.")
    ] = None,
    http2: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="Whether HTTP/2 is spoken: true, false, or fallback (to clients that do not offer HTTP/1.1).",
            show_default="true",
        ),
    ] = None,
    socks: Annotated[bool | None, typer.Option("--socks/--no-socks", help="Speak SOCKS 4, 4a and 5 too.")] = None,
    ca_cert: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The certificate (PEM) of the authority for HTTPS.", show_default="your own"),
    ] = None,
    ca_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its key (PEM), with --ca-cert.", show_default=False)
    ] = None,
    is_open: Annotated[
        bool, typer.Option("--open", help="Let other machines use the proxy without a password.")
    ] = False,
    report: RunReport = None,
    workers: Annotated[
        int, typer.Option(metavar="N", min=1, max=64, help="Processes that share the port and the session.")
    ] = 1,
    use_control: UseControl = False,
    control_port: ControlPort = None,
    cassettes: Cassettes = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Answer by rules, pass on the rest, and record every event.

    Runs until Ctrl-C or until COMMAND ends. COMMAND stands after --; it gets the recorder as its proxy, the CA to
    trust, MOCKREC_URL and MOCKREC_PORT, and its exit code is that of the run.
    """
    from mockrec.cli.recording import RunOptions, record, remove_stale

    if rules is None and watch:
        raise typer.BadParameter("there is no rule file to watch", param_hint="--watch")
    if (ca_cert is None) != (ca_key is None):
        raise typer.BadParameter("give both, --ca-cert and --ca-key")
    check_word("--redact", redact, WORDS["redact"])
    check_word("--unmatched", unmatched, WORDS["unmatched"])
    check_word("--http2", http2, WORDS["http2"])
    check_word("--live-lines", live_lines, WORDS["live-lines"])
    check_word("--on-full", on_full, WORDS["on-full"])
    control = control_settings(use_control, control_port, cassettes, ready_file, workers)
    if rules is not None and invocation.command is None and not rules.exists():
        _refuse_command(rules)
    if ready_file is not None:
        remove_stale(ready_file)
    loaded = _load(rules)
    weaker = weaker_than_rules(rules, invocation.from_file)
    ports = None if "ports" in weaker else ports
    http2 = None if "http2" in weaker else http2
    socks = None if "socks" in weaker else socks
    events = None if "events" in weaker else events
    max_body_size = None if "max_body_size" in weaker else max_body_size
    unmatched = None if "unmatched" in weaker else unmatched
    transparent = transparent and "transparent" not in weaker
    settings = _settings(
        loaded,
        output=output,
        output_format=output_format,
        force=force,
        file_mode=file_mode,
        rotate=rotate,
        host=host,
        ports=ports,
        events=events,
        max_body_size=max_body_size,
        redact=redact,
        inline_bodies=inline_bodies,
        drop=on_full == "drop",
        grace=grace,
        socks=socks,
        http2=http2,
        ca=None if ca_cert is None or ca_key is None else (ca_cert, ca_key),
        unmatched=unmatched,
        reverse_target=upstream,
        is_open=is_open,
        trusted=trust or [],
        insecure=insecure,
        transparent=transparent,
        control=control,
    )
    choices = RunOptions(
        ready_file,
        stop_after,
        strict,
        watch=watch,
        no_proxy=no_proxy,
        workers=workers,
        live_lines=live_lines,
        report=later_report(report, settings.outputs, force=force, file_mode=file_mode),
    )
    raise typer.Exit(record(settings, choices))


def _refuse_command(rules: Path) -> None:
    """Refuse a COMMAND that was taken for RULES, because no `--` stands before it."""
    from mockrec.cli.misplaced import command_hint

    if hint := command_hint(invocation.arguments, (), str(rules)):
        raise typer.BadParameter(f"there is no rule file {printing.escape(str(rules))}; {printing.escape(hint)}")


def _load(rules: Path | None) -> Loaded:
    from mockrec.engine.run.rulefile import load_file, no_file

    loaded = no_file() if rules is None else load_file(rules)
    for warning in loaded.warnings:
        printing.warn(printing.escape(str(warning)))
    return loaded


def _settings(
    loaded: Loaded,
    *,
    output: list[str] | None,
    output_format: str | None,
    force: bool,
    file_mode: int,
    rotate: str | None,
    host: str | None,
    ports: tuple[int, int] | None,
    events: str | None,
    max_body_size: int | None,
    redact: str | None,
    inline_bodies: bool,
    drop: bool,
    grace: float,
    socks: bool | None,
    http2: str | None,
    ca: tuple[Path, Path] | None,
    unmatched: str | None,
    reverse_target: tuple[str, str, int] | None,
    is_open: bool,
    trusted: list[Path],
    insecure: bool,
    transparent: bool,
    control: ControlSettings | None,
) -> RunSettings:
    """Return the rule file's settings, overridden by the options."""
    from msgspec.structs import replace

    from mockrec.cli.child import outer_proxy
    from mockrec.engine.run.settings import RunSettings
    from mockrec.engine.transport.local_addresses import is_loopback

    rule_file = loaded.rule_file
    server, recorded, tls, upstream = rule_file.server, rule_file.record, rule_file.tls, rule_file.upstream
    if host is not None:
        server = replace(server, host=host)
    if ports is not None:
        server = replace(server, ports=ports)
    elif invocation.command is not None:
        server = replace(server, ports=(0, 0))
    if events is not None:
        recorded = replace(recorded, events=event_types(events))
    if max_body_size is not None:
        recorded = replace(recorded, max_body_size=max_body_size)
    if redact is not None:
        recorded = replace(recorded, redact=redact)
    if socks is not None:
        server = replace(server, socks=socks)
    if http2 is not None:
        server = replace(server, http2=http2)
    if ca is not None:
        tls = replace(tls, ca_cert=str(ca[0]), ca_key=str(ca[1]))
    if invocation.command is not None:
        upstream = outer_proxy(upstream, os.environ)
    if trusted:
        files = tuple(str(path.absolute()) for path in trusted)
        upstream = replace(upstream, trusted_everywhere=files)
    if insecure:
        upstream = replace(upstream, ignore_tls_errors=True)
    if transparent:
        upstream = replace(upstream, simulate_connection_errors=True)
    if unmatched is None:
        unmatched = rule_file.unmatched if rule_file.path else "passthrough"
        if not rule_file.path and reverse_target is not None and not is_loopback(server.host.strip("[]").lower()):
            unmatched = "reject"  # a reverse proxy for one server must not be an open proxy
    outputs, control = scope_output(_outputs(output, keeps_scope=control is not None), control, force=force)
    if control is not None and control.cassettes is not None:
        recorded = for_cassettes(recorded)
    return RunSettings(
        loaded=loaded,
        server=server,
        record=recorded,
        tls=tls,
        upstream=upstream,
        unmatched=unmatched,
        reverse_target=reverse_target,
        is_open=is_open,
        outputs=outputs,
        output_format=output_format,
        force=force,
        file_mode=file_mode,
        rotate=None if rotate is None else _rotate(rotate),
        inline_bodies=inline_bodies,
        drop=drop,
        grace=grace,
        command=None if invocation.command is None else tuple(invocation.command),
        control=control,
    )


def _rotate(text: str) -> Rotate:
    """`256MB` → at that size; `1h` → after that time."""
    from mockrec.engine.recording.outputs import Rotate

    try:
        seconds = duration(text)
    except typer.BadParameter:
        pass
    else:
        if seconds < _SHORTEST_PART:
            raise typer.BadParameter(f"a part lasts a second at least, got {text!r}", param_hint="--rotate")
        return Rotate(seconds=seconds)
    try:
        most_bytes = size(text)
    except typer.BadParameter:
        raise typer.BadParameter(
            f"expected a size such as 256MB or a duration such as 1h, got {text!r}", param_hint="--rotate"
        ) from None
    if most_bytes < _SMALLEST_PART:
        raise typer.BadParameter(f"a part has 64KiB at least, got {text!r}", param_hint="--rotate")
    return Rotate(most_bytes=most_bytes)


def event_types(text: str) -> str | tuple[str, ...]:
    """`--events`: `default`, `all`, or the types that are named, of which `default` may be one: all of its types."""
    if text in ("default", "all"):
        return text
    from mockrec.engine.rules.yaml.types import nearest_hint
    from mockrec.formats.schema.lifecycle import DEFAULT_EVENTS, EVENT_TYPES

    names: list[str] = []
    for name in (part.strip() for part in text.split(",") if part.strip()):
        if name == "default":
            names += DEFAULT_EVENTS
        elif name in EVENT_TYPES:
            names.append(name)
        else:
            raise typer.BadParameter(nearest_hint(name, EVENT_TYPES, "unknown event type"), param_hint="--events")
    return tuple(dict.fromkeys(names))


def _outputs(given: list[str] | None, *, keeps_scope: bool) -> tuple[str, ...]:
    if not given:
        import time

        return (time.strftime("session-%Y%m%d-%H%M%S.jsonl"),)
    return one_output_each(given, keeps_scope=keeps_scope)
