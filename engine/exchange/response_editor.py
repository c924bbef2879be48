"""What an exchange needs of whoever changes its answers; `steps/answer_changes.py` does that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from mockrec.engine.message.response import PreparedResponse

if TYPE_CHECKING:
    from mockrec.engine.exchange.exchange import Exchange


class ResponseEditor(Protocol):
    """Changes the answer to one exchange, whatever gives it. All of it may raise ValueError (`TransformError`)."""

    holds: bool
    """Whether pieces of a body are kept until it is whole, because the change needs that."""

    @property
    def reads_body(self) -> bool:
        """Whether it needs the whole body, where there is one."""

    async def whole(self, exchange: Exchange, answer: PreparedResponse) -> PreparedResponse:
        """The answer that is sent instead of a whole one."""

    async def begun(
        self, exchange: Exchange, answer: PreparedResponse, length: int | None
    ) -> tuple[PreparedResponse, int | None] | None:
        """The same for a head whose body follows in pieces; None where it `holds` them from now on."""

    def take(self, data: bytes) -> None:
        """A piece of a body that is held."""

    async def complete(self, exchange: Exchange, trailers: Sequence[Sequence[str]]) -> None:
        """The body that was held is whole: change it, and send it."""

    def upgrade(self, fields: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
        """The fields of a head that accepts a WebSocket."""
