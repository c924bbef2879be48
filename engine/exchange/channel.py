"""What an exchange needs of its connection, whatever the protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mockrec.engine.wire.parts import ResponseHead


@dataclass(frozen=True, slots=True)
class Peer:
    """The client end of a connection, as every event of the connection names it."""

    connection_id: str
    ip: str
    port: int
    local_port: int


class Channel(Protocol):
    """The answering side of one exchange.

    The sends wait while the client is slow and raise anyio.BrokenResourceError when it has gone.
    """

    @property
    def framing_key(self) -> object:
        """Two requests with an equal key get the same framing for the same answer."""

    @property
    def bodiless(self) -> bool:
        """Whether the answer has no body on the wire whatever it says (HEAD)."""

    def frame(
        self, status: int, reason: str, headers: Sequence[tuple[str, str]], length: int | None, date: str
    ) -> ResponseHead:
        """The final head with everything the protocol adds; `length` None: not known yet."""

    async def send_interim(self, status: int, reason: str, headers: Sequence[Sequence[str]]) -> None:
        """A 1xx."""

    async def send_whole(self, head: ResponseHead, body: bytes, trailers: Sequence[Sequence[str]]) -> None:
        """Head, body and end in one write."""

    async def send_head(self, head: ResponseHead) -> None:
        """A head whose body follows."""

    async def send_data(self, data: bytes) -> None:
        """A piece of the body."""

    async def send_end(self, trailers: Sequence[Sequence[str]]) -> None:
        """The end of the body."""

    async def send_raw(self, data: bytes) -> None:
        """Bytes past the protocol; the connection ends after this exchange."""

    def close(self) -> None:
        """End the connection with FIN after this exchange."""

    def reset(self) -> None:
        """End the connection with RST, now."""
