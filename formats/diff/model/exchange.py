"""An exchange as a comparison remembers it: its endpoint, its digest, and the pair that two of them make."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    Numbers: TypeAlias = array[int]
else:
    Numbers = array  # the decoder of digests evaluates annotations, and only later Pythons have `array[int]`


class Endpoint(NamedTuple):
    """Exchanges with the same purpose: method, host and path with its ids taken out."""

    method: str
    host: str
    """Empty for the recorder itself."""
    template: str
    operation: str = ""
    """The operation's name, where one URL has several."""

    def __str__(self) -> str:
        named = f" {self.operation}" if self.operation else ""
        return f"{self.method} {self.host}{self.template}{named}"


class Digest(Struct, gc=False, array_like=True):
    """What is remembered of an exchange. Contents are numbers of the spool; equal numbers are equal contents."""

    id: str
    kind: str
    """The type of the record that ended it; `open` when nothing did."""
    method: str
    url: str
    host: str = ""
    target: int = 0
    """Where in the URL path and query begin."""
    status: int | None = None
    request_body: int = 0
    """A hash of the body, equal in all processes; 0 when there is none."""
    request: int = -1
    """The whole request, only where requests are compared."""
    response: int = -1
    messages: Numbers | None = None
    """Of a WebSocket: one number a message, in order, those from the client negative (`~number`)."""
    duration: int | float | None = None
    first_byte: int | float | None = None
    """Milliseconds until the head of the response was sent."""
    replay_of: str = ""
    cut: bool = False
    """Only the beginning of the response's body was recorded."""
    marker: str = ""
    """The value of the header that pairs exchanges, where one was named."""
    scope: str = ""
    """Which test made it; empty for most exchanges."""
    endpoint: Endpoint | None = None
    operation: str = ""
    """The operation's name; empty for most exchanges."""


class Pair(NamedTuple):
    """Two exchanges that are compared."""

    a: Digest
    b: Digest
    by: str
    """Which rule paired them."""
