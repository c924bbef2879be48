"""Who may use this recorder as a proxy: the credentials of requests (RFC 7617), of tunnels, and of SOCKS clients."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping
from typing import Any, Final

from mockrec.engine.message.target_uri import ConnectionContext, TargetUri
from mockrec.engine.server.admission import scope_credentials
from mockrec.engine.server.context import ServerContext
from mockrec.engine.wire.parts import RequestHead
from mockrec.engine.wire.socks.server import METADATA_USER, read_metadata_tags

AUTH_REQUIRED: Final = "ERR_PROXY_AUTH_REQUIRED"


def authenticate(
    context: ServerContext, connection_context: ConnectionContext, target_uri: TargetUri, head: RequestHead
) -> tuple[str, ...] | None:
    """Return the tags that its credentials give a single request, or None if a password is required and missing.

    For every request but CONNECT. The tags hold for this request only.
    """
    auth = context.proxy_auth
    if auth is None and not target_uri.is_absolute:
        return ()
    if auth is not None and (connection_context.tunnel is not None or not context.is_proxy_request(target_uri)):
        auth = None  # the tunnel was authenticated, or the request is for this recorder itself
    if not target_uri.is_absolute and auth is None:
        return ()
    return proxy_tags(head.headers, auth, has_scopes=context.control is not None)


def proxy_tags(
    headers: Mapping[str, Any], auth: tuple[str, str] | None, *, has_scopes: bool = False
) -> tuple[str, ...] | None:
    """Return the tags that `Proxy-Authorization` gives a client, or None if the client must not use the proxy.

    With the user `metadata` the password is JSON about the client, whose `tags` go to all its events. `has_scopes`: a
    user name may be that of a scope, so only its password is compared.
    """
    if has_scopes and (scoped := scope_credentials(headers)) is not None:
        return () if auth is None or is_allowed((auth[0].encode(), scoped[1]), auth) else None
    given = _credentials(headers.get("proxy-authorization", ""))
    if auth is not None:
        return () if given is not None and is_allowed(given, auth) else None
    if given is None or given[0] != METADATA_USER:
        return ()
    return read_metadata_tags(given[1]) or ()


def socks_authenticator(auth: tuple[str, str] | None) -> Callable[[bytes, bytes], bool] | None:
    """The check of the user name and password of a SOCKS client; None if none are required."""
    return None if auth is None else lambda user, password: is_allowed((user, password), auth)


def is_allowed(given: tuple[bytes, bytes], auth: tuple[str, str]) -> bool:
    """Whether user and password are right; the time that this takes does not depend on how wrong they are."""
    user = hmac.compare_digest(given[0], auth[0].encode())
    password = hmac.compare_digest(given[1], auth[1].encode())
    return user and password


def _credentials(header: str) -> tuple[bytes, bytes] | None:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon else None
