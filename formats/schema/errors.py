"""Errors of reading and writing sessions, each with the exit code with which it ends a command."""

from __future__ import annotations


class FormatError(Exception):
    """Base of all errors of the formats. `str()` is a message for the user."""

    exit_code = 2


class RecordError(FormatError):
    """A record cannot be converted to a typed event: a required key is missing, or a value is no object."""


class SessionError(FormatError):
    """A session cannot be read. `line` counts from 1; 0 means the file as a whole."""

    def __init__(self, file: str, message: str, line: int = 0) -> None:
        self.file = file
        self.line = line
        self.message = message
        super().__init__(f"{file}:{line}: {message}" if line else f"{file}: {message}")


class OutputError(FormatError):
    """A session cannot be written any further. What was written before stays, in whole lines."""

    exit_code = 3

    def __init__(self, file: str, message: str) -> None:
        self.file = file
        self.message = message
        super().__init__(f"cannot write {file}: {message}")


class OutputExistsError(OutputError):
    """The output exists and may only be replaced with --force. This is wrong usage; nothing was changed."""

    exit_code = 2

    def __init__(self, file: str) -> None:
        super().__init__(file, "it exists already (--force overwrites it)")


class OutputBusyError(OutputError):
    """Another process is writing the output. This is wrong usage, as a port in use is; nothing was changed."""

    exit_code = 2

    def __init__(self, file: str, who: str) -> None:
        super().__init__(file, f"{who} is writing it (wait until that has ended, or name another file)")


class OutputLostError(OutputError):
    """Another program has removed or changed the output while it was written."""

    def __init__(self, file: str, what: str, kept: str = "") -> None:
        """`what` happened to the file, for example `was removed`; `kept` is the path of a copy, if there is one."""
        self.what = what
        end = f"what was recorded until then is in {kept}" if kept else "what was recorded in it is lost"
        super().__init__(file, f"it {what} while it was being recorded; recording has stopped, {end}")


class OutputClosedError(OutputError):
    """The reader of the output (a pipe) has closed it."""

    exit_code = 141

    def __init__(self, file: str) -> None:
        super().__init__(file, "the reader went away")


def worse(before: FormatError | None, error: FormatError) -> FormatError:
    """Which of two errors to report. If a pipe was closed and a disk is full, the disk is."""
    return error if before is None or before.exit_code == OutputClosedError.exit_code else before
