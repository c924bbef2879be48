"""Errors that end a command with a message, each with its exit code.

What a client or a server does wrong is not such an error but data: a `Fault` part, a `client-error` record.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence

import msgspec

_MOST_LISTED = 1000
"""Problems of a rule file that a message lists."""


class MockrecError(Exception):
    """Base of errors that the user gets as one message and an exit code."""

    exit_code = 2


class ConfigError(MockrecError):
    """A setting cannot be used: a bad option, a port in use, a missing file."""


class IsolationError(MockrecError):
    """COMMAND cannot be given a network of its own."""


class RecordingError(MockrecError):
    """The recording could not be written: disk full, output not writable."""

    exit_code = 3


class Problem(msgspec.Struct, frozen=True):
    """One mistake in a rule file. `line` and `column` count from 1."""

    file: str
    line: int
    column: int
    where: str
    """The path in the document, for example `rules[2].then.reply.status`; may be empty."""
    message: str

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        return f"{self.file}:{self.line}:{self.column}: {where}{self.message}"


class RuleFileError(MockrecError):
    """A rule file cannot be used; has every problem that was found, in file order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [str(problem) for problem in self.problems[:_MOST_LISTED]]
        if len(self.problems) > _MOST_LISTED:
            lines.append(f"{self.problems[0].file}: and {len(self.problems) - _MOST_LISTED:,} more problems")
        super().__init__("\n".join(lines))


def described(error: BaseException) -> dict[str, str]:
    """An exception as records have it, with its traceback."""
    return {
        "name": type(error).__name__,
        "message": str(error),
        "stack": "".join(traceback.format_exception(error)),
    }
