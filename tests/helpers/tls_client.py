"""A TLS client whose transport is any object with `sendall` and `recv`."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Tls:
    """A TLS client over anything with `sendall` and `recv`, such as a socket or another one of these."""

    def __init__(self, below: Any, ca: Path, name: str) -> None:
        self._below = below
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cafile=str(ca))
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=name)
        self._do(self._tls.do_handshake)

    def _do(self, step: Callable[[], Any]) -> Any:
        while True:
            try:
                result = step()
                if self._out.pending:
                    self._below.sendall(self._out.read())
                return result
            except ssl.SSLWantReadError:
                if self._out.pending:
                    self._below.sendall(self._out.read())
                data = self._below.recv(65536)
                if not data:
                    raise EOFError from None
                self._in.write(data)

    def sendall(self, data: bytes) -> None:
        self._do(lambda: self._tls.write(data))

    def recv(self, size: int) -> bytes:
        try:
            data: bytes = self._do(lambda: self._tls.read(size))
        except ssl.SSLZeroReturnError:
            return b""
        return data
