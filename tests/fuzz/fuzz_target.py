"""What can be fuzzed: a function of an input that returns, or raises what nobody has documented."""

from __future__ import annotations

import signal
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import FrameType

from fuzz_mutate import MOST

CORPUS = Path(__file__).parent / "corpus"
"""What was found, in a folder for each target."""


class Hang(BaseException):
    """An input took too long. Not an Exception, so that nobody on the way takes it for a fault of the input."""


@dataclass(frozen=True)
class Target:
    """One reader of hostile bytes."""

    name: str
    run: Callable[[bytes, Random], None]
    """Gets an input and chances of its own; raises if something is wrong."""
    seeds: Sequence[bytes]
    tokens: Sequence[bytes] = ()
    most: int = MOST
    """How long inputs may become."""

    @property
    def found(self) -> list[bytes]:
        """Inputs that something was wrong with."""
        return [path.read_bytes() for path in sorted((CORPUS / self.name).glob("*")) if path.is_file()]

    def try_one(self, data: bytes) -> None:
        """Run an input; the same one has the same chances each time."""
        self.run(data, Random(zlib.crc32(data)))


@contextmanager
def time_limit(seconds: float) -> Iterator[Callable[[], None]]:
    """Hang is raised when nobody calls what is yielded for so long."""

    def late(number: int, frame: FrameType | None) -> None:
        raise Hang

    def begin() -> None:
        signal.setitimer(signal.ITIMER_REAL, seconds)

    before = signal.signal(signal.SIGALRM, late)
    try:
        yield begin
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
