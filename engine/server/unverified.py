"""Servers whose TLS fails, where clients are to see how servers fail: they get the server's certificate, never ours.

A certificate of ours for such a server would vouch for it. So before the client's handshake the server is asked for its
own; when that is not good, the connection is passed on unread, and the client judges the server itself.
"""

from __future__ import annotations

from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.message.target_uri import ConnectionContext
from mockrec.engine.server.context import ServerContext
from mockrec.engine.server.tls import Hello
from mockrec.engine.tls.client import CERTIFICATE_CODES
from mockrec.engine.upstream.errors import TLS_FAILED, UpstreamError
from mockrec.engine.upstream.protocols import offered
from mockrec.engine.upstream.route import Route
from mockrec.engine.wire.urls import DEFAULT_PORTS

_TLS_CODES = CERTIFICATE_CODES | {TLS_FAILED}


async def find_tls_failure(
    site: ServerContext, peer: ClientConnection, origin: ConnectionContext, hello: Hello
) -> UpstreamError | None:
    """Connect to the server that a tunnel is for, as the client's first request will; what is wrong with its TLS.

    The connection is kept for that request. None where TLS is good, where the server cannot be reached (which the
    client is shown with its request), and where a rule might answer instead of the server.
    """
    if not site.shows_failures or site.rules.rules or origin.tunnel is None or hello.read is None:
        return None
    host, port = origin.tunnel
    settings = site.options.settings
    speaks_http2 = site.http2 and "h2" in hello.read.alpn
    alpn = offered(settings.http2, secure=True, http2=speaks_http2, in_the_clear=False, websocket=False)
    route = Route(True, host, port or DEFAULT_PORTS["https"], hello.server_name or host, site.options, alpn)
    try:
        carrier = await site.upstream_client.connect(peer, route, to_self=False)
    except UpstreamError as error:
        return error if error.code in _TLS_CODES else None
    site.upstream_client.keep(peer, route, carrier)
    return None
