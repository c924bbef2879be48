"""Issues certificates of the CA for any name, in memory. All share one key, so that issuing one is fast."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mockrec.engine import clock
from mockrec.engine.tls.leaf_template import LeafTemplate, dns_name, ip_address_name, validity
from mockrec.engine.tls.trust import SKEW, CaPair, PrivateKey, key_usage
from mockrec.formats.text.hostnames import to_ascii

_LIFETIME = timedelta(days=45)  # browsers accept 47 days at most from 2029 on
_RENEW_BEFORE = timedelta(hours=1)
_COMMON_NAME = 64  # RFC 5280, ub-common-name
_NAME = 253
_LABEL = 63
_DOTS = re.compile("[.\u3002\uff0e\uff61]")  # RFC 3490, 3.1
_NOT_IN_NAMES = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True)
class LeafCertificate:
    """The certificate that a server presents for one name."""

    encoded: bytes
    """In DER."""
    chain: tuple[x509.Certificate, ...]
    """Presented with it. The root is included: Chromium's SPKI list and people who read errors look for it."""
    key: PrivateKey
    renew_at: datetime

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate, decoded anew."""
        return x509.load_der_x509_certificate(self.encoded)


@dataclass(frozen=True, slots=True)
class _Times:
    """The times of all certificates that are issued in one second."""

    second: int
    """Of the wall clock, since the epoch."""
    validity: bytes
    renew_at: datetime


class Authority:
    """Signs certificates for one CA."""

    def __init__(self, pair: CaPair, *, key_type: str = "ecdsa", key_length: int = 2048) -> None:
        """`key_type` is `ecdsa` (P-256), or `rsa` with keys of `key_length` bits."""
        self._pair = pair
        self._key_type = key_type
        self._key_length = key_length
        self._sign = _signer(pair.key)
        self._times: _Times | None = None

    @cached_property
    def _key(self) -> PrivateKey:
        if self._key_type == "rsa":
            return rsa.generate_private_key(public_exponent=65537, key_size=self._key_length)
        return ec.generate_private_key(ec.SECP256R1())

    @cached_property
    def _template(self) -> LeafTemplate:
        """Made of a certificate that is never presented: only what all have in common matters."""
        public, issuer = self._key.public_key(), self._pair.chain[0]
        usage = key_usage(digital_signature=True, key_encipherment=isinstance(self._key, rsa.RSAPrivateKey))
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        first = (
            x509.CertificateBuilder()
            .issuer_name(issuer.subject)
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(issuer.not_valid_after_utc - SKEW)
            .not_valid_after(issuer.not_valid_after_utc)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(purposes, critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(_key_identifier(issuer), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(self._pair.key, _hash_for(self._pair.key))
        )
        return LeafTemplate(first.public_bytes(Encoding.DER))

    def leaf(self, name: str, also: str = "") -> LeafCertificate:
        """Issue a certificate for a host name, a wildcard (`*.x.test`) or an IP address.

        `also` is a second name for the same server. Raises ValueError for anything else.
        """
        text, alternative = _subject_of(name)
        names = [alternative] if not also else list(dict.fromkeys((alternative, _subject_of(also)[1])))
        times = self._times_now()
        template = self._template
        common_name = text if len(text) <= _COMMON_NAME else ""
        signed = template.to_be_signed(x509.random_serial_number(), times.validity, common_name, names)
        encoded = template.signed(signed, self._sign(signed))
        return LeafCertificate(encoded, self._pair.chain, self._key, times.renew_at)

    def _times_now(self) -> _Times:
        second = int(clock.wall(clock.now()) / 1000)
        times = self._times
        if times is None or times.second != second:
            at = datetime.fromtimestamp(second, UTC)
            end = min(at + _LIFETIME, self._pair.chain[0].not_valid_after_utc)
            # Less than an hour before its end if the CA ends soon: otherwise each certificate would be due at once.
            renew_at = end - min(_RENEW_BEFORE, (end - at) / 2)
            times = self._times = _Times(second, validity(min(at, end) - SKEW, end), renew_at)
        return times


def _subject_of(name: str) -> tuple[str, bytes]:
    """Return the subject of a certificate for `name`, as text and as subjectAltName has it.

    Raises ValueError if `name` cannot be a host name.
    """
    address = _address(name)
    if address is not None:
        return str(address), ip_address_name(address.packed)
    # A label that is not ASCII becomes Punycode; all others stay as the client sent them, even if they are not valid.
    labels = _DOTS.split(name)
    if labels[-1] == "":
        del labels[-1]
    plain = [label if label.isascii() else to_ascii(label) for label in labels]
    text = ".".join(plain).lower()
    if len(text) > _NAME or not all(1 <= len(label) <= _LABEL for label in plain):
        raise ValueError(f"{name!r} is no host name: it is too long, or has an empty or too long part")
    if not text or _NOT_IN_NAMES.search(text):
        raise ValueError(f"{name!r} is no host name: it is empty, or has a space or a control character in it")
    return text, dns_name(text)


def _address(name: str) -> IPv4Address | IPv6Address | None:
    text = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    if not (":" in text or text[-1:].isdecimal()):
        return None  # at once: `ip_address` raises three exceptions for a name
    try:
        return ip_address(ip_address(text).packed)  # without a zone (`%eth0`), which has no meaning on another machine
    except ValueError:
        return None


def _signer(key: PrivateKey) -> Callable[[bytes], bytes]:
    """Return the function that signs with the algorithm of certificates that `cryptography` builds."""
    digest = _hash_for(key)
    if isinstance(key, rsa.RSAPrivateKey):
        return lambda data: key.sign(data, padding.PKCS1v15(), digest)
    algorithm = ec.ECDSA(digest)
    return lambda data: key.sign(data, algorithm)


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
