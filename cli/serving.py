"""`replay --serve` on the command line: a run whose only rule responds from a session."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import typer
from msgspec.structs import replace

from mockrec.cli import printing
from mockrec.cli.arguments import parse
from mockrec.cli.child import outer_proxy
from mockrec.cli.options import check_word, invocation
from mockrec.cli.reading import warn_of
from mockrec.cli.recording import RunOptions, record, remove_stale
from mockrec.cli.report import LaterReport
from mockrec.engine.config import RecordSettings, ServerSettings
from mockrec.engine.rules.model import Replay, Rule, SourceLocation, When
from mockrec.engine.run.rulefile import no_file
from mockrec.engine.run.settings import RunSettings

_RULE_ID = "replay"
_ON_MISS = {
    "fail": "",
    "passthrough": " · passing on what it does not hold",
    "record": " · recording what it does not hold",
}


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """The options of `replay --serve` that decide what responds, and where."""

    session: str
    match: str
    ignore: list[str]
    latency: str
    after_last: str
    strict_match: bool
    on_miss: str | None
    max_age: float | None
    refresh: str | None
    host: str
    ports: tuple[int, int] | None
    upstream: tuple[str, str, int] | None
    trusted: list[Path]
    insecure: bool


def serve(
    settings: RunSettings,
    ready_file: Path | None,
    receipt: Path | None,
    no_proxy: str | None,
    report: LaterReport | None,
    *,
    strict: bool,
    isolate: bool,
) -> int:
    """Serve until the run ends. Return the exit code. Raises ConfigError for a session that cannot be used."""
    if isolate:
        from mockrec.cli.isolation import check_system

        if settings.command is None:
            raise typer.BadParameter("there is no COMMAND to isolate; it stands after --", param_hint="--isolate")
        check_system()
    if ready_file is not None:
        remove_stale(ready_file)
    (rule,) = settings.loaded.rule_file.rules
    (step,) = rule.steps
    assert isinstance(step, Replay)
    choices = RunOptions(
        ready_file=ready_file,
        stop_after=None,
        strict=strict,
        no_proxy=no_proxy,
        answers=f"answering from {printing.escape(step.session)}{_ON_MISS[step.on_miss]}",
        isolate=isolate,
        receipt=receipt,
        has_receipt=True,
        report=report,
    )
    return record(settings, choices)


def serve_settings(
    options: ServeOptions,
    recorded: RecordSettings,
    outputs: tuple[str, ...],
    output_format: str | None,
    *,
    force: bool,
    file_mode: int,
) -> RunSettings:
    """Return the settings of a run whose only rule responds from the session."""
    step = _step_of(options)
    # With `always` the rule is never pending: the recordings that were used count.
    rule = Rule(_RULE_ID, When(), (step,), "always", 1, SourceLocation("", 0, 0, ""), 0)
    loaded = no_file()
    loaded = replace(loaded, rule_file=replace(loaded.rule_file, rules=(rule,)))
    passes_on, upstream = step.on_miss != "fail", loaded.rule_file.upstream
    for name, given in (
        ("--upstream", options.upstream),
        ("--trust", options.trusted),
        ("--insecure", options.insecure),
    ):
        if given and not passes_on:
            raise typer.BadParameter("no server is asked without --on-miss passthrough or record", param_hint=name)
    if invocation.command is not None and passes_on:
        upstream = outer_proxy(upstream, os.environ)
    if options.trusted:
        upstream = replace(upstream, trusted_everywhere=tuple(str(path.absolute()) for path in options.trusted))
    if options.insecure:
        upstream = replace(upstream, ignore_tls_errors=True)
    return RunSettings(
        loaded=loaded,
        server=ServerSettings(
            host=options.host, ports=options.ports or ((8000, 8000) if invocation.command is None else (0, 0))
        ),
        record=recorded,
        upstream=upstream,
        reverse_target=options.upstream,
        outputs=outputs,
        output_format=output_format,
        force=force,
        file_mode=file_mode,
        command=None if invocation.command is None else tuple(invocation.command),
    )


def _step_of(options: ServeOptions) -> Replay:
    """Return the `replay` step for the options of the command."""
    check_word("--after-last", options.after_last, ("repeat", "fail"))
    check_word("--on-miss", options.on_miss, ("fail", "passthrough", "record"))
    on_miss = options.on_miss or ("fail" if options.refresh is None else "record")
    if options.refresh is not None:
        if on_miss != "record":
            raise typer.BadParameter(f"with --on-miss {on_miss}, nothing is recorded again", param_hint="--refresh")
        parse(options.refresh or None)
    words = tuple(word.strip() for word in options.match.split(",") if word.strip())
    try:
        step = step_of(
            options.session,
            words,
            tuple(options.ignore),
            options.latency,
            repeat=options.after_last == "repeat",
            strict_match=options.strict_match,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return replace(step, on_miss=on_miss, max_age=options.max_age, refresh=options.refresh)


def step_of(
    session: str, match: tuple[str, ...], ignore: tuple[str, ...], latency: str, *, repeat: bool, strict_match: bool
) -> Replay:
    """Return the `replay` step for the options of the command. Raises ValueError."""
    from mockrec.engine.replay.serve.latency import parse_latency
    from mockrec.engine.replay.session.fingerprint import MATCH_WORD
    from mockrec.engine.replay.session.selectors import parse_selector

    for word in match:
        if not MATCH_WORD.fullmatch(word):
            raise ValueError(
                f"--match: expected method, url, path, query, body, json, host or headers:NAME, got {word!r}"
            )
    try:
        for text in ignore:
            parse_selector(text)
    except ValueError as error:
        raise ValueError(f"--ignore: {error}") from None
    try:
        parse_latency(latency)
    except ValueError as error:
        raise ValueError(f"--latency: {error}") from None
    place = SourceLocation("", 0, 0, "")
    return Replay(
        place,
        session=session,
        match=match,
        ignore=ignore,
        strict_match=strict_match,
        latency=latency,
        repeat=repeat,
    )


def make_rules(session: str, path: Path, *, force: bool, file_mode: int) -> None:
    """Write the rule file and print what it holds. Raises SessionError, OutputError."""
    from mockrec.engine.replay.to_rules.to_rules import write_rules

    written = write_rules(session, path, force=force, file_mode=file_mode)
    files = f", {printing.plural(written.files, 'body')} beside it" if written.files == 1 else ""
    if written.files > 1:
        files = f", {written.files} bodies beside it"
    if written.reading is not None:
        warn_of(written.reading)
    printing.note(f"{printing.escape(str(path))}: {printing.plural(written.rules, 'rule')}{files}")
    if written.marked:
        printing.warn(f"{printing.plural(written.marked, 'rule')} answer with redacted values, which stand for secrets")
    if written.left_out:
        count = printing.plural(written.left_out.total(), "recording")
        printing.warn(f"{count} left out, because no rule can give them again:")
        for text, number in written.left_out.most_common(20):
            printing.note(f"  {printing.escape(text)}{f' ({number}×)' if number > 1 else ''}")
