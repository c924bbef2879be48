"""Files that make COMMAND trust the recorder's CA, and the environment variables that name them to each client.

Each file also holds the certificates that the client would have trusted anyway: the system's roots and those of its
own variable.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mockrec.formats.files.small_file import read_small

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

JAVA_PASSWORD = "changeit"

# Variable → its readers. These files replace the system's roots, so they must hold them.
_BUNDLES = (
    "SSL_CERT_FILE",  # OpenSSL, Python's ssl, Go, Ruby, PHP, Rust's native roots
    "REQUESTS_CA_BUNDLE",  # Python requests
    "CURL_CA_BUNDLE",  # curl, and requests where the former is not set
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
    "PIP_CERT",
    "CARGO_HTTP_CAINFO",
)
# These files are read in addition to the client's own roots.
_EXTRAS = ("NODE_EXTRA_CA_CERTS", "DENO_CERT")


class TrustFiles:
    """A folder with these files that only the user can read; `remove` deletes it."""

    def __init__(self, ca: Path) -> None:
        self._ca = ca
        self._folder = Path(tempfile.mkdtemp(prefix="mockrec-trust-"))

    def remove(self) -> None:
        """Delete the folder, after the end of COMMAND."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def variables(self, outer: Mapping[str, str]) -> dict[str, str]:
        """Return the variables for COMMAND; `outer` is the environment that it would have had."""
        authority = read_small(self._ca)
        roots = _system_roots()
        env = {"MOCKREC_CA": os.path.abspath(self._ca)}
        for name in _BUNDLES:
            env[name] = self._write(name, outer, roots, authority)
        for name in _EXTRAS:
            env[name] = self._write(name, outer, b"", authority)
        env["WGETRC"] = self._wget(outer, env["SSL_CERT_FILE"])
        return env

    def java_options(self) -> list[str]:
        """Return the options for Java programs; none if Java is not installed."""
        if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
            return []
        from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

        path = self._folder / "java.p12"
        if not path.exists():
            pem = _system_roots() + b"\n" + read_small(self._ca)
            unique = dict.fromkeys(_readable(pem))
            entries = [
                pkcs12.PKCS12Certificate(certificate, f"root-{number}".encode())
                for number, certificate in enumerate(unique)
            ]
            _put(path, pkcs12.serialize_java_truststore(entries, BestAvailableEncryption(JAVA_PASSWORD.encode())))
        return [
            f"-Djavax.net.ssl.trustStore={path}",
            f"-Djavax.net.ssl.trustStorePassword={JAVA_PASSWORD}",
            "-Djavax.net.ssl.trustStoreType=PKCS12",
        ]

    def _write(self, name: str, outer: Mapping[str, str], roots: bytes, authority: bytes) -> str:
        before = _read(outer.get(name, ""))
        kind = name.lower() if before else ("bundle" if roots else "authority")
        path = self._folder / f"{kind}.pem"
        if not path.exists():
            _put(path, b"\n".join(part.strip() for part in (roots, before, authority) if part) + b"\n")
        return str(path)

    def _wget(self, outer: Mapping[str, str], bundle: str) -> str:
        """Write a wgetrc: wget has no variable for roots, but one for its settings."""
        before = _read(outer.get("WGETRC", "") or os.path.expanduser("~/.wgetrc"))
        path = self._folder / "wgetrc"
        _put(path, before.rstrip() + f"\nca_certificate = {bundle}\n".encode())
        return str(path)


def _put(path: Path, data: bytes) -> None:
    """Write a file that only the user can read: a wgetrc may hold passwords."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600), "wb") as file:
        file.write(data)


def _system_roots() -> bytes:
    """Return the roots that clients trust on this machine, in PEM."""
    from mockrec.engine.tls.client import SYSTEM_BUNDLES

    for path in SYSTEM_BUNDLES:
        if found := _read(path):
            return found
    try:
        import certifi
    except ImportError:
        return b""
    return _read(certifi.where())


def _readable(pem: bytes) -> Iterator[Certificate]:
    """Return the readable certificates of a bundle: systems keep a few old roots that the library refuses."""
    from cryptography import x509
    from cryptography.utils import CryptographyDeprecationWarning

    end = b"-----END CERTIFICATE-----"
    for block in pem.split(end)[:-1]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", CryptographyDeprecationWarning)
                certificate = x509.load_pem_x509_certificate(block[block.find(b"-----BEGIN") :] + end)
        except ValueError:
            continue
        yield certificate


def _read(path: str) -> bytes:
    try:
        return read_small(path) if path else b""
    except OSError:
        return b""
