"""`main`: from an argument list to an exit code, whatever happens in between."""

from __future__ import annotations

from mockrec.cli import early

early.begin()  # a Ctrl-C during these imports must not print a traceback

import gc  # noqa: E402

_COLLECT_AFTER = 100_000
"""New objects between two garbage collections, until a command sets its own: a start creates many, and all of them
stay. A collection among them takes as long as thirty imports."""

gc.set_threshold(_COLLECT_AFTER)

import os  # noqa: E402
import sys  # noqa: E402
from collections.abc import Iterator, Sequence  # noqa: E402

import typer.main  # noqa: E402

from mockrec.cli import interrupts, printing  # noqa: E402
from mockrec.cli.app import app  # noqa: E402
from mockrec.cli.codes import COMMAND_NOT_RUN, DEFECT, INTERRUPTED, READER_GONE, USAGE  # noqa: E402
from mockrec.cli.defects import report_defect  # noqa: E402
from mockrec.cli.options import invocation  # noqa: E402
from mockrec.formats.files.outfile import STDOUT_NAME  # noqa: E402
from mockrec.formats.schema.errors import OutputError  # noqa: E402

early.end()


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line, without the program's name. None: the command line of the process, which then exits."""
    interrupts.begin(is_process=argv is None)
    _replace_closed_streams()  # before anything is opened
    with interrupts.raising():
        try:
            code = _main(argv)
        except KeyboardInterrupt:  # raised between two steps
            code = INTERRUPTED
    return interrupts.ending_with(code)


def _main(argv: Sequence[str] | None) -> int:
    gc.set_threshold(_COLLECT_AFTER)
    arguments = list(sys.argv[1:] if argv is None else argv)
    invocation.command = None
    printing.set_quiet(False)
    printing.set_verbose(False)
    printing.set_color("auto")
    if "--" in arguments:
        # COMMAND's own options must never be taken for ours.
        split = arguments.index("--")
        arguments, invocation.command = arguments[:split], arguments[split + 1 :]
        if not invocation.command:
            printing.fail("there is no COMMAND after --")
            return USAGE
    invocation.arguments = arguments[1:]
    _survive_encodings()
    if invocation.command is None:  # COMMAND's environment must stay as it is
        # pyarrow's own pool never returns memory: a conversion would take a third more, and no less time.
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    try:
        code = _run(arguments)
        printing.flush()
    except BrokenPipeError:
        printing.forget_stdout()
        return READER_GONE
    except OutputError as error:
        return _tell(error)
    except KeyboardInterrupt:
        return _interrupted()
    return code


def _run(arguments: list[str]) -> int:
    try:
        result = typer.main.get_command(app)(args=arguments, prog_name="mockrec", standalone_mode=False)
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):
            # typer's own reaction to a closed stdout, with an exit code that is not in codes.py.
            raise BrokenPipeError from None
        return stop.code if isinstance(stop.code, int) else 1
    except BrokenPipeError:
        raise
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except BaseException as error:
        return _tell(error)
    if interrupts.received() is not None:  # typer has its own exit code for an interrupt
        return _interrupted()
    return result if isinstance(result, int) else 0


def _interrupted() -> int:
    number = interrupts.received()
    return INTERRUPTED if number is None else 128 + number


def _tell(error: BaseException) -> int:
    """Print what went wrong and return the exit code. Errors for the user carry their own code."""
    leaves = list(_leaves(error))
    if any(isinstance(leaf, KeyboardInterrupt) for leaf in leaves):
        return _interrupted()
    if not all(isinstance(getattr(leaf, "exit_code", None), int) for leaf in leaves):
        report_defect(error)
        return _own_failure(DEFECT)
    code = max(int(getattr(leaf, "exit_code", 0)) for leaf in leaves)
    if code == READER_GONE:
        printing.forget_stdout()
        for leaf in leaves:
            if getattr(leaf, "file", STDOUT_NAME) != STDOUT_NAME:
                printing.fail(printing.escape(str(leaf)))
        return code
    for leaf in leaves:
        show = getattr(leaf, "show", None)  # a usage error prints the command's usage line itself
        if show is not None:
            show()
        elif hasattr(leaf, "problems"):  # each problem on a line of its own, in the form that editors read
            printing.problems(printing.escape(str(leaf), keep_lines=True))
        else:
            printing.fail(printing.escape(str(leaf), keep_lines=True))
    return _own_failure(code)


def _own_failure(code: int) -> int:
    """With a COMMAND, any exit code may be COMMAND's, so mockrec's own failures share one reserved code."""
    return code if invocation.command is None else COMMAND_NOT_RUN


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions of an exception group; a task group wraps even a single one."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _replace_closed_streams() -> None:
    """Open /dev/null for each standard stream that was closed by `<&-`, `>&-` or `2>&-`.

    A free descriptor would otherwise be given to a socket, which a child process would inherit as its stdin.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free descriptor, which is this one
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - as long as the process


def _survive_encodings() -> None:
    """Make a stdout in ASCII or Latin-1 print characters that it cannot encode as escapes."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
