"""The exit codes, each with its meaning. docs/reference/exit-codes.md is generated from this file.

Errors for the user carry theirs (`exit_code`); all of those codes are listed here too.
"""

from __future__ import annotations

from typing import Final

DONE: Final = 0
"""Done. A `run` that was stopped by Ctrl-C or SIGTERM has done its work too; a session that was cut off is a warning
only, except for `verify`."""
NO: Final = 1
"""The answer is no: `diff` or `replay --diff` found a difference, `verify` found something, `filter -e` nothing;
`--strict` found an unused rule, an unmatched request, a miss or an unused recording; a request of `replay --to` has no
complete answer."""
USAGE: Final = 2
"""Wrong usage, rule file, handlers, filter expression or input file, an output that exists, a port in use, sessions
that cannot be compared. The message names the place and the reason."""
RECORDING_FAILED: Final = 3
"""The recording could not be kept: the disk is full, or an output cannot be written."""
SKIPPED: Final = 4
"""Done, but not with all sessions: of those that a pattern, a folder or a list stands for, some could not be read. Each
is named with the reason."""
DEFECT: Final = 70
"""A defect in mockrec. The message names a file with the traceback, and where to report it."""
COMMAND_NOT_RUN: Final = 125
"""With COMMAND (`run` and `replay --serve`): a failure of mockrec itself, whichever of the above. Every other code is
COMMAND's own, 128+N when signal N ended it, or the 1 of `--strict`."""
NOT_EXECUTABLE: Final = 126
"""With COMMAND: COMMAND is there and cannot be executed."""
NOT_FOUND: Final = 127
"""With COMMAND: there is no such COMMAND."""
INTERRUPTED: Final = 130
"""Interrupted by Ctrl-C: any command that had not done its work; a `run` only before it was ready."""
READER_GONE: Final = 141
"""The reader of stdout, or of an output that is a named pipe, went away."""
TERMINATED: Final = 143
"""The same for SIGTERM."""
