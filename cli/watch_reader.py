"""Reads a session for `mockrec watch`, in a thread: lines as they are written, other formats again and again."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import orjson

from mockrec.cli.watch_model import WatchModel
from mockrec.formats.schema.errors import FormatError
from mockrec.formats.select.follow import Follower
from mockrec.formats.sessions.live import recorder_of
from mockrec.formats.sessions.session import open_session

_AGAIN_FACTOR = 4.0
"""A session that has to be read again from the start is read at most a fifth of the time."""
_AGAIN_SECONDS = 0.5


class _Stopped(Exception):
    """The screen has been closed."""


class WatchReader:
    """The thread that reads."""

    def __init__(self, path: str, model: WatchModel) -> None:
        self.failure = ""
        """Why the session cannot be read; empty if it can."""
        self._path = path
        self._model = model
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mockrec-watch", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Stop reading, and wait for the thread."""
        self._stop.set()
        self._thread.join(5)

    def _wait(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise _Stopped

    def _run(self) -> None:
        try:
            if _is_lines(self._path):
                self._follow()
            else:
                self._read_again()
        except _Stopped:
            pass
        except (FormatError, OSError) as error:
            self.failure = str(error)

    def _follow(self) -> None:
        follower = Follower(self._path, _every_record(), wait=self._wait)
        for line in follower:
            self._add(line.raw, orjson.loads(line.raw))
            if self._stop.is_set():
                raise _Stopped

    def _add(self, raw: bytes, record: dict[str, Any]) -> None:
        self._model.add(raw, record)

    def _read_again(self) -> None:
        """Read a session from its start until nobody records it any more, and add what is new each time."""
        known = 0
        while True:
            is_live = bool(recorder_of(self._path))
            began, count = time.monotonic(), 0
            with open_session(self._path) as session:
                for _, record in session:
                    count += 1
                    if count > known:
                        known = count
                        self._add(orjson.dumps(record), record)
                    if self._stop.is_set():
                        raise _Stopped
            if not is_live:
                return
            self._wait(max(_AGAIN_SECONDS, _AGAIN_FACTOR * (time.monotonic() - began)))


def _every_record() -> Any:
    from mockrec.formats.query.parser import parse
    from mockrec.formats.select.inputs import EVERYTHING

    return parse(EVERYTHING, records=True)


def _is_lines(path: str) -> bool:
    from mockrec.formats.sessions.recognise import is_lines

    if Path(path).is_dir():
        return False
    with open(path, "rb") as file:
        start = file.read(256)
    return not start or is_lines(start) or start.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd"))
