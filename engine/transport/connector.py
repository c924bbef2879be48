"""TCP connections to servers, on the same byte stream as those of clients."""

from __future__ import annotations

import asyncio

from mockrec.engine.transport.tcp import TransportStream
from mockrec.engine.transport.write_batch import WriteCoalescer


class Connector:
    """Opens connections; small writes of one turn of the loop leave together, as towards clients."""

    def __init__(self) -> None:
        self._outbox: WriteCoalescer | None = None

    async def connect(self, address: str, port: int) -> TransportStream:
        """Connect to an IP address. Raises OSError."""
        loop = asyncio.get_running_loop()
        if self._outbox is None:
            self._outbox = WriteCoalescer()
        outbox = self._outbox
        _, stream = await loop.create_connection(lambda: TransportStream(None, outbox), address, port)
        return stream
