"""Relays a connection unread: copies and counts bytes in both directions until both sides have ended."""

from __future__ import annotations

import anyio

from mockrec.engine.recording.connection_log import TunnelLog
from mockrec.engine.server.context import ServerContext
from mockrec.engine.transport.byte_stream import ByteStream
from mockrec.engine.upstream.errors import RESET, TIMED_OUT, UpstreamError
from mockrec.engine.upstream.route import Route


async def relay(context: ServerContext, client: ByteStream, first: bytes, route: Route, log: TunnelLog) -> None:
    """Connect to the server, send `first`, and copy in both directions. The caller closes the client's stream."""
    errors: list[str] = []
    server: ByteStream | None = None
    dialer = context.upstream_client.dialer
    try:
        if dialer.is_ours(client.peer, client.local):
            raise UpstreamError("ERR_PASSTHROUGH_LOOP", "that is this recorder itself")
        server = (await dialer.dial(route, client.peer[0])).byte_stream
        log.data("received", first)
        await server.send(first)
        await _copy_both(context, client, server, log, errors)
    except UpstreamError as error:
        errors.append(error.code)
        client.reset()
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        errors.append(RESET)
        client.reset()
    finally:
        log.closed(*errors)
        if server is not None:
            dialer.forget(server)
            server.close()


async def _copy_both(
    context: ServerContext, client: ByteStream, server: ByteStream, log: TunnelLog, errors: list[str]
) -> None:
    """Copy until both directions have ended; add the code of an error to `errors`."""
    backpressure, seconds = context.backpressure, context.timeouts.body_idle
    is_half_closed = False
    """Whether one side has ended; the other one may send as long as it is never idle for `seconds`."""
    async with anyio.create_task_group() as group:

        def restart_deadline() -> None:
            group.cancel_scope.deadline = anyio.current_time() + seconds

        async def copy(source: ByteStream, sink: ByteStream, received: bool) -> None:
            nonlocal is_half_closed
            try:
                while True:
                    if backpressure.behind:
                        await backpressure.wait_for_room()
                    try:
                        data = await source.receive()
                    except anyio.EndOfStream:
                        await sink.send_eof()
                        is_half_closed = True
                        restart_deadline()
                        return
                    if is_half_closed:
                        restart_deadline()
                    log.data("received" if received else "sent", data)
                    source.on_disconnect(restart_deadline)  # while `send` waits, `source` is not read
                    await sink.send(data)
                    source.on_disconnect(None)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                if not errors:
                    errors.append(RESET)
                # One connection was lost, so the other one is reset.
                source.reset()
                sink.reset()
                group.cancel_scope.cancel()

        group.start_soon(copy, client, server, True)
        group.start_soon(copy, server, client, False)
    if group.cancel_scope.cancelled_caught and not errors:
        errors.append(TIMED_OUT)
        client.reset()
        server.reset()
