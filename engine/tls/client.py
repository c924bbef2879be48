"""TLS to servers: which authorities are trusted, our client certificate, and the check of the server's name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mockrec.engine.errors import ConfigError
from mockrec.engine.late import Late
from mockrec.engine.transport.tls import reason_of
from mockrec.formats.files.small_file import read_small
from mockrec.formats.text.hostnames import to_ascii

if TYPE_CHECKING:
    from cryptography import exceptions, x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.serialization import pkcs12
    from OpenSSL import SSL, crypto
else:  # a start is a tenth shorter without them
    exceptions, x509 = Late("cryptography.exceptions"), Late("cryptography.x509")
    serialization = Late("cryptography.hazmat.primitives.serialization")
    pkcs12 = Late("cryptography.hazmat.primitives.serialization.pkcs12")
    SSL, crypto = Late("OpenSSL.SSL"), Late("OpenSSL.crypto")

_LEGACY_SERVER_CONNECT = 0x4
_OLD_CIPHERS = b"ALL:@SECLEVEL=0"

# X509_V_ERR_… (openssl-verification-options) → the names that OpenSSL and Node.js print.
_VERIFY_CODES = {
    2: "UNABLE_TO_GET_ISSUER_CERT",
    7: "CERT_SIGNATURE_FAILURE",
    9: "CERT_NOT_YET_VALID",
    10: "CERT_HAS_EXPIRED",
    18: "DEPTH_ZERO_SELF_SIGNED_CERT",
    19: "SELF_SIGNED_CERT_IN_CHAIN",
    20: "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    21: "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    22: "CERT_CHAIN_TOO_LONG",
    23: "CERT_REVOKED",
    24: "INVALID_CA",
    26: "INVALID_PURPOSE",
    27: "CERT_UNTRUSTED",
    28: "CERT_REJECTED",
    79: "INVALID_CA",  # from OpenSSL 3 on
}
_TO_TRUST = "name its PEM file in upstream.trustedCAs or by --trust to accept it"
_VERIFY_TEXTS = {
    "CERT_NOT_YET_VALID": "its certificate is not yet valid",
    "CERT_HAS_EXPIRED": "its certificate has expired",
    "DEPTH_ZERO_SELF_SIGNED_CERT": f"its certificate is self-signed and not among the trusted ones; {_TO_TRUST}",
    "SELF_SIGNED_CERT_IN_CHAIN": f"the authority of its certificate is not trusted; {_TO_TRUST}",
    "UNABLE_TO_GET_ISSUER_CERT_LOCALLY": f"the authority of its certificate is not known; {_TO_TRUST}",
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE": f"the authority of its certificate is not known; {_TO_TRUST}",
    "CERT_REVOKED": "its certificate has been revoked",
    "INVALID_CA": "the issuer of its certificate is not an authority",
}
WRONG_NAME = "ERR_TLS_CERT_ALTNAME_INVALID"
UNVERIFIED = "UNABLE_TO_VERIFY_CERTIFICATE"
CERTIFICATE_CODES = frozenset(_VERIFY_CODES.values()) | {WRONG_NAME, UNVERIFIED}
"""The codes of all errors in a server's certificate."""


class CertificateVerdict:
    """The first error that OpenSSL has found in a server's certificate chain, if any."""

    __slots__ = ("code", "text")

    def __init__(self) -> None:
        self.code = ""
        self.text = ""

    def add(self, number: int) -> None:
        """OpenSSL has found an error in the chain."""
        if not self.code:
            self.code = _VERIFY_CODES.get(number, UNVERIFIED)
            self.text = _VERIFY_TEXTS.get(self.code) or f"OpenSSL does not accept its certificate (error {number})"


class ClientContexts:
    """One SSL context for each set of options: loading the roots takes longer than a handshake."""

    def __init__(self, key_log: Callable[[bytes], None] | None = None) -> None:
        self._key_log = key_log
        self._made: dict[tuple[object, ...], SSL.Context] = {}

    def context_for(
        self, trusted_cas: tuple[str, ...], *, verify: bool, certificate: Mapping[str, str] | None = None
    ) -> SSL.Context:
        """The context for connections that trust these CA files in addition to the system's, or that verify nothing.

        `certificate` is `{cert, key}` or `{pfx, passphrase}`. Raises ConfigError for a file that cannot be used.
        """
        key = (trusted_cas, verify, tuple(sorted(certificate.items())) if certificate else None)
        context = self._made.get(key)
        if context is None:
            context = self._made[key] = self._make(trusted_cas, verify, certificate)
        return context

    def _make(self, trusted_cas: tuple[str, ...], verify: bool, certificate: Mapping[str, str] | None) -> SSL.Context:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        if verify:
            context.set_min_proto_version(SSL.TLS1_2_VERSION)
            _trust(context, trusted_cas)
            context.set_verify(SSL.VERIFY_PEER, _verify)
        else:
            context.set_min_proto_version(SSL.TLS1_VERSION)
            context.set_cipher_list(_OLD_CIPHERS)
            context.set_options(_LEGACY_SERVER_CONNECT)
            context.set_verify(SSL.VERIFY_NONE)
        if certificate is not None:
            _present(context, certificate)
        key_log = self._key_log
        if key_log is not None:
            context.set_keylog_callback(lambda connection, line: key_log(line))
        return context


def client_connection(
    context: SSL.Context, hostname: str, verdict: CertificateVerdict | None = None, alpn: list[bytes] | None = None
) -> SSL.Connection:
    """A new connection to `hostname`, which is sent in SNI unless it is an IP address (RFC 6066, 3)."""
    connection = SSL.Connection(context, None)
    connection.set_app_data(verdict)
    connection.set_connect_state()
    if not _is_address(hostname):
        connection.set_tlsext_host_name(_a_label(hostname))
    if alpn:
        connection.set_alpn_protos(alpn)
    return connection


def check_name(connection: SSL.Connection, hostname: str) -> str:
    """Return why the server's certificate is not one for `hostname` (RFC 9525); empty if it is."""
    from service_identity import CertificateError, VerificationError
    from service_identity.hazmat import DNS_ID, IPAddress_ID, verify_service_identity

    certificate = connection.get_peer_certificate(as_cryptography=True)
    if certificate is None:
        return "the server showed no certificate"
    names, addresses = _alternative_names(certificate)
    try:
        wanted = IPAddress_ID(hostname) if _is_address(hostname) else DNS_ID(_a_label(hostname).decode("ascii"))
        verify_service_identity(_patterns(names, addresses), [wanted], [])
    except (VerificationError, CertificateError, ValueError):
        known = ", ".join([*names, *map(str, addresses)][:5]) or "no name (it has no subjectAltName)"
        return f"its certificate is for {known}, not for {hostname}"
    return ""


def _alternative_names(certificate: x509.Certificate) -> tuple[list[str], list[Any]]:
    """The DNS names and the IP addresses of subjectAltName (RFC 5280, 4.2.1.6)."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return [], []
    return found.get_values_for_type(x509.DNSName), found.get_values_for_type(x509.IPAddress)


def _patterns(names: list[str], addresses: list[Any]) -> list[Any]:
    """The patterns that a server's name may match. A name that is not a valid pattern (`*.localhost`) is skipped."""
    from service_identity import CertificateError
    from service_identity.hazmat import DNSPattern, IPAddressPattern

    patterns: list[Any] = [IPAddressPattern(address) for address in addresses]
    for name in names:
        try:
            patterns.append(DNSPattern.from_bytes(name.encode()))
        except CertificateError:
            continue
    return patterns


def _is_address(hostname: str) -> bool:
    from ipaddress import ip_address

    try:
        ip_address(hostname)
    except ValueError:
        return False
    return True


def _a_label(hostname: str) -> bytes:
    """The host name as in SNI and in certificates: without the final dot (RFC 6066, 3)."""
    name = hostname.removesuffix(".")
    return (name if name.isascii() else to_ascii(name)).encode("ascii")


def _verify(connection: SSL.Connection, certificate: object, number: int, depth: int, good: int) -> bool:
    verdict = connection.get_app_data()
    if not good and verdict is not None:
        verdict.add(number)
    return bool(good)


def _trust(context: SSL.Context, trusted_cas: tuple[str, ...]) -> None:
    """Trust the system's roots, or certifi's if the system has none in files, and the certificates of these files."""
    context.set_default_verify_paths()
    store = context.get_cert_store()
    assert store is not None
    # A file may contain an intermediate certificate, or that of the server itself: then this is what is trusted.
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    if (roots := _roots_to_load()) is not None:
        context.load_verify_locations(roots)
    for path in trusted_cas:
        for certificate in _certificates(path, "trustedCAs"):
            store.add_cert(crypto.X509.from_cryptography(certificate))


def _roots_to_load() -> str | None:
    """Return a file of roots if `set_default_verify_paths` finds none: the bundle of macOS and BSD, or certifi's.

    With the wheels of cryptography it reads the bundles of Linux and the variables SSL_CERT_FILE and SSL_CERT_DIR.
    """
    import ssl

    bundle = next((path for path in SYSTEM_BUNDLES if Path(path).exists()), None)
    if bundle == BSD_BUNDLE and not {"SSL_CERT_FILE", "SSL_CERT_DIR"} & os.environ.keys():
        return bundle
    paths = ssl.get_default_verify_paths()
    if bundle is not None or paths.cafile or paths.capath:
        return None
    import certifi

    return certifi.where()


BSD_BUNDLE = "/etc/ssl/cert.pem"
"""The bundle of macOS and BSD, which `set_default_verify_paths` does not read."""
SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    BSD_BUNDLE,
)
"""The files in which operating systems keep their roots, in PEM."""


def _certificates(path: str, option: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(read_small(path))
    except OSError as error:
        raise ConfigError(f"upstream.{option}: cannot read {path}: {error.strerror or error}") from None
    except ValueError:
        raise ConfigError(f"upstream.{option}: {path} holds no PEM certificate") from None


def _present(context: SSL.Context, files: Mapping[str, str]) -> None:
    """Present a client certificate to servers."""
    passphrase = files["passphrase"].encode() if files.get("passphrase") else None
    path = files.get("pfx") or files.get("key") or files.get("cert", "")
    try:
        if "pfx" in files:
            key, certificate, more = pkcs12.load_key_and_certificates(read_small(path), passphrase)
            chain = [certificate, *more]
        else:
            chain = list(_certificates(files["cert"], "clientCertificates"))
            path = files.get("key") or files["cert"]
            key = serialization.load_pem_private_key(read_small(path), passphrase)
        if key is None or chain[0] is None:
            raise ConfigError(f"upstream.clientCertificates: {path} holds no certificate with its key")
        context.use_certificate(chain[0])
        context.use_privatekey(key)  # type: ignore[arg-type]
        for further in chain[1:]:
            assert further is not None
            context.add_extra_chain_cert(further)
        context.check_privatekey()
    except OSError as error:
        raise ConfigError(f"upstream.clientCertificates: cannot read {path}: {error.strerror or error}") from None
    except (ValueError, TypeError, exceptions.UnsupportedAlgorithm) as error:
        raise ConfigError(f"upstream.clientCertificates: cannot use {path}: {error}") from None
    except SSL.Error as error:
        reason = reason_of(error)
        if "mismatch" in reason:
            text = f"the key in {path} is not that of the certificate"
        else:
            text = f"OpenSSL does not accept {path}: {reason}"
        raise ConfigError(f"upstream.clientCertificates: {text}") from None
