"""`--isolate`: COMMAND has no network but the recorder, so that nothing can go round it. Linux only."""

from __future__ import annotations

import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import anyio.to_thread

from mockrec.engine.errors import ConfigError, IsolationError

_HELPER = Path(__file__).with_name("isolated_command.py")
_SECONDS = 30.0


def check_system() -> None:
    """Raise ConfigError on a system without network namespaces."""
    if not sys.platform.startswith("linux"):
        raise ConfigError("--isolate needs the network namespaces of Linux; leave it out, or run in a container")


class Isolation:
    """The start of one COMMAND in a network namespace."""

    def __init__(self, command: Sequence[str], url: str) -> None:
        """`url` is that of the recorder, which has the same address in the namespace."""
        self._ours, self._theirs = socket.socketpair()
        place = urlsplit(url)
        recorder = (place.hostname or "127.0.0.1", str(place.port))
        self.command = [sys.executable, "-I", "-S", str(_HELPER), str(self.descriptor), *recorder, *command]
        """What is started instead of COMMAND; it becomes COMMAND."""

    @property
    def descriptor(self) -> int:
        """What the started process inherits."""
        return self._theirs.fileno()

    async def begin(self, listen_also: Callable[[socket.socket], Awaitable[None]]) -> None:
        """Listen in the namespace, and let COMMAND begin. Raises IsolationError."""
        self._theirs.close()
        self._ours.settimeout(_SECONDS)
        with self._ours:
            try:
                text, descriptors, _, _ = await anyio.to_thread.run_sync(socket.recv_fds, self._ours, 1024, 1)
            except OSError as error:
                raise IsolationError(_refusal(error.strerror or str(error))) from None
            if not descriptors:
                raise IsolationError(_refusal(text.decode("utf-8", "replace") or "the helper has ended"))
            sock = socket.socket(fileno=descriptors[0])
            sock.setblocking(False)
            await listen_also(sock)
            self._ours.sendall(b"\n")


def _refusal(why: str) -> str:
    return (
        f"--isolate: this system lets no process make a network namespace ({why}); COMMAND was not run. Allow user"
        " namespaces (kernel.unprivileged_userns_clone, or AppArmor's apparmor_restrict_unprivileged_userns), run as"
        " root, or leave --isolate out"
    )
