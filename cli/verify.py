"""`mockrec verify SESSION`: checks that a recording is complete and keeps the log's guarantees. And `--repair`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mockrec.cli import arguments, printing
from mockrec.cli.many import exit_if_skipped, skipped_sessions, skipping
from mockrec.cli.options import As, FileMode, Force, OutputShape, Quiet, SessionPath, Verbose
from mockrec.cli.pipes import await_readers
from mockrec.cli.unfinished import whole_or_none

if TYPE_CHECKING:
    from mockrec.formats.analysis.verify import Audit
    from mockrec.formats.files.frames import Sink
    from mockrec.formats.sessions.session import Session

_SHOWN = 20
"""Most findings printed without --verbose."""


def verify(
    session: SessionPath,
    repair: Annotated[
        str | None,
        typer.Option(
            "--repair",
            metavar="OUT",
            help="Write the whole records to a new file and close it properly; a Parquet recording that was cut off "
            "can be finished in its own place. Says nothing new about SESSION: the exit code is still its own.",
        ),
    ] = None,
    shape: As = OutputShape.text,
    force: Force = False,
    file_mode: FileMode = 0o600,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Check that a session is complete and well-formed.

    Exit code 0 if it is, 1 if not. A folder, a prefix of a store, a pattern or a list (@FILE) stands for many sessions.
    """
    skipped = skipped_sessions(allowed=arguments.has_many([session]))
    names = arguments.expanded([session])
    if repair is not None and len(names) > 1:
        raise typer.BadParameter("it is for one session", param_hint="--repair")
    complete = True
    for name in names:
        with skipping(skipped):
            complete &= _verify(name, repair, shape, force=force, file_mode=file_mode, verbose=verbose)
    if complete:
        exit_if_skipped(skipped)
    raise typer.Exit(0 if complete else 1)


def _verify(
    session: str, repair: str | None, shape: OutputShape, *, force: bool, file_mode: int, verbose: bool
) -> bool:
    """Check one session, print the result, and return whether it is complete."""
    from mockrec.formats.analysis.verify import Audit
    from mockrec.formats.parquet.paths import own_journal
    from mockrec.formats.schema.errors import OutputBusyError
    from mockrec.formats.sessions.live import recorder_of
    from mockrec.formats.sessions.session import open_session

    if repair is not None and (who := recorder_of(session)):
        raise OutputBusyError(session, who)
    with ExitStack() as stack:
        opened = stack.enter_context(open_session(session))
        audit = Audit(opened.header, opened.bodies_folder, unit=opened.unit)
        sink = None
        journal = own_journal(session, repair) if repair is not None else None
        if repair is not None and journal is None:
            _refuse_output(session, repair)
            sink = stack.enter_context(whole_or_none(_open_repair(repair, force, file_mode)))
        _read(opened, audit, sink)
        if sink is not None:
            _close_repair(opened, audit, sink)
        elif repair is not None and journal is not None:
            from mockrec.formats.parquet.recover import finish_journal

            finish_journal(repair, journal, _missing_end(opened, audit), file_mode=file_mode)
    complete = not opened.cut_off and not audit.finding_count
    if shape is OutputShape.json:
        printing.data(_json(opened, audit, complete))
    else:
        _tell(opened, audit, complete, verbose)
    if repair is not None:
        what = "repaired copy" if journal is None else "repaired"
        printing.note(f"{what}: {printing.escape(repair)}")
    return complete


def _read(session: Session, audit: Audit, sink: Sink | None) -> None:
    from mockrec.formats.schema.errors import SessionError

    try:
        for line in session.scan(audit.check_block if sink is None else None):
            if line.record is not None:
                audit.check(line.number, line.record)
                if sink is not None:
                    sink.write(line.raw + b"\n")
            elif not line.torn:
                audit.report_at(line.number, line.problem)
    except SessionError as error:
        # A damaged frame: only what comes before it can be read.
        audit.report(error.message)
    for problem in session.problems:
        audit.report(problem)
    audit.finish()


def _open_repair(path: str, force: bool, file_mode: int) -> Sink:
    from mockrec.formats.sessions.outputs import open_sink

    await_readers((str(path),))
    return open_sink(path, force=force, file_mode=file_mode)


def _refuse_output(session: str, out: str) -> None:
    """Refuse stdout as output, which has the findings, and the input itself, which --force would empty."""
    if out == "-":
        raise typer.BadParameter("name a file; stdout says what was found", param_hint="--repair")
    if session != "-" and Path(out).exists() and Path(out).samefile(session):
        raise typer.BadParameter("it is the session itself", param_hint="--repair")


def _missing_end(session: Session, audit: Audit) -> bytes:
    from mockrec.formats.files.jsonl import encode_lines

    return encode_lines([_ending(audit)]) if session.ended is None and audit.last is not None else b""


def _close_repair(session: Session, audit: Audit, sink: Sink) -> None:
    if ending := _missing_end(session, audit):
        sink.write(ending)
    if audit.body_files and session.bodies_folder is not None:
        folder = printing.escape(str(session.bodies_folder))
        printing.warn(
            f"files in {folder} belong to the session ({audit.body_files} references): "
            "copy that folder beside the repaired file"
        )


def _ending(audit: Audit) -> dict[str, Any]:
    """Return the `session-ended` record for a cut-off session, with the time of its last known record."""
    last = audit.last or {}
    seq = last.get("seq")
    return {
        "seq": seq + 1 if isinstance(seq, int) else 0,
        "type": "session-ended",
        "timestamp": last.get("timestamp", ""),
        "reason": "repaired",
        "counts": dict(audit.counts),
    }


def _verdict(session: Session, complete: bool) -> str:
    from mockrec.formats.sessions.live import is_live

    if complete:
        return "complete"
    if is_live(session.cut_off):
        return "still being recorded"
    return "cut off" if session.cut_off else "not complete"


def _json(session: Session, audit: Audit, complete: bool) -> str:
    """Return the result as an object for JSON."""
    from mockrec.formats.files.jsonl import encode_lines

    found = {
        "session": session.name,
        "complete": complete,
        "verdict": _verdict(session, complete),
        "part": audit.part,
        "records": dict(audit.counts),
        "exchanges": audit.exchange_count,
        "openExchanges": len(audit.open_ids),
        "cutOff": session.cut_off,
        "notes": list(session.notes),
        "findings": list(audit.findings),
        "findingCount": audit.finding_count,
    }
    return printing.escape_json(encode_lines([found]).decode().rstrip("\n"))


def _tell(session: Session, audit: Audit, complete: bool, verbose: bool) -> None:
    name = printing.escape(session.name)
    total = sum(audit.counts.values())
    numbers = f"{printing.plural(total, 'record')}, {printing.plural(audit.exchange_count, 'exchange')}"
    part = "" if audit.part is None else f"part {audit.part} of a session: "
    printing.data(f"{name}: {part}{_verdict(session, complete)}: {numbers}")
    if session.cut_off:
        printing.data(f"  {session.cut_off}")
    if audit.open_ids and (complete or session.cut_off):
        printing.data(f"  {printing.plural(len(audit.open_ids), 'exchange')} without an end")
    for note in session.notes:
        printing.data(f"  {printing.escape(note)}")
    shown = audit.findings if verbose else audit.findings[:_SHOWN]
    for finding in shown:
        printing.data(f"  {printing.escape(finding)}")
    if audit.finding_count > len(shown):
        printing.data(f"  … and {audit.finding_count - len(shown)} more")
