"""Who may use us as a proxy for single requests (those without a tunnel)."""

from __future__ import annotations

from mockrec.engine.message.channel import ClientConnection
from mockrec.engine.message.target_uri import ConnectionContext, TargetUri
from mockrec.engine.server import tunnel
from mockrec.engine.server.context import ServerContext
from mockrec.engine.wire.parts import RequestHead


def authenticate(
    site: ServerContext, peer: ClientConnection, origin: ConnectionContext, address: TargetUri, head: RequestHead
) -> tuple[str, ...] | None:
    """The tags that its credentials give a request, which hold for it alone; None where a password is wanted."""
    auth = site.auth
    if auth is None and not address.is_absolute:
        return ()
    if auth is not None and (origin.tunnel is not None or not site.is_for_others(address, peer)):
        auth = None  # it has come through a tunnel that was admitted, or is for us
    return tunnel.admitted(head.headers, auth) if address.is_absolute or auth is not None else ()
