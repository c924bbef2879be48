"""What servers are offered, for every mode and client."""

from __future__ import annotations

import pytest

from mockrec.engine.upstream.protocols import offered

H1, H2, BOTH, NOTHING = (b"http/1.1",), (b"h2",), (b"h2", b"http/1.1"), ()
CASES = {
    # mode: over TLS to a client of HTTP/1, of HTTP/2, its WebSocket; without TLS to a client of HTTP/1, of HTTP/2 over
    # TLS, of HTTP/2 without it, its WebSocket
    "true": (H1, BOTH, H1, NOTHING, NOTHING, BOTH, NOTHING),
    "false": (H1, H1, H1, NOTHING, NOTHING, NOTHING, NOTHING),
    "prior-knowledge": (BOTH, BOTH, H1, H2, H2, H2, H2),
}


@pytest.mark.parametrize("mode", CASES)
def test_what_is_offered(mode: str) -> None:
    found = [
        offered(mode, secure=secure, http2=http2, in_the_clear=clear, websocket=websocket)
        for secure, http2, clear, websocket in [
            (True, False, False, False),
            (True, True, False, False),
            (True, True, False, True),
            (False, False, True, False),
            (False, True, False, False),
            (False, True, True, False),
            (False, True, True, True),
        ]
    ]
    assert tuple(found) == CASES[mode]
