"""Small files of stores are fetched by threads, ahead of the reader: a store takes its time for each request."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from mockrec.formats.parquet.files_of_store import FoundSession, StoredFile

THREADS = 16
"""Requests at a time."""
AHEAD = 64
"""Sessions that are fetched before they are read."""
KEPT = 512 * 1024 * 1024
"""Bytes of small files that may stay in memory for a second reading."""


def fetched(sessions: Iterable[str], *, kept: int = 0) -> Iterator[str]:
    """Yield the sessions in order, those of stores with their small files in memory.

    They are released when the next session is taken, unless they are among the first `kept` bytes. A file that cannot
    be fetched is read without this, which raises the error where it belongs.
    """
    remaining = iter(sessions)
    waiting: deque[tuple[str, list[Future[None]]]] = deque()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="mockrec-fetch") as pool:
        try:
            while True:
                while len(waiting) < AHEAD and (session := next(remaining, None)) is not None:
                    waiting.append((session, [pool.submit(_fetch, file) for file in small_files(session)]))
                if not waiting:
                    return
                session, requests = waiting.popleft()
                for request in requests:
                    request.result()
                yield session
                for file in small_files(session):
                    kept -= file.size
                    if kept < 0:
                        file.release()
        finally:
            pool.shutdown(cancel_futures=True)


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
