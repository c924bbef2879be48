"""`main`: from an argument list to an exit code, whatever happens in between."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence

import typer.main

from mockrec.cli import printing
from mockrec.cli.app import app
from mockrec.cli.options import invocation

USAGE = 2
DEFECT = 70
COMMAND_NOT_RUN = 125
INTERRUPTED = 130
READER_GONE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (without the program's name; None: that of the process)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    invocation.command = None
    printing.set_quiet(False)
    printing.set_verbose(False)
    if "--" in arguments:
        # COMMAND's own options must never be taken for ours.
        split = arguments.index("--")
        arguments, invocation.command = arguments[:split], arguments[split + 1 :]
        if not invocation.command:
            printing.fail("there is no COMMAND after --")
            return USAGE
    _survive_encodings()
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_stdout()
        return READER_GONE
    return code


def _run(arguments: list[str]) -> int:
    try:
        result = typer.main.get_command(app)(args=arguments, prog_name="mockrec", standalone_mode=False)
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):
            # typer's own reaction to a closed stdout; the code is ours to choose.
            raise BrokenPipeError from None
        return stop.code if isinstance(stop.code, int) else 1
    except BrokenPipeError:
        raise
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BaseException as error:
        return _tell(error)
    return result if isinstance(result, int) else 0


def _tell(error: BaseException) -> int:
    """Say what went wrong; the exit code. Errors that are meant for the user carry their own code."""
    leaves = list(_leaves(error))
    if any(isinstance(leaf, KeyboardInterrupt) for leaf in leaves):
        return INTERRUPTED
    if not all(isinstance(getattr(leaf, "exit_code", None), int) for leaf in leaves):
        _tell_defect(error)
        return _own_failure(DEFECT)
    code = max(int(getattr(leaf, "exit_code", 0)) for leaf in leaves)
    if code == READER_GONE:
        _forget_stdout()
        return code
    for leaf in leaves:
        show = getattr(leaf, "show", None)  # a usage error: it knows the command's usage line
        if show is not None:
            show()
        else:
            printing.fail(printing.escape(str(leaf), keep_lines=True))
    return _own_failure(code)


def _own_failure(code: int) -> int:
    """With a COMMAND every code may be COMMAND's, so mockrec's own failures share one that is not."""
    return code if invocation.command is None else COMMAND_NOT_RUN


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions in an exception group: task groups wrap even a single one."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _tell_defect(error: BaseException) -> None:
    from mockrec.formats.version import mockrec_version

    text = "".join(traceback.format_exception(error))
    name = printing.escape(f"{type(error).__name__}: {error}")
    try:
        with tempfile.NamedTemporaryFile(
            "w",
            prefix="mockrec-defect-",
            suffix=".txt",
            delete=False,
            encoding="utf-8",
            errors="backslashreplace",
        ) as file:
            file.write(f"mockrec {mockrec_version()}, Python {sys.version}, {sys.platform}\n\n{text}")
    except OSError:
        # No place for a file (the disk may be what is full): the terminal is better than nothing.
        printing.fail(printing.escape(text, keep_lines=True))
        printing.fail(f"a defect in mockrec: {name}; please report it with the lines above")
        return
    printing.fail(f"a defect in mockrec: {name}; please report it with {file.name}")


def _survive_encodings() -> None:
    """A stdout in ASCII or Latin-1 shows what it cannot encode as an escape instead of failing."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def _forget_stdout() -> None:
    """Nobody reads stdout any more: what is still buffered must not make the interpreter complain."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
    except (OSError, ValueError):
        pass


if __name__ == "__main__":
    sys.exit(main())
