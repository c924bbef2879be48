"""What a start leaves for later: modules that are imported when the recorder is ready, while it waits for clients.

A test suite waits for the recorder to be ready, and most suites use a part of what it can do. So what only one protocol
needs is imported by the code that needs it, inside a function (or as a `Late` module), and not while the recorder
starts. But then the first client of that protocol would wait for the import, and all others with it. So these imports
are made in a thread as soon as the recorder is ready; a client who comes earlier makes its own at once, and waits no
longer than the start would have.

A test starts the recorder and compares what is imported when it is ready with this list.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import Final

import anyio.to_thread

LATER: Final = {
    "mockrec.engine.tls.server": "TLS of clients: cryptography and pyOpenSSL, the most of all",
    "mockrec.engine.server.http2": "HTTP/2 of clients: h2 and hpack",
    "mockrec.engine.wire.websocket.connection": "WebSockets: wsproto",
    "mockrec.engine.upstream.http2_stream": "HTTP/2 of servers",
    "service_identity.hazmat": "names in the certificates of servers",
}
"""Module → what needs it, in the order in which clients are likely to need them."""


async def prefetch() -> None:
    """Import the modules of `LATER`, one after the other, so that the end of a run waits for one at most."""
    for name in LATER:
        with suppress(ImportError):  # raised again by the code that needs it, for the client that needs that
            await anyio.to_thread.run_sync(import_module, name)
