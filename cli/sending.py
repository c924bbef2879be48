"""`replay --to` on the command line: output before, during and after the replay, signals, exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import anyio
import typer
from anyio.abc import TaskStatus

from mockrec.cli import interrupts, printing
from mockrec.cli.codes import DEFECT
from mockrec.cli.defects import report_defect
from mockrec.cli.options import OutputShape
from mockrec.cli.pipes import await_readers, is_stdout_gone
from mockrec.cli.reading import warn_of
from mockrec.cli.report import LaterReport
from mockrec.cli.send_summary import request_line, summary_line
from mockrec.cli.signals import Signals
from mockrec.engine.process import has_uvloop, tune_garbage_collection
from mockrec.engine.recording.ending import Ending
from mockrec.engine.replay.chain.put_back import Renamed
from mockrec.engine.replay.send.send import ReplayRun, SendSettings

if TYPE_CHECKING:
    from mockrec.engine.replay.send.survey import Survey, SurveyedRequest
    from mockrec.engine.replay.session.requests import RecordedRequest

_TOLD = 20
"""Most different reasons that are listed one by one."""
_PROGRESS_SECONDS = 0.5


def send(
    settings: SendSettings,
    *,
    dry_run: bool,
    compare: bool = False,
    report: LaterReport | None = None,
    shape: OutputShape = OutputShape.text,
) -> int:
    """Send a session and return the exit code. `compare`: compare the new responses with the recorded ones."""
    if compare and not dry_run:
        return _compared(settings, report, shape)
    return _send(settings, dry_run=dry_run, report=report, shape=shape)


def _compared(settings: SendSettings, later: LaterReport | None, shape: OutputShape) -> int:
    """Send it, record the responses (in a temporary file without -o), and compare."""
    if settings.is_read_once:
        raise typer.BadParameter("what is read from stdin or a pipe cannot be read again", param_hint="--diff")
    if "-" in settings.outputs:
        raise typer.BadParameter("the session would stand in the midst of the report", param_hint="-o -")
    with TemporaryDirectory(prefix="mockrec-") as folder:
        # JSON Lines can be read as soon as they are written; next to other formats, a JSON Lines file is written too.
        kept = next((path for path in settings.outputs if path.endswith((".jsonl", ".jsonl.gz", ".jsonl.zst"))), None)
        again = kept or str(Path(folder) / "replay.jsonl")
        if kept is None:
            settings = replace(settings, outputs=(*settings.outputs, again))
        renamed = Renamed()
        code = _send(settings, dry_run=False, temporary=() if kept else (again,), renamed=renamed, report=later)
        if code not in (0, 1):
            return code
        sent = _only_sent(settings.session, again, Path(folder))
        names = settings.session, kept or "what came back"
        return max(code, _compare(sent, _with_recorded_values(again, renamed, Path(folder)), names, shape))


def _with_recorded_values(again: str, renamed: Renamed, folder: Path) -> str:
    """Return a copy of the new session in which chained values are the recorded ones; itself if none was chained."""
    from mockrec.formats.files.jsonl import encode_lines
    from mockrec.formats.sessions.session import open_session

    if not renamed:
        return again
    (folder / "chained").mkdir()
    path = folder / "chained" / "replay.jsonl"
    with open_session(again) as session, path.open("wb") as file:
        bodies = session.bodies_folder
        for _, record in session:
            file.write(encode_lines((dict(renamed.put_back(record, bodies)),)))
    _link_bodies(bodies, path)
    return str(path)


def _link_bodies(bodies: Path | None, path: Path) -> None:
    """Link the bodies folder of one log next to another log."""
    if bodies is not None and bodies.is_dir():
        Path(f"{path}.bodies").symlink_to(bodies.absolute())


def _only_sent(session: str, again: str, folder: Path) -> str:
    """Return the session without unsent requests, whose responses cannot be compared; itself if all were sent."""
    from mockrec.engine.replay.send.recorded_exchange import REPLAY_OF
    from mockrec.formats.files.jsonl import encode_lines
    from mockrec.formats.schema.lifecycle import SESSION_TYPES
    from mockrec.formats.sessions.session import open_session

    with open_session(again) as sent:
        tags = {tag for _, record in sent for tag in record.get("tags") or () if tag.startswith(REPLAY_OF)}
    left_out = False
    (folder / "sent").mkdir()
    path = folder / "sent" / Path(session).name
    with open_session(session) as all_of_it, path.open("wb") as file:
        for _, record in all_of_it:
            if record["type"] in SESSION_TYPES or f"{REPLAY_OF}{record.get('id')}" in tags:
                file.write(encode_lines((record,)))
            else:
                left_out = True
        bodies = all_of_it.bodies_folder
    _link_bodies(bodies, path)
    return str(path) if left_out else session


def _compare(session: str, again: str, names: tuple[str, str], shape: OutputShape) -> int:
    """Compare the files and print them under these names."""
    from mockrec.cli.diff_text import report
    from mockrec.formats.diff.collect import Filters
    from mockrec.formats.diff.comparison import compare_sessions
    from mockrec.formats.diff.model.finding import Severity
    from mockrec.formats.diff.model.options import DiffOptions

    result = compare_sessions(session, again, DiffOptions(), Filters(), None)
    result.a.name, result.b.name = names
    if shape is OutputShape.json:
        from mockrec.formats.diff.report.json import report as json_report

        printing.data(json_report(result).rstrip("\n"))
    else:
        for line in report(result, verbose=False):
            printing.data(line)
    return 1 if result.failed(Severity.changed) else 0


def _send(
    settings: SendSettings,
    *,
    dry_run: bool,
    temporary: Sequence[str] = (),
    renamed: Renamed | None = None,
    report: LaterReport | None = None,
    shape: OutputShape = OutputShape.text,
) -> int:
    """Send it and return the exit code. `temporary`: temporary outputs; `renamed` receives the chained values."""
    defects: list[BaseException] = []

    def defect(error: BaseException) -> None:
        defects.append(error)
        if len(defects) == 1:
            report_defect(error)

    replay = ReplayRun(settings, defect)
    if renamed is not None:
        replay.chained.renamed = renamed
    if dry_run:
        as_json = shape is OutputShape.json
        _print_survey(replay.look(lambda *each: printing.data(request_line(*each)) if as_json else _print_one(*each)))
        _print_reading(replay)
        return 0
    if not settings.is_read_once:
        _print_survey(replay.look())
        _print_reading(replay)
    elif settings.chain:
        printing.note("no values of answers are put into later requests, because stdin and pipes can be read only once")
    await_readers(settings.outputs)
    stopped: list[int] = []

    def settle(ending: Ending) -> Ending:
        if replay.failure is not None:
            return Ending("recording failed", replay.failure.exit_code)
        if defects:
            return Ending(ending.reason, DEFECT)
        if stopped:
            return Ending(signal.Signals(stopped[0]).name, 128 + stopped[0])
        progress = replay.progress
        return Ending(ending.reason, 1 if progress.failed or not progress.sent else 0)

    async def main() -> Ending:
        tune_garbage_collection()
        async with anyio.create_task_group() as group:
            await group.start(_watch_signals, replay, stopped)
            if sys.stderr.isatty():
                group.start_soon(_show_progress, replay)
            ending = await replay.run(settle)
            group.cancel_scope.cancel()
        ending = settle(ending)  # once more: an output may have failed with the last record
        _report(replay, temporary)
        if shape is OutputShape.json:
            printing.data(summary_line(replay, temporary))
        if settings.is_read_once:
            _print_reading(replay)
        if replay.failure is not None and not is_stdout_gone(replay.failure):
            printing.fail(printing.escape(str(replay.failure)))
        if report is not None:
            ending = Ending(ending.reason, report.write(ending.exit_code))
        if stopped:
            interrupts.ending_with(ending.exit_code)
        return ending

    with interrupts.leaving_at_once():
        return anyio.run(main, backend_options={"use_uvloop": has_uvloop()}).exit_code


async def _watch_signals(replay: ReplayRun, stopped: list[int], *, task_status: TaskStatus[None]) -> None:
    def held_up(number: int) -> None:
        os._exit(128 + number)  # the recording is a session that was cut off

    signals = Signals(1.0, held_up)
    with signals.received((signal.SIGINT, signal.SIGTERM)):
        task_status.started()
        async for number in signals:
            stopped.append(number)
            replay.stop()


def _print_reading(replay: ReplayRun) -> None:
    """Print what was left out of the session, and whether it was cut off."""
    if replay.reading is not None:
        warn_of(replay.reading)


# ── printed lines ───────────────────────────────────────────────────────────────────────────────────


def _print_one(call: RecordedRequest, judged: SurveyedRequest) -> None:
    """Print a request of a dry run, with its values that would come from earlier responses."""
    draft, reason = judged.draft, judged.reason
    line = f"{draft.method} {call.record.get('url') or draft.target}"
    printing.data(printing.escape(f"{line}  not sent: {reason}" if reason else line))
    if not reason:
        for text in dict.fromkeys(link.text for link in judged.links):
            printing.data(printing.escape(f"  chained: {text}"))


def _print_survey(survey: Survey) -> None:
    """Print what will not be sent, before anything is sent."""
    if survey.marked:
        count = printing.plural(survey.marked.total(), "request")
        printing.warn(f"{count} with redacted values will not be sent; --header and --set fill them:")
        _print_counted(survey.marked)
    if survey.unmapped:
        hosts = ", ".join(f"{host} ({count})" for host, count in survey.unmapped.most_common(_TOLD))
        printing.warn(f"no --to names these hosts, so they are left out: {printing.escape(hosts)}")
    if survey.unusable:
        printing.warn(f"{printing.plural(survey.unusable.total(), 'request')} cannot be sent as recorded:")
        _print_counted(survey.unusable)
    printing.note(f"{survey.to_send} of {printing.plural(survey.requests, 'request')} to send")


def _print_counted(reasons: Counter[str]) -> None:
    for text, count in reasons.most_common(_TOLD):
        printing.note(f"  {printing.escape(text)}{f' ({count}×)' if count > 1 else ''}")
    if len(reasons) > _TOLD:
        printing.note(f"  and {len(reasons) - _TOLD} more")


async def _show_progress(replay: ReplayRun) -> None:
    """Update one line with the rate and the number of remaining requests."""
    began = anyio.current_time()
    while True:
        await anyio.sleep(_PROGRESS_SECONDS)
        progress, total = replay.progress, replay.total
        rate = progress.done / max(0.001, anyio.current_time() - began)
        words = [f"{progress.done}{f' of {total}' if total else ''} requests", f"{rate:.0f}/s"]
        if progress.failed:
            words.append(f"{progress.failed} failed")
        if total and rate > 0:
            words.append(f"{printing.duration(max(0, total - progress.done) / rate * 1000)} to go")
        printing.progress(" · ".join(words))


def _report(replay: ReplayRun, temporary: Sequence[str]) -> None:
    """Print what was sent, how well the pace was kept, and what failed."""
    progress, settings = replay.progress, replay.settings
    printing.progress("")
    fidelity = progress.fidelity
    if not progress.sent:
        printing.fail("nothing was sent")
        return
    achieved = f" at {fidelity.achieved:.1f}/s" if fidelity.achieved else ""
    asked = f" (asked for: {settings.pace}{_rate(fidelity.asked)})" if settings.pace.is_timed else ""
    printing.note(f"sent {printing.plural(progress.sent, 'request')}{achieved}{asked}")
    if settings.pace.is_timed:
        p50, p99 = printing.duration(fidelity.drift(0.5)), printing.duration(fidelity.drift(0.99))
        printing.note(f"later than they were due: p50 {p50}, p99 {p99}")
    _print_chained(replay)
    if progress.skipped:
        printing.note(f"not sent: {progress.skipped}")
    if progress.failed:
        printing.fail(f"{printing.plural(progress.failed, 'request')} failed:")
        _print_counted(progress.failures)
    for path in settings.outputs:
        if path != "-" and path not in temporary:
            printing.note(f"recorded to {printing.escape(path)}")


def _print_chained(replay: ReplayRun) -> None:
    """Print which values of responses went into requests, and which were missing in the responses."""
    chained = replay.chained
    if chained.done:
        count = printing.plural(chained.done.total(), "value")
        printing.note(f"{count} of answers put into later requests; --no-chain sends them as recorded:")
        _print_counted(chained.done)
    if chained.missing:
        count = printing.plural(chained.missing.total(), "value")
        printing.warn(f"{count} sent as recorded, because the new answers have none at that place:")
        _print_counted(chained.missing)


def _rate(asked: float | None) -> str:
    return "" if asked is None else f", {asked:.1f}/s"
