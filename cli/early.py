"""The very first moments: SIGINT and SIGTERM end the process at once, while the rest of the program is imported.

Imports nothing that is not there already: until this has run, a Ctrl-C is the interpreter's, which shows a traceback.
"""

import _signal  # type: ignore[import-not-found] # the C half of `signal`, whose other half takes its time
from os import _exit

_before: dict[int, object] = {}


def _leave(number, frame):  # type: ignore[no-untyped-def] # `typing` costs as much as all of this
    _exit(128 + number)


def begin() -> None:
    """Leave at a signal from now on, unless somebody has other wishes already."""
    for number in (_signal.SIGINT, _signal.SIGTERM):
        found = _signal.getsignal(number)
        if found in (_signal.default_int_handler, _signal.SIG_DFL):
            try:
                _signal.signal(number, _leave)
            except ValueError:  # not in the main thread: then signals are nothing to us
                return
            _before[number] = found


def end() -> None:
    """All is imported."""
    while _before:
        number, found = _before.popitem()
        if _signal.getsignal(number) is _leave:
            _signal.signal(number, found)
