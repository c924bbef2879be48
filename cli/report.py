"""`mockrec report SESSION… [EXPR]`: sessions as one HTML file that shows them in a browser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from mockrec.cli import arguments, printing
from mockrec.cli.arguments import Sessions, Where
from mockrec.cli.codes import COMMAND_NOT_RUN
from mockrec.cli.options import FileMode, Force, Quiet, Verbose, invocation, refuse_inputs, size
from mockrec.cli.pipes import await_readers
from mockrec.cli.progress import Progress

DEFAULT_NAME = "report.html"
DEFAULT_BODIES = 5 * 1024 * 1024
_ENDINGS = (".html", ".htm")
RunReport = Annotated[
    str | None,
    typer.Option(
        "--report", metavar="FILE", help="At the end, write the recording as an HTML report, too.", show_default=False
    ),
]
BodiesSize = Annotated[
    Any,
    typer.Option(
        "--bodies",
        metavar="SIZE",
        parser=size,
        help="Bytes of bodies that the report holds, those of failures first; of others it has size and hash.",
        show_default="5MiB",
    ),
]


def report(
    sessions: Sessions,
    where: Where = None,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="OUT", help="The HTML file; - is stdout.")
    ] = DEFAULT_NAME,
    bodies: BodiesSize = DEFAULT_BODIES,
    redact: Annotated[
        bool, typer.Option("--redact", help="Replace secrets by marks, in a session that was recorded with them.")
    ] = False,
    force: Force = False,
    file_mode: FileMode = 0o600,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a report: one HTML file that shows sessions in a browser.

    It needs no network and no other file: tables, waterfall, latency, every exchange in full, and the filter language.
    """
    from mockrec.cli.filtering import warn

    paths, expression = arguments.split(sessions, where)
    check_name(output, "--output")
    refuse_inputs((output,), paths)
    plan = arguments.parse(expression)
    progress = Progress(paths, readings=1 if plan is None else 2)
    change = _redaction() if redact else None
    selection = write_report(
        paths, output, plan=plan, limit=bodies, change=change, progress=progress, force=force, file_mode=file_mode
    )
    warn(selection)


def check_name(path: str, option: str) -> None:
    """Refuse a name that browsers would not take for HTML. Raises `typer.BadParameter`."""
    if path != "-" and Path(path).suffix.lower() not in _ENDINGS:
        raise typer.BadParameter(f"{path}: expected a name that ends in .html", param_hint=option)


def write_report(
    paths: Sequence[str],
    output: str,
    *,
    plan: Any = None,
    limit: int = DEFAULT_BODIES,
    change: Callable[[bytes, Path | None], bytes] | None = None,
    progress: Progress | None = None,
    force: bool,
    file_mode: int,
) -> Any:
    """Write the report of sessions, and return their `Selection`. Raises `SessionError`, `OutputError`."""
    from mockrec.formats.report.sessions import gather
    from mockrec.formats.report.write import html

    if progress is None:
        progress = Progress(paths, readings=1)
    gathered, selection = gather(paths, plan, limit=limit, change=change, progress=progress)
    try:
        names = [each.name for each in selection.inputs]
        parts, left_out = html(gathered, ", ".join(names), names)
        write_parts(parts, output, force=force, file_mode=file_mode)
    finally:
        progress.finish()
        gathered.close()
        selection.close()
    if output != "-":
        printing.note(f"{printing.plural(gathered.summary.exchanges, 'exchange')} in {printing.escape(output)}")
    if left_out:
        printing.note(left_out)
    return selection


def write_parts(parts: Any, output: str, *, force: bool, file_mode: int) -> None:
    """Write the parts of an HTML file. Raises `OutputError`."""
    if output == "-":
        printing.data(b"".join(parts).decode())
        return
    from mockrec.formats.files.outfile import open_output

    await_readers((output,))
    file = open_output(Path(output), force=force, file_mode=file_mode)
    try:
        for part in parts:
            file.write(part, lines=False)
    finally:
        file.close()


class LaterReport(NamedTuple):
    """The report that a run writes at its end."""

    path: str
    session: str
    """The output from which it is made."""
    force: bool
    file_mode: int

    def write(self, code: int) -> int:
        """Write it. Return the exit code of the run, or that of the failure if the run was good."""
        from mockrec.formats.schema.errors import FormatError

        try:
            write_report([self.session], self.path, force=self.force, file_mode=self.file_mode)
        except FormatError as error:
            printing.fail(f"no report was written: {printing.escape(str(error))}")
            failed = error.exit_code if invocation.command is None else COMMAND_NOT_RUN
            return code or failed
        return code


def later_report(path: str | None, outputs: Sequence[str], *, force: bool, file_mode: int) -> LaterReport | None:
    """Return the report that `--report` asks for, before the run begins. Raises `typer.BadParameter`."""
    if path is None:
        return None
    from mockrec.formats.files.outfile import is_pipe

    check_name(path, "--report")
    readable = [output for output in outputs if output != "-" and not is_pipe(output)]
    if path == "-" or not readable:
        why = (
            "stdout is for the recording"
            if path == "-"
            else "it is made from a file that is recorded to: name one by -o"
        )
        raise typer.BadParameter(why, param_hint="--report")
    if not force and Path(path).exists():
        raise typer.BadParameter(f"{path} exists; --force overwrites it", param_hint="--report")
    if not Path(path).absolute().parent.is_dir():
        raise typer.BadParameter(f"{path}: its folder does not exist", param_hint="--report")
    # Lines are read again at once; other formats are converted for it.
    best = next((output for output in readable if ".jsonl" in output), readable[0])
    return LaterReport(path, best, force, file_mode)


def write_diff(result: Any, paths: Sequence[str], output: str, *, limit: int, force: bool, file_mode: int) -> None:
    """Write the report of a comparison of these two sessions. Raises `SessionError`, `OutputError`."""
    from mockrec.formats.report.diff import SIDES, findings, gather_sides
    from mockrec.formats.report.write import html

    gathered = gather_sides(result, paths, limit)
    try:
        parts, left_out = html(
            gathered, f"{result.a.name} and {result.b.name}", SIDES, diff=lambda rows: findings(result, rows)
        )
        write_parts(parts, output, force=force, file_mode=file_mode)
    finally:
        gathered.close()
    if left_out:
        printing.note(left_out)


def _redaction() -> Callable[[bytes, Path | None], bytes]:
    """Return the function that puts body files into a line and redacts it."""
    from mockrec.engine.redaction.lines import LineRedactor
    from mockrec.formats.sessions.derived import BodyCarrier

    carrier, redactor = BodyCarrier(None), LineRedactor()

    def redacted(line: bytes, folder: Path | None) -> bytes:
        try:
            return redactor.line(carrier.carry(line, folder))
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--redact") from None

    return redacted
