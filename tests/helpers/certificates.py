"""Certificates for tests, signed by an authority of the test run."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from itertools import count
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL


class Pki:
    """A trusted authority, one that no client trusts (`foreign`), and the certificates that they sign."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = count()
        self.ca, self.ca_key = self.issue("mockrec tests", is_ca=True)
        self.foreign, self.foreign_key = self.issue("someone else", is_ca=True)

    def issue(
        self,
        *names: str,
        is_ca: bool = False,
        issuer: tuple[Path, Path] | None = None,
        days: tuple[int, int] = (-1, 30),
    ) -> tuple[Path, Path]:
        """Write a certificate and its key as PEM files and return their paths; without `issuer` it is self-signed."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
        issuer_name, signer = subject, key
        if issuer is not None:
            issuer_name = x509.load_pem_x509_certificate(issuer[0].read_bytes()).subject
            signer = serialization.load_pem_private_key(issuer[1].read_bytes(), None)  # type: ignore[assignment]
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=days[0]))
            .not_valid_after(now + datetime.timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
                critical=False,
            )
        )
        if is_ca:  # Python 3.13 requires key usage in the certificate of an authority
            usage = dict.fromkeys(
                ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
                 "encipher_only", "decipher_only"), False,
            )  # fmt: skip
            builder = builder.add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
        else:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), False)
        number = next(self._numbers)
        cert_path, key_path = self.folder / f"{number}.pem", self.folder / f"{number}.key"
        certificate = builder.sign(signer, hashes.SHA256())
        cert_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        key_path.write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
        return cert_path, key_path

    def server(self, *names: str, foreign: bool = False, self_signed: bool = False, **options: Any) -> ssl.SSLContext:
        """Return a server's context with a certificate for these names; `options` are those of `issue`."""
        issuer = (self.foreign, self.foreign_key) if foreign else (self.ca, self.ca_key)
        cert, key = self.issue(
            *(names or ("localhost", "127.0.0.1", "::1")), issuer=None if self_signed else issuer, **options
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        return context

    @property
    def trusting(self) -> ssl.SSLContext:
        """A client's context that trusts the authority."""
        return ssl.create_default_context(cafile=str(self.ca))

    @property
    def options(self) -> tuple[str | Path, ...]:
        """The options that make a recorder sign with the authority."""
        return ("--ca-cert", self.ca, "--ca-key", self.ca_key)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def openssl_contexts(name: str = "a.test") -> tuple[SSL.Context, SSL.Context]:
    """Return contexts of a client, which checks nothing, and of a server with a certificate in memory."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    end = start + datetime.timedelta(days=9)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, start, end)
    server = SSL.Context(SSL.TLS_SERVER_METHOD)
    server.use_certificate(builder.sign(key, hashes.SHA256()))
    server.use_privatekey(key)
    return SSL.Context(SSL.TLS_CLIENT_METHOD), server
