"""Servers whose TLS fails, for runs in which clients are to see such failures (`--transparent`).

A certificate of ours would vouch for such a server. So before the client's handshake we connect to the server; if its
certificate is not valid, the connection is relayed unread, and the client judges the server itself.
"""

from __future__ import annotations

from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.message.target_uri import ConnectionContext
from mockrec.engine.server.context import ServerContext
from mockrec.engine.server.tls import ReceivedHello
from mockrec.engine.tls.client import CERTIFICATE_CODES
from mockrec.engine.upstream.errors import TLS_FAILED, UpstreamError
from mockrec.engine.upstream.protocols import offered
from mockrec.engine.upstream.route import Route
from mockrec.engine.wire.urls import DEFAULT_PORTS

_TLS_CODES = CERTIFICATE_CODES | {TLS_FAILED}


async def find_tls_failure(
    context: ServerContext, client: ClientConnection, connection_context: ConnectionContext, received: ReceivedHello
) -> UpstreamError | None:
    """Connect to the server of a tunnel as the client's first request will, and return what is wrong with its TLS.

    Return None if TLS is good, in which case the connection is kept for that request; if the server cannot be reached,
    which the response to the request will say; and if a rule might answer instead of the server.
    """
    target = connection_context.tunnel
    if not context.simulates_connection_errors or context.rules.rules or target is None or received.hello is None:
        return None
    host, port = target
    settings = context.upstream_options.settings
    speaks_http2 = context.http2 and "h2" in received.hello.alpn
    alpn = offered(settings.http2, secure=True, http2=speaks_http2, in_the_clear=False, websocket=False)
    name = received.server_name or host
    route = Route(True, host, port or DEFAULT_PORTS["https"], name, context.upstream_options, alpn)
    try:
        stream = await context.upstream_client.connect(client, route, to_self=False)
    except UpstreamError as error:
        return error if error.code in _TLS_CODES else None
    context.upstream_client.keep(client, route, stream)
    return None
