"""Gives the blocks of a session to workers, and returns the results in the order of the blocks."""

from __future__ import annotations

import os
import stat
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from mockrec.formats.workers.cpus import processes
from mockrec.formats.workers.pool import WorkerPool, can_start

Result = TypeVar("Result")

START_SECONDS = 0.4
"""CPU time of this process before workers are started: as much as their start takes."""
_LARGE_FILE = 128 * 1024 * 1024
"""Bytes of a file for which workers are started at once."""
_WAITING = 16
"""Results that may wait for an earlier one."""
_LARGE = 8 * 1024 * 1024
"""Bytes of a block that is not given away: with its result, it would be in memory several times."""
_HELD = 64 * 1024 * 1024
"""Bytes of blocks that wait, or whose results do."""
PATIENCE = 0.05
"""Seconds that this process waits for a worker before it does the same work: it may be stopped, or the machine busy."""
_IN_VAIN = 8
"""Blocks without a result, after which no further block is given away."""


class _Block(Generic[Result]):
    """A block, and its result as soon as there is one."""

    __slots__ = ("data", "result")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.result: Result | Exception | object | None = _NONE_YET


_NONE_YET = object()


class BlockWorkers(Generic[Result]):
    """Does the same work on each block of one session. Used by one thread; a context manager."""

    def __init__(
        self,
        function: str,
        read: Callable[[bytes], Result],
        alone: Callable[[bytes], Result],
        *,
        source: str = "",
        workers: int | None = None,
        after: float | None = None,
    ) -> None:
        """`function` (MODULE:FUNCTION, bytes to bytes) does the work in a worker, and `read` makes the result of what
        it returns. `alone` does the same in this process. `source` is the file that the blocks are of, if it is known.
        `workers`: how many processes besides this one; by default as many as the machine has cores for. `after`:
        seconds of CPU time of this process before they are started.
        """
        self._function = function
        self._read = read
        self._alone = alone
        self._source = source
        self._wanted = (processes() - 1 if workers is None else workers) if can_start() else 0
        self._after = after
        self._began: float | None = None
        """This process's CPU time when the first block was added."""
        self._pool: WorkerPool | None = None
        self._in_vain = 0
        self._given: dict[int, _Block[Result]] = {}
        """The blocks in slots, by the number of the slot."""
        self._waiting: deque[_Block[Result]] = deque()
        """All blocks that were not returned, in order."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def results(self, blocks: Iterable[bytes]) -> Iterator[tuple[bytes, Result]]:
        """Yield each block with its result. Raises what `alone` raises, when the block's turn has come."""
        for block in blocks:
            yield from self.add(block)
        yield from self.rest()

    def add(self, block: bytes) -> Iterator[tuple[bytes, Result]]:
        """Add the next block. Return the blocks that have a result by now, up to the first that has none yet.

        The iteration raises what `alone` raises, when that block's turn has come.
        """
        added = _Block[Result](block)
        if len(block) >= _LARGE or not self._give(added):
            self._work_on(added)
        self._waiting.append(added)
        is_much = sum(len(other.data) for other in self._waiting) > _HELD
        return self._ended(most=0 if is_much else _WAITING)

    def rest(self) -> Iterator[tuple[bytes, Result]]:
        """Return all other blocks with their results; the iteration raises as that of `add` does."""
        return self._ended(most=0)

    def close(self) -> None:
        """End the workers; results that were not returned are lost."""
        self._wanted = 0
        self._given.clear()
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def _give(self, block: _Block[Result]) -> bool:
        """Put a block into a slot, for which this process works on the oldest one if all are taken."""
        if not self._is_worth():
            return False
        self._collect()
        while self._pool is not None and self._in_vain < _IN_VAIN:
            try:
                number = self._pool.put(block.data)
            except OSError:
                self.close()
                return False
            if number is not None:
                self._given[number] = block
                return True
            if not self._work_on_oldest():
                return False
        return False

    def _is_worth(self) -> bool:
        """Whether workers have been started, or now are."""
        if self._pool is not None:
            return True
        if not self._wanted:
            return False
        if self._began is None:
            self._began = time.process_time()
            if self._after is None:
                self._after = 0 if _is_large_file(self._source) else START_SECONDS
        if time.process_time() - self._began < (self._after or 0):
            return False
        try:
            self._pool = WorkerPool(self._function, self._wanted)
        except OSError:
            self._wanted = 0
        return self._pool is not None

    def _collect(self, *, wait: float = 0) -> bool:
        """Take the results that workers have made; wait so many seconds for the first one. False: there was none."""
        if self._pool is None:
            return True
        try:
            found = self._pool.results(wait=wait)
            for number, data in found:
                block = self._given.pop(number)
                if block.result is _NONE_YET:  # this process has not done the same work meanwhile
                    self._take(block, data)
        except (OSError, LookupError):  # it was killed; LookupError: it names a slot that it was not given
            self.close()
            return True
        return bool(found)

    def _take(self, block: _Block[Result], data: bytes) -> None:
        if data:
            try:
                block.result = self._read(data)
            except Exception:  # of a worker that is not of this version, as after an upgrade in between
                pass
            else:
                self._in_vain = 0
                return
        self._in_vain += 1
        self._work_on(block)

    def _work_on_oldest(self) -> bool:
        """Work on the oldest block that no worker has begun; False if there is none."""
        number = None if self._pool is None else self._pool.claim()
        if number is None:
            return False
        self._work_on(self._given.pop(number))
        return True

    def _work_on(self, block: _Block[Result]) -> None:
        try:
            block.result = self._alone(block.data)
        except Exception as error:  # raised when the block's turn has come: an earlier one may have an error, too
            block.result = error

    def _ended(self, *, most: int) -> Iterator[tuple[bytes, Result]]:
        """The results at the beginning of the row. At most `most` remain; for this, the first ones are waited for."""
        while self._waiting:
            first = self._waiting[0]
            if first.result is _NONE_YET and self._pool is not None:
                if len(self._waiting) <= most:
                    return
                if not self._work_on_oldest() and not self._collect(wait=PATIENCE):
                    self._work_on(first)
                continue
            if first.result is _NONE_YET:
                self._work_on(first)
            result: Any = first.result
            if isinstance(result, Exception):
                raise result
            self._waiting.popleft()
            yield first.data, result


def _is_large_file(path: str) -> bool:
    try:
        known = os.stat(path)
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(known.st_mode) and known.st_size >= _LARGE_FILE
