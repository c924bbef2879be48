"""The worker processes of one command, and the slots by which they get blocks and return results."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
from collections import deque

from mockrec.formats.workers.program import READY
from mockrec.formats.workers.slots import Slot, claim, new_slot

_SLOTS = 4
"""Slots besides two for each worker: so much work is at hand while this process does something else."""
_KEPT = 8 * 1024 * 1024
"""Bytes of memory that an empty slot may keep."""


class WorkerPool:
    """Processes that call a function with blocks, each as soon as it has time. Used by one thread.

    Methods raise `OSError` after a process has ended, or where memory is short. Then the pool is of no use.
    """

    def __init__(self, function: str, count: int) -> None:
        """Start `count` processes. `function` is named as MODULE:FUNCTION; it takes and returns bytes."""
        self.processes: list[subprocess.Popen[bytes]] = []
        self._slots: list[Slot] = []
        self._selector = selectors.DefaultSelector()
        self._greetings: dict[int, bytes] = {}
        """What each process that is still starting has to write, by its pipe."""
        self._numbers: tuple[int, ...] = ()
        """The two ends of the pipe with the numbers of slots that hold a block."""
        try:
            self._numbers = os.pipe()
            os.set_blocking(self._numbers[0], False)
            for _ in range(_SLOTS + 2 * count):
                self._slots.append(new_slot())
            self._free = deque(range(len(self._slots)))
            for _ in range(count):
                self._start(function)
        except BaseException:
            self.close()
            raise

    def _start(self, function: str) -> None:
        slots = [slot.number for slot in self._slots]
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mockrec.formats.workers.program", function, *map(str, slots)],
            stdin=self._numbers[0],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=slots,
        )
        self.processes.append(process)
        assert process.stdout is not None
        pipe = process.stdout.fileno()
        self._greetings[pipe] = READY
        self._selector.register(pipe, selectors.EVENT_READ)

    def put(self, block: bytes) -> int | None:
        """Let the processes work on a block. Return the number of its slot; None if all slots are taken."""
        if not self._free:
            return None
        number = self._free[0]
        self._slots[number].put(block)
        os.write(self._numbers[1], bytes([number]))
        return self._free.popleft()

    def claim(self) -> int | None:
        """Return the slot of the oldest block that no process has begun, and free it; None if there is none."""
        number = claim(self._numbers[0])
        if number is not None:
            self._free.append(number)
        return number

    def results(self, *, wait: float = 0) -> list[tuple[int, bytes]]:
        """Return the results that are there, each with the number of its slot, which is free then.

        An empty one means that the caller has to do the work. `wait`: wait for the first one, at most so many seconds.
        """
        found: list[tuple[int, bytes]] = []
        for key, _ in self._selector.select(wait):
            data = os.read(key.fd, 4096)
            if not data:
                raise OSError("a worker has ended")
            for number in self._after_greeting(key.fd, data):
                slot = self._slots[number]
                result = slot.get()
                slot.shrink(_KEPT)
                self._free.append(number)
                found.append((number, result))
        return found

    def _after_greeting(self, pipe: int, data: bytes) -> bytes:
        missing = self._greetings.get(pipe, b"")
        expected, self._greetings[pipe] = missing[: len(data)], missing[len(data) :]
        if not data.startswith(expected):
            raise OSError("a worker writes something else")
        return data[len(expected) :]

    def close(self) -> None:
        """End the processes; what they have not returned is lost."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
        self._selector.close()
        for number in (*self._numbers, *(slot.number for slot in self._slots)):
            os.close(number)
        self._numbers = ()
        self._slots = []


def can_start() -> bool:
    """Return whether this Python can be started again: not if it is part of a frozen or another program.

    On Windows, a process inherits no files by their numbers.
    """
    return os.name == "posix" and bool(sys.executable) and not getattr(sys, "frozen", False)
