"""What `Exchange` needs of the object that changes its response; implemented by `steps/response_layers.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from mockrec.engine.message.response import PreparedResponse

if TYPE_CHECKING:
    from mockrec.engine.exchange.exchange import Exchange


class ResponseEditor(Protocol):
    """Changes the response of one exchange, whichever step gives it. All methods may raise ValueError
    (`TransformError`)."""

    holds: bool
    """Whether it keeps the pieces of the body until the body is whole, because the change needs all of it."""

    @property
    def reads_body(self) -> bool:
        """Whether it needs the whole body, if there is one."""

    async def whole(self, exchange: Exchange, answer: PreparedResponse) -> PreparedResponse:
        """Return the response that is sent instead of a whole one."""

    async def begun(
        self, exchange: Exchange, answer: PreparedResponse, length: int | None
    ) -> tuple[PreparedResponse, int | None] | None:
        """Return the head and length that are sent instead of those of a body in pieces; None if it `holds` the
        response from now on."""

    def take(self, data: bytes) -> None:
        """Keep a piece of a body that it holds."""

    async def complete(self, exchange: Exchange, trailers: Sequence[Sequence[str]]) -> None:
        """The body that it holds is whole: change it, and send the response."""

    def upgrade(self, fields: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
        """Return the fields that are sent in a head that accepts a WebSocket."""
