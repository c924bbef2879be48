"""What can go wrong on the user's side, each with the exit code it ends the command with.

A peer's fault is not an error here: it is data (a `Fault` part, a `client-error` record).
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass

_MOST_TOLD = 1000
"""Problems of a rule file that are told."""


class MockrecError(Exception):
    """Base of everything that is told to the user as one message and an exit code."""

    exit_code = 2


class ConfigError(MockrecError):
    """A setting cannot be used: a bad option, a port in use, a missing file."""


class RecordingError(MockrecError):
    """The recording could not be kept: disk full, output not writable."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a rule file. `line` and `column` count from 1."""

    file: str
    line: int
    column: int
    where: str
    """The place in the file's own terms, for example `rules[2].then.reply.status`; may be empty."""
    message: str

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        return f"{self.file}:{self.line}:{self.column}: {where}{self.message}"


class RuleFileError(MockrecError):
    """A rule file cannot be used; holds every problem that was found, in file order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        told = [str(problem) for problem in self.problems[:_MOST_TOLD]]
        if len(self.problems) > _MOST_TOLD:
            told.append(f"{self.problems[0].file}: and {len(self.problems) - _MOST_TOLD:,} more problems")
        super().__init__("\n".join(told))


def described(error: BaseException) -> dict[str, str]:
    """An exception as the log holds it, with its traceback."""
    return {
        "name": type(error).__name__,
        "message": str(error),
        "stack": "".join(traceback.format_exception(error)),
    }
