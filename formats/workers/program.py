"""The program of a worker: takes blocks out of slots, calls one function with each, and puts in what it returns.

Started as `python -P -m mockrec.formats.workers.program MODULE:FUNCTION SLOT…`, with the file descriptors of the slots,
and with the pipe of their numbers (`slots.py`) as stdin. It writes `READY` to stdout first, so that the caller sees if
anything else in this process writes there, and then the number of each slot that has a result. A function that raises
has an empty result; the caller then does the work itself and gets the same error.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
from collections.abc import Callable, Sequence

from mockrec.formats.workers.slots import Slot, claim

READY = b"mockrec worker\n"
_COLLECT_AFTER = 100_000
"""As in the caller: a block makes many objects and no cycles."""
Work = Callable[[bytes], bytes | memoryview]


def main(name: str, slots: Sequence[Slot]) -> None:
    """Serve until stdin ends, which it does when the caller has ended, too."""
    # Ctrl-C in a terminal is for the caller, which then ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.set_threshold(_COLLECT_AFTER)
    module, _, function = name.partition(":")
    work: Work = getattr(importlib.import_module(module), function)
    gc.freeze()
    target = os.dup(1)
    os.dup2(2, 1)  # whatever else is printed
    try:
        os.write(target, READY)
        while (number := claim(0, wait=True)) is not None:
            _work_on(slots[number], work)
            os.write(target, bytes([number]))
    except OSError:  # the caller has ended, or there is no memory: it does the work itself
        return


def _work_on(slot: Slot, work: Work) -> None:
    try:
        result: bytes | memoryview = work(slot.get())
    except Exception:  # the caller repeats the work, and gets the same exception
        result = b""
    slot.put(result)


if __name__ == "__main__":
    main(sys.argv[1], [Slot(int(text)) for text in sys.argv[2:]])
