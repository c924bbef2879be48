"""A run on the command line: ready line and ready file, the end, live lines, summary and exit code."""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import msgspec
import typer

from mockrec.cli import control, interrupts, printing
from mockrec.cli.codes import COMMAND_NOT_RUN, DEFECT, NOT_EXECUTABLE, NOT_FOUND, READER_GONE
from mockrec.cli.live_view import LiveView
from mockrec.cli.nothing_received import print_nothing_received
from mockrec.cli.options import duration
from mockrec.cli.pipes import await_readers, is_stdout_gone
from mockrec.cli.replay_summary import print_replays, replay_words
from mockrec.cli.report import LaterReport
from mockrec.cli.supervise import Supervisor
from mockrec.engine.errors import ConfigError
from mockrec.engine.process import has_uvloop, tune_garbage_collection
from mockrec.engine.recording.ending import Ending
from mockrec.engine.recording.logged_exchange import LoggedExchange
from mockrec.engine.run.run import Run, check_callbacks
from mockrec.engine.run.settings import Hooks, RunSettings
from mockrec.engine.run.single import SingleProcessRun
from mockrec.engine.transport.local_addresses import is_loopback
from mockrec.engine.usercode.calls import report_failures
from mockrec.formats.parquet.paths import is_uri

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mockrec.engine.message.summary import ExchangeSummary
    from mockrec.engine.rules.matching.select import CompiledRule
    from mockrec.engine.rules.model import Step
    from mockrec.formats.schema.errors import FormatError


class RunOptions(msgspec.Struct, frozen=True):
    """The options that concern only the command line."""

    ready_file: Path | None
    stop_after: str | None
    strict: bool
    watch: bool = False
    no_proxy: str | None = None
    workers: int = 1
    live_lines: str = "auto"
    answers: str | None = None
    """What responds, for the ready line, if it is not a rule file."""
    isolate: bool = False
    """Whether COMMAND gets a network of its own, with nothing but the recorder."""
    receipt: Path | None = None
    """Where the receipt of a replay is written."""
    has_receipt: bool = False
    """Whether the run has a receipt."""
    report: LaterReport | None = None


def record(settings: RunSettings, choices: RunOptions) -> int:
    """Record until the run ends. Return the exit code."""
    if any(step.name == "replay" and getattr(step, "on_miss", "") == "record" for step in _steps(settings)):
        from mockrec.cli.kept import keeping

        with keeping(settings) as kept:
            return _record(kept, choices)
    return _record(settings, choices)


def _steps(settings: RunSettings) -> Iterator[Step]:
    return (step for rule in settings.loaded.rule_file.rules for step in rule.steps)


def _record(settings: RunSettings, choices: RunOptions) -> int:
    count, seconds = _stop_after(choices.stop_after)
    receipt = None
    if choices.has_receipt:
        from mockrec.cli.receipt import ReceiptWriter

        receipt = ReceiptWriter(settings, choices.receipt, enforced=choices.isolate)
    # Without an output, only events that callbacks subscribe to are built, so all of them are called.
    for sentence in check_callbacks(settings.record) if settings.outputs else ():
        printing.warn(printing.escape(sentence))

    async def main() -> int:
        def shown(text: str, exchange: LoggedExchange | None) -> str:
            return text if run.redactor is None else run.redactor.text(text, exchange)

        live = LiveView(shown, choices.live_lines)

        def ended(exchange: LoggedExchange) -> None:
            live.ended(exchange)
            look_at_count()

        def progress(exchanges: int, unmatched: int, ended: Sequence[ExchangeSummary]) -> None:
            live.add(exchanges, unmatched, ended)
            look_at_count()

        def look_at_count() -> None:
            if count is not None and live.count >= count:
                run.stop_answering()
                supervisor.finish(Ending("stop-after"))

        def settle(ending: Ending) -> Ending:
            return _failed(_strict(ending, run, live, choices), run, live)

        def failed(error: FormatError) -> None:
            if not is_stdout_gone(error):
                printing.fail(printing.escape(str(error)))

        hooks = Hooks(
            ended,
            live.defect,
            live.failure,
            progress=progress,
            lost=live.lost,
            warn=live.warn,
            failed=failed,
            settle=settle,
        )
        with interrupts.leaving_at_once():  # the loop has replaced the file descriptor that signals are written to
            run = _run(settings, hooks, choices.workers, live)
            supervisor = Supervisor(run, watch=choices.watch, no_proxy=choices.no_proxy, isolate=choices.isolate)

        async def serve(run: Run) -> Ending:
            _print_ready(run, choices)
            supervisor.live_lines = live.lines
            tune_garbage_collection()
            return await supervisor.wait(seconds)

        report_failures(live.failure)
        async with anyio.create_task_group() as group:
            await group.start(supervisor.watch_signals)
            if live.lines is not None:
                group.start_soon(live.lines.run)
            try:
                ending = await run.record(serve)
            finally:
                control.remove_ready_file(run, choices.ready_file)
            group.cancel_scope.cancel()
        ending = _failed(ending, run, live)  # again: an output may have failed at the last record
        live.summary(shown_outputs(settings), run.rules)
        was_run = ending.exit_code not in (COMMAND_NOT_RUN, NOT_EXECUTABLE, NOT_FOUND)
        if settings.command is not None and was_run and _nothing_received(run, live):
            print_nothing_received(settings.command)
        print_replays(run.replays)
        if settings.kept_log is not None:
            from mockrec.cli.kept import add_to_cassettes

            ending = add_to_cassettes(run, settings, ending)
        if receipt is not None:
            receipt.write(run, ending)
        code = ending.exit_code
        if choices.report is not None:
            code = choices.report.write(code)
        return interrupts.ending_with(code)

    await_readers(settings.outputs)
    # Output of handlers must not come between the records.
    aside = redirect_stdout(sys.stderr) if "-" in settings.outputs else nullcontext()
    with aside, interrupts.leaving_at_once():  # until the supervisor receives signals
        return anyio.run(main, backend_options={"use_uvloop": has_uvloop()})


def _nothing_received(run: Run, live: LiveView) -> bool:
    """Whether no client has spoken to the recorder: no exchange, no tunnel, no failed handshake."""
    own = ("session-started", "session-ended", "rules-reloaded")
    return not (live.count or live.has_tls_failures or any(kind not in own for kind in run.record_counts))


def _run(settings: RunSettings, hooks: Hooks, workers: int, live: LiveView) -> Run:
    if workers == 1:
        return SingleProcessRun(settings, hooks)
    from mockrec.engine.run.workers.supervisor import (
        WorkerPool,  # imported only with --workers: a run starts sooner without it
    )

    return WorkerPool(settings, hooks, workers, reports_exchanges=live.terminal)


def shown_outputs(settings: RunSettings) -> tuple[str, ...]:
    """Return the outputs that the user has asked for."""
    return tuple(path for path in settings.outputs if path != settings.kept_log)


def remove_stale(ready_file: Path) -> None:
    """Remove the ready file of an earlier run. Raises ConfigError if it cannot be removed or written."""
    if not os.access(ready_file.absolute().parent, os.W_OK):
        raise ConfigError(f"cannot write the ready file {ready_file}: its folder is not there, or not writable")
    try:
        ready_file.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot replace the ready file {ready_file}: {error.strerror or error}") from None


def _stop_after(text: str | None) -> tuple[int | None, float | None]:
    """`1000` → exchanges, `30s` → seconds."""
    if text is None:
        return None, None
    if re.fullmatch(r"[1-9][0-9]*", text):
        return int(text), None
    try:
        return None, duration(text)
    except typer.BadParameter:
        raise typer.BadParameter(
            f"expected a number of exchanges such as 1000 or a duration such as 30s, got {text!r}",
            param_hint="--stop-after",
        ) from None


def _print_ready(run: Run, choices: RunOptions) -> None:
    settings, ready_file = run.settings, choices.ready_file
    rules = _what_answers(settings) if choices.answers is None else choices.answers
    of_scopes = () if settings.control is None or settings.control.output is None else (settings.control.output,)
    to = ", ".join("stdout" if path == "-" else path for path in (*shown_outputs(settings), *of_scopes))
    recording = "not recording" if settings.kept_log is None else "no log"
    if to:
        recording = f"recording to {printing.escape(to)}"
        recording += " · with secrets" if run.redactor is None else " · secrets redacted"
    if not is_loopback(settings.server.host.strip("[]").lower()):
        printing.warn(f"listening on {settings.server.host}: whoever reaches this machine reaches the recorder")
    crew = f" · {choices.workers} workers" if choices.workers > 1 else ""
    controlled = "" if run.control_url is None else f" · control on {run.control_url}"
    printing.note(f"mockrec ready on {run.url} · {rules} · {recording}{crew}{controlled}")
    for path in run.unlocked:
        printing.warn(f"{printing.escape(path)} cannot be locked there: see that no other program writes it")
    if run.ca_problem is not None:
        printing.warn(f"HTTPS cannot be intercepted: {printing.escape(str(run.ca_problem))}")
    if ready_file is not None:
        content: dict[str, object] = {"url": run.url, "port": run.port, "pid": os.getpid(), "ca": run.ca}
        content["outputs"] = [
            path if path == "-" or is_uri(path) else os.path.abspath(path) for path in settings.outputs
        ]
        content |= control.described(run)
        partial = ready_file.with_name(f".{ready_file.name}.{os.getpid()}")
        try:
            text = json.dumps(content) + "\n"
            if run.control_url is None:
                partial.write_text(text, encoding="utf-8")
            else:
                control.write_private(partial, text)  # it has the token
            os.replace(partial, ready_file)
        except OSError as error:
            raise ConfigError(f"cannot write the ready file {ready_file}: {error.strerror or error}") from None


def _what_answers(settings: RunSettings) -> str:
    """Return `3 rules`, and what else responds."""
    rules = settings.loaded.rule_file.rules
    words = [printing.plural(len(rules), "rule")] if rules or settings.loaded.rule_file.path else []
    if settings.reverse_target is not None:
        protocol, host, port = settings.reverse_target
        words.append(f"before {protocol}://{f'[{host}]' if ':' in host else host}:{port}")
    if settings.unmatched == "passthrough":
        words.append("passing on the rest" if words else "passing everything on")
    return " · ".join(words)


def _strict(ending: Ending, run: Run, live: LiveView, choices: RunOptions) -> Ending:
    """Return the ending of an otherwise good run under --strict."""
    # A replay has one rule, which is not the user's: its recordings count.
    pending = [] if choices.answers else run.rules.pending()
    words = _strict_words(pending, live.unmatched) + replay_words(run.replays)
    if not choices.strict or ending.exit_code != 0 or not words:
        return ending
    printing.fail(f"--strict: {'; '.join(words)}")
    return Ending(ending.reason, 1)


def _failed(ending: Ending, run: Run, live: LiveView) -> Ending:
    """Return the ending after a lost log or a defect of mockrec."""
    failure = run.failure
    with_command = run.settings.command is not None
    if failure is not None:
        reason = "stdout closed" if failure.exit_code == READER_GONE else "recording failed"
        return Ending(reason, COMMAND_NOT_RUN if with_command else failure.exit_code)
    if live.defects or live.workers_lost:
        return Ending(ending.reason, COMMAND_NOT_RUN if with_command else DEFECT)
    return ending


def _strict_words(pending: Sequence[CompiledRule], unmatched: int) -> list[str]:
    words = []
    if unmatched:
        words.append(f"{printing.plural(unmatched, 'request')} matched no rule")
    never = [printing.escape(rule.rule.id) for rule in pending if not rule.used]
    if never:
        words.append(f"rule {never[0]} was never used" if len(never) == 1 else f"never used: rules {', '.join(never)}")
    words += [
        f"rule {printing.escape(rule.rule.id)} was used {printing.plural(rule.used, 'time')} of {rule.limit}"
        for rule in pending
        if rule.used
    ]
    return words
