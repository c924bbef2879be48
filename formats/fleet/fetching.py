"""Sessions are prepared by threads, ahead of the reader.

A store takes its time for each request, so small files are fetched first. Then the reader's own work on the session is
done, side by side with that on others: pyarrow reads columns without Python's lock.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from mockrec.formats.parquet.files_of_store import FoundSession, StoredFile

THREADS = 16
"""Requests at a time."""
WORKERS = min(4, os.cpu_count() or 1)
"""Sessions that are worked on at a time. More would wait for Python's lock."""
AHEAD = 64
"""Sessions that are prepared before they are read."""
KEPT = 512 * 1024 * 1024
"""Bytes of small files that may stay in memory for a second reading."""

T = TypeVar("T")


def fetched(sessions: Iterable[str], *, kept: int = 0) -> Iterator[str]:
    """Yield the sessions in order, those of stores with their small files in memory; see `prepared`."""
    for session, _ in prepared(sessions, _nothing, kept=kept):
        yield session


def prepared(
    sessions: Iterable[str], work: Callable[[int, str], T], *, kept: int = 0
) -> Iterator[tuple[str, Future[T]]]:
    """Yield the sessions in order, each with the result of `work` on its number and itself, which may be an error.

    Small files of stores are in memory meanwhile, and released when the next session is taken, unless they are among
    the first `kept` bytes. A file that cannot be fetched is read without this, which raises the error where it belongs.
    """
    remaining = enumerate(sessions)
    waiting: deque[tuple[str, Future[T]]] = deque()
    with (
        ThreadPoolExecutor(THREADS, thread_name_prefix="mockrec-fetch") as fetchers,
        ThreadPoolExecutor(WORKERS, thread_name_prefix="mockrec-read") as workers,
    ):
        try:
            while True:
                while len(waiting) < AHEAD and (following := next(remaining, None)) is not None:
                    number, session = following
                    requests = [fetchers.submit(_fetch, file) for file in small_files(session)]
                    waiting.append((session, workers.submit(_work, requests, work, number, session)))
                if not waiting:
                    return
                session, done = waiting.popleft()
                done.exception()
                yield session, done
                for file in small_files(session):
                    kept -= file.size
                    if kept < 0:
                        file.release()
        finally:
            workers.shutdown(wait=False, cancel_futures=True)
            fetchers.shutdown(wait=False, cancel_futures=True)


def _work(requests: Sequence[Future[None]], work: Callable[[int, str], T], number: int, session: str) -> T:
    for request in requests:
        request.result()
    return work(number, session)


def _nothing(_number: int, _session: str) -> None:
    pass


def small_files(session: str) -> list[StoredFile]:
    """Return the files of a session that are fetched whole."""
    return [file for file in session.files if file.is_small] if isinstance(session, FoundSession) else []


def release(session: str) -> None:
    """Forget the content of a session's files."""
    for file in small_files(session):
        file.release()


def _fetch(file: StoredFile) -> None:
    try:
        file.fetch()
    except OSError:
        pass
