"""What a start leaves for later: modules that are imported when the recorder is ready, while it waits for clients.

A test suite waits for the recorder to be ready, and most suites use a part of what it can do. So what only one protocol
needs is imported by the code that needs it, inside a function (or as a `Late` module), and not while the recorder
starts. But then the first client of that protocol would wait for the import, and all others with it. So these imports
are made in a thread as soon as the recorder is ready. The client that comes earlier waits for the import that it needs
(`late.imported`), no longer than the start would have taken for it, and the others do not.

A test starts the recorder and compares what is imported when it is ready with this list.
"""

from __future__ import annotations

import os
from typing import Final

from mockrec.engine.late import import_now, imported

LATER: Final = {
    "mockrec.engine.tls.server": "TLS of clients: cryptography and pyOpenSSL, the most of all",
    "mockrec.engine.server.http2": "HTTP/2 of clients: h2 and hpack",
    "mockrec.engine.wire.websocket.connection": "WebSockets: wsproto",
    "mockrec.engine.upstream.http2_stream": "HTTP/2 of servers",
    "service_identity.hazmat": "names in the certificates of servers",
}
"""Module → what needs it, in the order in which clients are likely to need them."""


def import_before_ready() -> None:
    """Import them at once if this start compiles all modules, because nobody keeps the result.

    A thread that compiles holds the interpreter's lock, and with it the event loop, for longer than a client may wait.
    """
    cached = None if __spec__ is None else __spec__.cached
    if cached is None or not os.path.exists(cached):
        for name in LATER:
            import_now(name)


async def prefetch() -> None:
    """Import the modules of `LATER`, one after the other, so that the end of a run waits for one at most."""
    for name in LATER:
        await imported(name)
