"""The certificate authority of a run: the one that the settings name, or the user's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mockrec.engine.config import TlsSettings
from mockrec.engine.errors import ConfigError
from mockrec.engine.tls.own_ca import ca_files, ca_folder, is_usable

if TYPE_CHECKING:
    from mockrec.engine.tls.authority import Authority


class RunAuthority:
    """Where the authority is on disk. It is loaded for the first TLS client: only TLS needs it."""

    def __init__(self, settings: TlsSettings) -> None:
        """Load an authority that the settings name; raises ConfigError if it cannot be used.

        Without one, the user's own is created if it does not exist; if that fails, `problem` says why.
        """
        self._settings = settings
        self.certificate: str | None = settings.ca_cert
        """Path of the certificate."""
        self.key = settings.ca_key or ""
        """Path of the private key."""
        self.problem: ConfigError | None = None
        """Why there is no authority."""
        if settings.ca_cert is not None:
            self.load()
            return
        try:
            certificate, key = _own_ca()
        except ConfigError as error:
            self.problem = error
        else:
            self.certificate, self.key = str(certificate), str(key)

    def load(self) -> Authority:
        """Read the certificate and the key. Raises ConfigError."""
        if self.certificate is None:
            raise self.problem or ConfigError("there is no certificate authority")
        from mockrec.engine.tls.authority import Authority
        from mockrec.engine.tls.trust import load_ca

        settings = self._settings
        pair = load_ca(Path(self.certificate), Path(self.key))
        return Authority(pair, key_type=settings.key_type, key_length=settings.key_length)


def _own_ca() -> tuple[Path, Path]:
    """Return the paths of the certificate and the key of the user's own CA, which is made if missing. Raises
    ConfigError."""
    folder = ca_folder(os.environ)
    if is_usable(folder):
        return ca_files(folder)
    from mockrec.engine.tls.trust import ensure_ca

    return ensure_ca(folder)
