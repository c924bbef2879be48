"""Issues certificates of the CA for any name, in memory. All share one key, so that issuing one is fast."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mockrec.engine.tls.trust import SKEW, CaPair, PrivateKey, key_usage, now
from mockrec.formats.text.hostnames import to_ascii

_LIFETIME = timedelta(days=45)  # browsers accept 47 days at most from 2029 on
_RENEW_BEFORE = timedelta(hours=1)
_COMMON_NAME = 64  # RFC 5280, ub-common-name
_NAME = 253
_LABEL = 63
_DOTS = re.compile("[.\u3002\uff0e\uff61]")  # RFC 3490, 3.1


@dataclass(frozen=True, slots=True)
class LeafCertificate:
    """The certificate that a server presents for one name."""

    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    """Presented with it. The root is included: Chromium's SPKI list and people who read errors look for it."""
    key: PrivateKey
    renew_at: datetime


class Authority:
    """Signs certificates for one CA."""

    def __init__(self, pair: CaPair, *, key_type: str = "ecdsa", key_length: int = 2048) -> None:
        """`key_type` is `ecdsa` (P-256), or `rsa` with keys of `key_length` bits."""
        self._pair = pair
        self._key_type = key_type
        self._key_length = key_length
        self._hash = _hash_for(pair.key)
        self._issuer_key = _key_identifier(pair.chain[0])

    @cached_property
    def _key(self) -> PrivateKey:
        if self._key_type == "rsa":
            return rsa.generate_private_key(public_exponent=65537, key_size=self._key_length)
        return ec.generate_private_key(ec.SECP256R1())

    @cached_property
    def _same_for_all(self) -> x509.CertificateBuilder:
        """What every certificate contains: a builder is immutable, and each certificate continues this one."""
        public = self._key.public_key()
        usage = key_usage(digital_signature=True, key_encipherment=isinstance(self._key, rsa.RSAPrivateKey))
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        return (
            x509.CertificateBuilder()
            .issuer_name(self._pair.chain[0].subject)
            .public_key(public)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(purposes, critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(self._issuer_key, critical=False)
        )

    def leaf(self, name: str, also: str = "") -> LeafCertificate:
        """Issue a certificate for a host name, a wildcard (`*.x.test`) or an IP address.

        `also` is a second name for the same server. Raises ValueError for anything else.
        """
        san = subject_of(name)
        names = [san] if not also else list(dict.fromkeys((san, subject_of(also))))
        text = str(san.value)
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, text)] if len(text) <= _COMMON_NAME else []
        at = now().replace(microsecond=0)
        end = min(at + _LIFETIME, self._pair.chain[0].not_valid_after_utc)
        certificate = (
            self._same_for_all.subject_name(x509.Name(subject))
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(at, end) - SKEW)
            .not_valid_after(end)
            # RFC 5280, 4.2.1.6: critical when it is the only name
            .add_extension(x509.SubjectAlternativeName(names), critical=not subject)
            .sign(self._pair.key, self._hash)
        )
        # Less than an hour before its end if the CA ends soon: otherwise each certificate would be due at once.
        return LeafCertificate(certificate, self._pair.chain, self._key, end - min(_RENEW_BEFORE, (end - at) / 2))


def subject_of(name: str) -> x509.DNSName | x509.IPAddress:
    """Return the subjectAltName of a certificate for `name`. Raises ValueError if it cannot be a host name."""
    address = _address(name)
    if address is not None:
        return x509.IPAddress(address)
    # A label that is not ASCII becomes Punycode; all others stay as the client sent them, even if they are not valid.
    labels = _DOTS.split(name)
    if labels[-1] == "":
        del labels[-1]
    plain = [label if label.isascii() else to_ascii(label) for label in labels]
    text = ".".join(plain).lower()
    if len(text) > _NAME or not all(1 <= len(label) <= _LABEL for label in plain):
        raise ValueError(f"{name!r} is no host name: it is too long, or has an empty or too long part")
    if not text or any(character <= " " or character == "\x7f" for character in text):
        raise ValueError(f"{name!r} is no host name: it is empty, or has a space or a control character in it")
    return x509.DNSName(text)


def _address(name: str) -> IPv4Address | IPv6Address | None:
    text = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    try:
        return ip_address(ip_address(text).packed)  # without a zone (`%eth0`), which has no meaning on another machine
    except ValueError:
        return None


def _hash_for(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512:
    size = key.curve.key_size if isinstance(key, ec.EllipticCurvePrivateKey) else 256
    return hashes.SHA256() if size <= 256 else hashes.SHA384() if size <= 384 else hashes.SHA512()


def _key_identifier(authority: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        subject = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        public = authority.public_key()
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(public)  # type: ignore[arg-type]
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject)
