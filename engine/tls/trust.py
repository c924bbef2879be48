"""The CA on disk: its folder, its creation, how it is read, and its fingerprints.

No lock is needed between processes that start together, or after a process that died half-way: the first process that
writes the key's file has chosen the CA, and each process creates the certificate from that key if it is missing.
"""

from __future__ import annotations

import base64
import getpass
import hashlib
import os
import re
import shlex
import socket
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from mockrec.engine import clock
from mockrec.engine.errors import ConfigError
from mockrec.engine.tls.own_ca import ORGANIZATION, ca_files
from mockrec.engine.tls.own_ca import ca_folder as ca_folder
from mockrec.engine.tls.permissions import Exposed, check_given, check_own
from mockrec.formats.files.small_file import read_small

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

SKEW = timedelta(hours=24)
"""How long before their issue certificates become valid: clocks of clients, of phones above all, may be behind."""
_LIFETIME = timedelta(days=3650)
_RSA_BITS = 2048
"""The smallest RSA key that browsers, OpenSSL (security level 2) and Apple require."""
_WEAK_HASHES = frozenset({"md5", "sha1"})
_NEW_CA = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 3650 -subj '/CN=test CA' "
    "-addext keyUsage=critical,keyCertSign,digitalSignature -keyout ca.key -out ca.pem"
)
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_COMMON_NAME = "mockrec testing CA ({}) - do not trust elsewhere"
_NAME_LENGTH = 64  # RFC 5280, ub-common-name and ub-organizational-unit-name
_PEM_KEY = re.compile(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class CaPair:
    """The certificate and key of a CA that can sign."""

    chain: tuple[x509.Certificate, ...]
    """The CA first, then the other certificates of its file: its path to a root."""
    key: PrivateKey


class _Unusable(Exception):
    """A CA file cannot be used; the message says why, and what to do."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(f"{problem}; {fix}")
        self.problem = problem


def now() -> datetime:
    """The wall clock's time in UTC."""
    return datetime.fromtimestamp(clock.wall(clock.now()) / 1000, UTC)


def ensure_ca(folder: Path) -> tuple[Path, Path]:
    """Return the paths of `ca.pem` and `ca.key` in `folder`, which are created if missing. Raises ConfigError."""
    cert, key = ca_files(folder)
    try:
        _check_own(folder)  # before anything is created in it, too
        try:
            if not (cert.exists() and key.exists()):
                _make(folder, cert, key)
        except OSError as error:
            why = error.strerror or str(error)
            raise ConfigError(f"cannot make a CA in {folder}: {why}; give another folder with MOCKREC_CA_DIR") from None
        _read_pair(cert, key)
        _check_own(folder, cert, key)
    except Exposed as error:
        raise ConfigError(
            f"{error.problem}; {error.fix}; otherwise delete {shlex.quote(str(folder))} and trust the new CA that is "
            "made then, or give another folder with MOCKREC_CA_DIR"
        ) from None
    except _Unusable as error:
        raise ConfigError(
            f"{error.problem}; delete {cert} and {key} to get a new CA at the next start (clients have to trust the "
            "new one then), or give another folder with MOCKREC_CA_DIR"
        ) from None
    return cert, key


def _check_own(folder: Path, *made: Path) -> None:
    """Raise Exposed for wrong permissions. A file that cannot be examined is reported by the code that reads it."""
    with suppress(OSError):
        check_own(folder, made=made)


def _make(folder: Path, cert: Path, key: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not key.exists():
        if cert.exists():
            return  # the key is lost, which reading reports; clients may trust the certificate, so it is not replaced
        made = ec.generate_private_key(ec.SECP256R1())
        _publish(key, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    # The file is read again: another process may have written its key first.
    _publish(cert, _self_signed(_read_key(key)).public_bytes(Encoding.PEM))


def _publish(path: Path, data: bytes) -> None:
    """Create a file (0600) atomically; an existing one is kept."""
    fd, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with open(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(fd)
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        except OSError:
            _write_new(path, data)
    finally:
        os.unlink(temporary)


def _write_new(path: Path, data: bytes) -> None:
    """Create a file exclusively on a file system without hard links; another process may read it incomplete."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    except FileExistsError:
        return
    with open(fd, "wb") as file:
        file.write(data)


def _self_signed(key: PrivateKey) -> x509.Certificate:
    public = key.public_key()
    owner = _owner()
    room = _NAME_LENGTH - len(_COMMON_NAME.format(""))
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, owner[:_NAME_LENGTH]),
            x509.NameAttribute(NameOID.COMMON_NAME, _COMMON_NAME.format(owner[:room])),
        ]
    )
    usage = key_usage(digital_signature=True, key_cert_sign=True, crl_sign=True)
    at = now().replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - SKEW)
        .not_valid_after(at + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def key_usage(
    *,
    digital_signature: bool = False,
    key_encipherment: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    """The extension with these bits set and all others clear."""
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_encipherment=key_encipherment,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _owner() -> str:
    """`user@host`, which distinguishes the CAs of several people in a list of trusted ones."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user may have no name
        user = f"uid {os.getuid()}" if hasattr(os, "getuid") else "somebody"
    text = f"{user}@{socket.gethostname().partition('.')[0]}"
    return "".join(character if character.isascii() and character.isprintable() else "?" for character in text)


def load_ca(cert: Path, key: Path) -> CaPair:
    """Read a CA that can sign: PEM; RSA (2048 bits) or EC on P-256, P-384 or P-521. Raises ConfigError."""
    try:
        pair = _read_pair(cert, key)
        check_given(key)
    except (_Unusable, Exposed) as error:
        raise ConfigError(str(error)) from None
    return pair


def load_certificates(path: Path) -> tuple[x509.Certificate, ...]:
    """All certificates of a PEM file, at least one. Raises ConfigError."""
    try:
        return _read_certificates(path)
    except _Unusable as error:
        raise ConfigError(str(error)) from None


def _read_pair(cert: Path, key: Path) -> CaPair:
    chain = _read_certificates(cert)
    private = _read_key(key)
    try:
        belongs = chain[0].public_key() == private.public_key()
    except (ValueError, UnsupportedAlgorithm):
        belongs = False  # the certificate has a kind of key that `_read_key` refuses
    if not belongs:
        raise _Unusable(
            f"the key in {key} does not belong to the certificate in {cert}",
            "give the pair that was made together (the CA's certificate comes first in its file)",
        )
    _check_authority(cert, chain[0])
    return CaPair(chain, private)


def _read(path: Path, what: str) -> bytes:
    try:
        return read_small(path)
    except OSError as error:
        why = error.strerror or str(error)
        raise _Unusable(f"cannot read the CA's {what} {path}: {why}", "give a PEM file that can be read") from None


def _read_certificates(path: Path) -> tuple[x509.Certificate, ...]:
    data = _read(path, "certificate")
    if b"-----BEGIN CERTIFICATE-----" not in data:
        raise _Unusable(
            f"{path} holds no PEM certificate",
            "give a file with BEGIN CERTIFICATE in it (openssl x509 -inform DER -in FILE makes one of DER)",
        )
    try:
        return tuple(x509.load_pem_x509_certificates(data))
    except ValueError as error:
        raise _Unusable(f"a certificate in {path} cannot be read: {error}", "make a new one") from None


def _read_key(path: Path) -> PrivateKey:
    found = _PEM_KEY.search(_read(path, "key"))
    if found is None:
        raise _Unusable(
            f"{path} holds no PEM private key",
            "give a file with BEGIN PRIVATE KEY in it (openssl pkey -inform DER -in FILE makes one of DER)",
        )
    try:
        key = load_pem_private_key(found[0], None)
    except TypeError:
        raise _Unusable(
            f"the key in {path} is encrypted", f"give it without a passphrase: openssl pkey -in {path} -out plain.key"
        ) from None
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _Unusable(f"the key in {path} cannot be read: {error}", "give an RSA or EC key in PEM") from None
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < _RSA_BITS:
            raise _Unusable(
                f"the RSA key in {path} has {key.key_size} bits, and clients refuse what it signs",
                f"give one of at least {_RSA_BITS}, or a new CA: {_NEW_CA}",
            )
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, _CURVES):
        return key
    raise _Unusable(f"the key in {path} is of a kind that clients do not accept", "give RSA, P-256, P-384 or P-521")


def _check_authority(path: Path, certificate: x509.Certificate) -> None:
    if not _may_sign(path, certificate):
        raise _Unusable(
            f"the certificate in {path} is not that of a CA",
            "give one with CA:TRUE in its basic constraints, and keyCertSign if it has a key usage",
        )
    digest = certificate.signature_hash_algorithm
    if digest is not None and digest.name in _WEAK_HASHES:
        raise _Unusable(
            f"the certificate in {path} is signed with {digest.name.upper()}, which clients refuse",
            f"have it signed with SHA-256, or make a new CA: {_NEW_CA}",
        )
    if certificate.not_valid_before_utc > now():
        raise _Unusable(
            f"the CA in {path} is valid only from {certificate.not_valid_before_utc} on",
            "give another one, or correct the clock",
        )
    if certificate.not_valid_after_utc <= now():
        raise _Unusable(f"the CA in {path} expired at {certificate.not_valid_after_utc}", "renew it or give another")


def _may_sign(path: Path, certificate: x509.Certificate) -> bool:
    try:
        extensions = certificate.extensions
    except (ValueError, x509.DuplicateExtension) as error:
        raise _Unusable(
            f"the extensions of the certificate in {path} cannot be read: {error}", "make a new one"
        ) from None
    ca = signs = None
    for extension in extensions:
        if isinstance(extension.value, x509.BasicConstraints):
            ca = extension.value.ca
        elif isinstance(extension.value, x509.KeyUsage):
            signs = extension.value.key_cert_sign
    return bool(ca) and signs is not False


def spki_sha256(cert: x509.Certificate) -> str:
    """The hash of the public key in base64, as Chromium's --ignore-certificate-errors-spki-list takes it."""
    spki = cert.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(spki).digest()).decode("ascii")


def fingerprint_sha256(cert: x509.Certificate) -> str:
    """`AB:CD:…`, as browsers and `openssl x509 -fingerprint -sha256` show it."""
    return cert.fingerprint(hashes.SHA256()).hex(":").upper()
