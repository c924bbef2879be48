"""Passes a connection on unread: bytes both ways, counted, until both sides have ended."""

from __future__ import annotations

import anyio

from mockrec.engine.recording.connection_log import TunnelLog
from mockrec.engine.server.context import ServerContext
from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.upstream.errors import RESET, TIMED_OUT, UpstreamError
from mockrec.engine.upstream.route import Route


async def relay(site: ServerContext, client: ByteStream, first: bytes, route: Route, tunnel: TunnelLog) -> None:
    """Connect to the server and pass everything on, beginning with `first`. The client's pipe is left to the caller."""
    errors: list[str] = []
    server: ByteStream | None = None
    try:
        if site.upstream_client.dialer.is_ours(client.peer, client.local):
            raise UpstreamError("ERR_PASSTHROUGH_LOOP", "that is this recorder itself")
        server = (await site.upstream_client.dialer.dial(route, client.peer[0])).byte_stream
        tunnel.data("received", first)
        await server.send(first)
        await _both_ways(site, client, server, tunnel, errors)
    except UpstreamError as error:
        errors.append(error.code)
        client.reset()
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        errors.append(RESET)
        client.reset()
    finally:
        tunnel.closed(*errors)
        if server is not None:
            site.upstream_client.dialer.forget(server)
            server.close()


async def _both_ways(
    site: ServerContext, client: ByteStream, server: ByteStream, tunnel: TunnelLog, errors: list[str]
) -> None:
    backpressure, seconds = site.backpressure, site.timeouts.body_idle
    half_closed: list[bool] = []
    """Set once one side has ended: the other may go on as long as it has something to say."""
    async with anyio.create_task_group() as group:

        def left() -> None:
            group.cancel_scope.deadline = anyio.current_time() + seconds

        async def copy(source: ByteStream, sink: ByteStream, received: bool) -> None:
            try:
                while True:
                    if backpressure.behind:
                        await backpressure.wait_for_room()
                    try:
                        data = await source.receive()
                    except anyio.EndOfStream:
                        await sink.send_eof()
                        half_closed.append(received)
                        group.cancel_scope.deadline = anyio.current_time() + seconds
                        return
                    if half_closed:
                        group.cancel_scope.deadline = anyio.current_time() + seconds
                    tunnel.data("received" if received else "sent", data)
                    source.on_disconnect(left)  # nobody reads it meanwhile
                    await sink.send(data)
                    source.on_disconnect(None)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                if not errors:
                    errors.append(RESET)
                # One side has broken off: so does the other.
                source.reset()
                sink.reset()
                group.cancel_scope.cancel()

        group.start_soon(copy, client, server, True)
        group.start_soon(copy, server, client, False)
    if group.cancel_scope.cancelled_caught and not errors:
        errors.append(TIMED_OUT)
        client.reset()
        server.reset()
