"""`mockrec replay SESSION`: options to settings; `sending.py` and `serving.py` do the rest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mockrec.cli.control import Cassettes, ControlPort, UseControl, control_settings, for_cassettes, scope_output
from mockrec.cli.options import (
    As,
    EventTypes,
    FileMode,
    Force,
    Insecure,
    MaxBodySize,
    Output,
    OutputShape,
    Quiet,
    SessionPath,
    TrustedCas,
    Verbose,
    age,
    check_word,
    duration,
    invocation,
    one_output_each,
    port,
    refuse_inputs,
    server_url,
)
from mockrec.cli.report import RunReport, later_report

if TYPE_CHECKING:
    from mockrec.engine.config import RecordSettings

_SENDING = (
    "only", "no_chain", "compare", "pace", "concurrency", "header", "settings", "keep_host", "timeout", "repeat",
    "dry_run", "shape",
)  # fmt: skip
_RECORDING = ("output", "output_format", "events", "max_body_size", "redact", "report")
_SERVING = (
    "host", "ports", "ready_file", "match", "ignore", "after_last", "latency", "strict", "strict_match", "on_miss",
    "max_age", "refresh", "upstream", "receipt", "isolate", "no_proxy", "use_control", "control_port", "cassettes",
)  # fmt: skip


def replay(
    context: typer.Context,
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
            metavar="N",
            min=1,
            help="Most requests under way at a time.",
            show_default="100; as recorded with a recorded pace",
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
    repeat: Annotated[int, typer.Option(metavar="N", min=1, help="Send the whole session N times.")] = 1,
    only: Annotated[
        str | None, typer.Option(metavar="EXPR", help="Send only the exchanges that match, in the filter language.")
    ] = None,
    no_chain: Annotated[
        bool,
        typer.Option(
            "--no-chain",
            help="Send the values of earlier answers (tokens, ids) as recorded, not as answered now.",
        ),
    ] = False,
    compare: Annotated[
        bool, typer.Option("--diff", help="Compare what comes back with the session, and exit 1 on a difference.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
    shape: As = OutputShape.text,
    trust: TrustedCas = None,
    insecure: Insecure = False,
    to_rules: Annotated[
        Path | None,
        typer.Option(metavar="RULES", help="Write a rule file instead that answers the recorded requests."),
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Answer from the session instead; no server is asked without --on-miss.")
    ] = False,
    on_miss: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="With --serve: what a request without a recording gets: fail (a 503), passthrough (the answer of its"
            " server), or record (that, which is added to the session when the run has succeeded).",
            show_default="fail, with --refresh record",
        ),
    ] = None,
    refresh: Annotated[
        str | None,
        typer.Option(
            metavar="[EXPR]",
            help="With --serve: record again what is requested of the recordings that match, or of all.",
        ),
    ] = None,
    max_age: Annotated[
        Any, typer.Option(metavar="AGE", parser=age, help="With --serve: older recordings, such as 30d, are misses.")
    ] = None,
    upstream: Annotated[
        Any,
        typer.Option(
            metavar="URL",
            parser=server_url,
            help="With --serve: the server of requests that are made to the recorder itself, for --on-miss.",
        ),
    ] = None,
    receipt: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --serve: write what the run has proved there, as JSON."),
    ] = None,
    isolate: Annotated[
        bool,
        typer.Option(
            "--isolate", help="With --serve: give COMMAND no network but the recorder (Linux, a network namespace)."
        ),
    ] = False,
    no_proxy: Annotated[
        str | None, typer.Option(metavar="HOSTS", help="With --serve: hosts that COMMAND reaches directly.")
    ] = None,
    host: Annotated[str, typer.Option(metavar="HOST", help="With --serve: the address to listen on.")] = "127.0.0.1",
    ports: Annotated[
        Any,
        typer.Option(
            "--port",
            metavar="PORT",
            parser=port,
            help="With --serve: the port; 0 for any free one, 8000-8100 for the first free one.",
            show_default="8000, with COMMAND 0",
        ),
    ] = None,
    ready_file: Annotated[
        Path | None, typer.Option(metavar="PATH", help="With --serve: write url, port and pid there when ready.")
    ] = None,
    match: Annotated[
        str,
        typer.Option(
            metavar="WORDS",
            help="With --serve: what has to be the same, of method, url, path, query, body, json, host, headers:NAME.",
        ),
    ] = "method,url,body",
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SELECTOR", help="With --serve: what does not count, such as json:$.ts. May be given several times."
        ),
    ] = None,
    strict_match: Annotated[
        bool,
        typer.Option(
            "--strict-match",
            help="With --serve: compare what is volatile by nature, too (OAuth codes, signatures of URLs, …).",
        ),
    ] = False,
    after_last: Annotated[
        str,
        typer.Option(metavar="WHAT", help="With --serve: what follows the last recorded answer, repeat (it) or fail."),
    ] = "repeat",
    latency: Annotated[
        str,
        typer.Option(
            metavar="WHAT", help="With --serve: how long answers take: none, recorded, or a factor such as 2x."
        ),
    ] = "none",
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="With --serve: exit 1 when a request had no recording, or an expired one, or a recording no request.",
        ),
    ] = False,
    use_control: UseControl = False,
    control_port: ControlPort = None,
    cassettes: Cassettes = None,
    output: Output = None,
    output_format: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help="The format of files, whatever their extension.")
    ] = None,
    report: RunReport = None,
    force: Force = False,
    file_mode: FileMode = 0o600,
    events: EventTypes = None,
    max_body_size: MaxBodySize = None,
    redact: Annotated[
        str | None,
        typer.Option(metavar="WHAT", help="Which secrets are replaced in the recording.", show_default="default"),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Send a session again, answer from it, or make rules of it.

    With --to the requests go to a server again, in the order of each recorded client connection, and what comes back
    is recorded. With --serve requests are answered from the session, until Ctrl-C or until COMMAND ends, which runs as
    with `run`. Without -o nothing is recorded.
    """
    if bool(to) + serve + (to_rules is not None) != 1:
        raise typer.BadParameter("say what to do with the session: --to URL, --serve or --to-rules FILE")
    if invocation.command is not None and not serve:
        raise typer.BadParameter("only with --serve is there a COMMAND", param_hint="--")
    if to_rules is not None:
        _refuse(context, (*_SENDING, *_SERVING, *_RECORDING), "--to-rules")
        from mockrec.cli.serving import make_rules

        refuse_inputs((str(to_rules),), (session,), "--to-rules")
        make_rules(session, to_rules, force=force, file_mode=file_mode)
        return
    _refuse(context, _SENDING if serve else _SERVING, "--serve" if serve else "--to")
    check_word("--redact", redact, ("default", "none"))
    outputs = one_output_each(output, keeps_scope=use_control)
    refuse_inputs(outputs, (session,))
    record = _record_settings(events, max_body_size, redact)
    if dry_run and report is not None:
        raise typer.BadParameter("it means nothing with --dry-run", param_hint="--report")
    later = later_report(report, outputs, force=force, file_mode=file_mode)
    if serve:
        from mockrec.cli.serving import ServeOptions, serve_settings
        from mockrec.cli.serving import serve as serve_session

        options = ServeOptions(
            session,
            match=match,
            ignore=ignore or [],
            latency=latency,
            after_last=after_last,
            strict_match=strict_match,
            on_miss=on_miss,
            max_age=max_age,
            refresh=refresh,
            host=host,
            ports=ports,
            upstream=upstream,
            trusted=trust or [],
            insecure=insecure,
        )
        control = control_settings(use_control, control_port, cassettes, ready_file)
        outputs, control = scope_output(outputs, control, force=force)
        if control is not None and control.cassettes is not None:
            record = for_cassettes(record)
        run = serve_settings(options, record, outputs, output_format, force=force, file_mode=file_mode)
        from msgspec.structs import replace

        run = replace(run, control=control)
        raise typer.Exit(serve_session(run, ready_file, receipt, no_proxy, later, strict=strict, isolate=isolate))
    assert to is not None
    if compare and repeat > 1:
        raise typer.BadParameter("each exchange can be compared with one answer, not with several", param_hint="--diff")
    if shape is OutputShape.json and "-" in outputs:
        raise typer.BadParameter("the session would stand in the midst of what --as json prints", param_hint="-o -")
    from mockrec.cli.send_settings import send_settings
    from mockrec.cli.sending import send

    raise typer.Exit(
        send(
            send_settings(
                session,
                to=to,
                pace=pace,
                concurrency=concurrency,
                headers=header or [],
                settings=settings or [],
                keep_host=keep_host,
                timeout=timeout,
                repeat=repeat,
                only=only,
                chain=not no_chain,
                trusted=trust or [],
                insecure=insecure,
                outputs=outputs,
                output_format=output_format,
                force=force,
                file_mode=file_mode,
                record=record,
            ),
            dry_run=dry_run,
            compare=compare,
            report=later,
            shape=shape,
        )
    )


def _record_settings(events: str | None, max_body_size: int | None, redact: str | None) -> RecordSettings:
    from msgspec.structs import replace

    from mockrec.cli.run import event_types
    from mockrec.engine.config import RecordSettings

    record = RecordSettings()
    if events is not None:
        record = replace(record, events=event_types(events))
    if redact is not None:
        record = replace(record, redact=redact)
    return record if max_body_size is None else replace(record, max_body_size=max_body_size)


def _refuse(context: typer.Context, names: tuple[str, ...], mode: str) -> None:
    """Refuse options without a meaning in this mode, instead of ignoring them."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in names and source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(f"it means nothing with {mode}", param_hint=parameter.opts[0])
