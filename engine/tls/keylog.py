"""The TLS key log (NSS format), with which tools such as Wireshark decrypt a capture of the traffic."""

from __future__ import annotations

import os

from mockrec.engine.errors import ConfigError


class KeyLog:
    """Appends lines to a file that only its owner may read; one for connections of clients and to servers."""

    def __init__(self, path: str) -> None:
        """Open the file. Raises ConfigError."""
        try:
            self._file = open(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise ConfigError(
                f"cannot write the TLS key log {path}: {error.strerror or error}; see tls.keyLogFile"
            ) from None

    def __call__(self, line: bytes) -> None:
        """Append a line, given without its line break."""
        try:
            self._file.write(line + b"\n")
        except (OSError, ValueError):
            pass  # a connection must not fail because its key cannot be logged

    def close(self) -> None:
        """Close the file."""
        self._file.close()
