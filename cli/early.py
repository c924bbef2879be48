"""Ends the process at once on SIGINT or SIGTERM while the rest of the program is imported.

Imports only modules that the interpreter has loaded already: before this runs, a Ctrl-C prints a traceback.
"""

import _signal  # type: ignore[import-not-found] # the C half of `signal`, whose other half takes its time
from os import _exit

_before: dict[int, object] = {}


def _leave(number, frame):  # type: ignore[no-untyped-def] # `typing` costs as much as all of this
    _exit(128 + number)


def begin() -> None:
    """Exit at a signal from now on, unless the signal already has another handler or is ignored."""
    for number in (_signal.SIGINT, _signal.SIGTERM):
        found = _signal.getsignal(number)
        if found in (_signal.default_int_handler, _signal.SIG_DFL):
            try:
                _signal.signal(number, _leave)
            except ValueError:  # not in the main thread, which alone receives signals
                return
            _before[number] = found


def end() -> None:
    """Restore the signals: everything is imported."""
    while _before:
        number, found = _before.popitem()
        if _signal.getsignal(number) is _leave:
            _signal.signal(number, found)
