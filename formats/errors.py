"""Public name of `mockrec.formats.schema.errors`: the exceptions that reading and writing a session raise."""

from mockrec.formats.schema.errors import (
    FormatError,
    OutputBusyError,
    OutputClosedError,
    OutputError,
    OutputExistsError,
    OutputLostError,
    RecordError,
    SessionError,
)

__all__ = [
    "FormatError",
    "OutputBusyError",
    "OutputClosedError",
    "OutputError",
    "OutputExistsError",
    "OutputLostError",
    "RecordError",
    "SessionError",
]
