"""The protocols that a server is offered: by `upstream.http2`, the client's protocol, and TLS."""

from __future__ import annotations

from mockrec.engine.upstream.route import HTTP1_ONLY, HTTP2_FIRST, HTTP2_ONLY

NEVER = "false"
PRIOR_KNOWLEDGE = "prior-knowledge"


def offered(mode: str, *, secure: bool, http2: bool, in_the_clear: bool, websocket: bool) -> tuple[bytes, ...]:
    """The protocols for `Route.alpn`. Over TLS the server chooses one of them (RFC 7301).

    Without TLS nothing is negotiated (RFC 9113, 3.3): `h2` alone is spoken at once; if `http/1.1` follows it, the
    preface of HTTP/2 is tried first; an empty result means HTTP/1.1. `http2`: the client speaks HTTP/2;
    `in_the_clear`: it does so without TLS, because it knows that its server does.
    """
    if mode == NEVER:
        return HTTP1_ONLY if secure else ()
    if mode == PRIOR_KNOWLEDGE:
        if not secure:
            return HTTP2_ONLY
        return HTTP1_ONLY if websocket else HTTP2_FIRST
    if websocket or not http2:
        return HTTP1_ONLY if secure else ()
    if secure:
        return HTTP2_FIRST
    return HTTP2_FIRST if in_the_clear else ()
