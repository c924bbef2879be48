"""Gives the blocks of a session to workers, and returns the results in the order of the blocks."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

from mockrec.formats.workers.cpus import processes
from mockrec.formats.workers.process import WorkerProcess, can_start

Result = TypeVar("Result")

START_SECONDS = 0.4
"""CPU time of this process before workers are started: as much as their start takes."""
_AHEAD = 2
"""Blocks that each worker has or will have next."""
_WAITING = 16
"""Results that may wait for an earlier one."""
_LARGE = 8 * 1024 * 1024
"""Bytes of a block that is not given away: with its result, it would be in memory several times."""
_HELD = 64 * 1024 * 1024
"""Bytes of blocks that wait, or whose results do."""
_IN_VAIN = 8
"""Blocks without a result, after which no further block is given away."""


class BlockWorkers(Generic[Result]):
    """Does the same work on each block of one session. Used by one thread; a context manager."""

    def __init__(
        self,
        function: str,
        read: Callable[[bytes], Result],
        alone: Callable[[bytes], Result],
        *,
        workers: int | None = None,
        after: float | None = None,
    ) -> None:
        """`function` (MODULE:FUNCTION, bytes to bytes) does the work in a worker, and `read` makes the result of what
        it returns. `alone` does the same in this process. `workers`: how many processes besides this one; by default
        as many as the machine has cores for. `after`: seconds of CPU time of this process before they are started.
        """
        self._function = function
        self._read = read
        self._alone = alone
        self._wanted = (processes() - 1 if workers is None else workers) if can_start() else 0
        self._after = START_SECONDS if after is None else after
        self._began: float | None = None
        """This process's CPU time when the first block was added."""
        self._pool: ThreadPoolExecutor | None = None
        self._idle: deque[WorkerProcess] = deque()
        self._workers: list[WorkerProcess] = []
        self._in_vain = 0
        self._waiting: deque[tuple[bytes, Future[bytes | None] | Result | Exception]] = deque()
        """Each block with its result, or where that will be; in order."""

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
        if len(block) < _LARGE and self._is_free():
            self._give(block)
        else:
            self._waiting.append((block, self._by_itself(block)))
        is_much = len(block) + sum(len(other) for other, _ in self._waiting) > _HELD
        return self._ended(most=0 if is_much else _WAITING)

    def rest(self) -> Iterator[tuple[bytes, Result]]:
        """Return all other blocks with their results; the iteration raises as that of `add` does."""
        return self._ended(most=0)

    def close(self) -> None:
        """End the workers; results that were not returned are lost."""
        for worker in self._workers:
            worker.close()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.close()  # one that was being started

    def _is_free(self) -> bool:
        """Whether a worker can take the next block."""
        if not self._wanted or self._in_vain >= _IN_VAIN:
            return False
        if self._pool is None:
            if self._began is None:
                self._began = time.process_time()
            if time.process_time() - self._began < self._after:
                return False
            self._pool = ThreadPoolExecutor(self._wanted, thread_name_prefix="mockrec-worker")
            self._workers = [WorkerProcess(self._function) for _ in range(self._wanted)]
            self._idle.extend(self._workers)
        given = sum(isinstance(result, Future) and not result.done() for _, result in self._waiting)
        return given < _AHEAD * self._wanted

    def _give(self, block: bytes) -> None:
        assert self._pool is not None
        self._waiting.append((block, self._pool.submit(self._call, block)))

    def _call(self, block: bytes) -> bytes | None:
        """Runs in the pool's threads: there are as many as workers, so one is idle."""
        worker = self._idle.popleft()
        try:
            return worker.call(block)
        finally:
            self._idle.append(worker)

    def _by_itself(self, block: bytes) -> Result | Exception:
        try:
            return self._alone(block)
        except Exception as error:  # raised when the block's turn has come: an earlier one may have an error, too
            return error

    def _ended(self, *, most: int) -> Iterator[tuple[bytes, Result]]:
        """The results at the beginning of the row. At most `most` remain; for this, the first ones are waited for."""
        while self._waiting:
            block, result = self._waiting[0]
            if isinstance(result, Future):
                if not result.done() and len(self._waiting) <= most:
                    return
                result = self._result_of(block, result)
            if isinstance(result, Exception):
                raise result
            self._waiting.popleft()
            yield block, result

    def _result_of(self, block: bytes, future: Future[bytes | None]) -> Result | Exception:
        data = future.result()
        if data:
            try:
                result = self._read(data)
            except Exception:  # of a worker that is not of this version, as after an upgrade in between
                pass
            else:
                self._in_vain = 0
                return result
        self._in_vain += 1
        return self._by_itself(block)
