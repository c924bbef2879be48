"""Opens TCP connections to servers, with the same byte stream as those of clients."""

from __future__ import annotations

import asyncio

from mockrec.engine.transport.tcp import TcpStream
from mockrec.engine.transport.write_batch import WriteCoalescer


class Connector:
    """Opens connections whose small writes are coalesced, as those to clients are."""

    def __init__(self) -> None:
        self._coalescer: WriteCoalescer | None = None
        """Made for the first connection: it needs a running event loop."""

    async def connect(self, address: str, port: int) -> TcpStream:
        """Connect to an IP address. Raises OSError."""
        loop = asyncio.get_running_loop()
        if self._coalescer is None:
            self._coalescer = WriteCoalescer()
        coalescer = self._coalescer
        _, stream = await loop.create_connection(lambda: TcpStream(None, coalescer), address, port)
        return stream
