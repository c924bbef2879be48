"""Certificates for any name: what they say, who accepts them, and which names can have none."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mockrec.engine.tls.authority import Authority, LeafCertificate
from mockrec.engine.tls.trust import CaPair, PrivateKey, ensure_ca, load_ca

NOW = datetime.now(UTC)
LONG = "x." * 60 + "test"


def pair_of(key: PrivateKey, *, until: datetime = NOW + timedelta(days=365), ski: bool = True) -> CaPair:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a CA")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(until - timedelta(days=400))
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    )
    if ski:
        builder = builder.add_extension(x509.SubjectKeyIdentifier(b"twenty bytes of text"), critical=False)
    return CaPair((builder.sign(key, hashes.SHA256()),), key)


@pytest.fixture(scope="module")
def pair() -> CaPair:
    return pair_of(ec.generate_private_key(ec.SECP256R1()))


@pytest.fixture(scope="module")
def authority(pair: CaPair) -> Authority:
    return Authority(pair)


def san(leaf: LeafCertificate) -> x509.Extension[x509.SubjectAlternativeName]:
    return leaf.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def common_names(leaf: LeafCertificate) -> list[str | bytes]:
    return [attribute.value for attribute in leaf.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]


def test_what_it_says(authority: Authority, pair: CaPair) -> None:
    leaf = authority.leaf("api.example.test")
    certificate, extensions = leaf.certificate, leaf.certificate.extensions
    certificate.verify_directly_issued_by(pair.chain[0])
    assert certificate.public_key() == leaf.key.public_key()
    assert leaf.chain == pair.chain
    assert 0 < certificate.serial_number < 1 << 159
    assert certificate.serial_number != authority.leaf("api.example.test").certificate.serial_number
    assert common_names(leaf) == ["api.example.test"]
    assert list(san(leaf).value) == [x509.DNSName("api.example.test")]
    assert not san(leaf).critical
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca) == (True, False)
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert (usage.critical, usage.value.digital_signature, usage.value.key_encipherment) == (True, True, False)
    assert set(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == {
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
    }
    issuer = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert issuer.key_identifier == b"twenty bytes of text"
    assert extensions.get_extension_for_class(x509.SubjectKeyIdentifier)


def test_how_long(authority: Authority) -> None:
    leaf = authority.leaf("a.test")
    certificate, second = leaf.certificate, timedelta(minutes=2)
    now = datetime.now(UTC)
    assert abs(certificate.not_valid_before_utc - (now - timedelta(hours=24))) < second
    assert abs(certificate.not_valid_after_utc - (now + timedelta(days=45))) < second
    assert leaf.renew_at == certificate.not_valid_after_utc - timedelta(hours=1)


def test_never_longer_than_the_ca() -> None:
    now = datetime.now(UTC)  # NOW is when this file was read: in a long run of tests that is long ago
    end = (now + timedelta(minutes=30)).replace(microsecond=0)
    leaf = Authority(pair_of(ec.generate_private_key(ec.SECP256R1()), until=end)).leaf("a.test")
    assert leaf.certificate.not_valid_after_utc == end
    assert now < leaf.renew_at < end  # not due when it is made


def test_a_ca_that_has_ended_meanwhile() -> None:
    end = (NOW - timedelta(days=3)).replace(microsecond=0)
    leaf = Authority(pair_of(ec.generate_private_key(ec.SECP256R1()), until=end)).leaf("a.test")
    assert leaf.certificate.not_valid_before_utc < leaf.certificate.not_valid_after_utc == end


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("localhost", "localhost"),
        ("API.Example.TEST", "api.example.test"),
        ("a.test.", "a.test"),
        ("*.x.test", "*.x.test"),
        ("under_score.test", "under_score.test"),
        ("-odd-.te!st", "-odd-.te!st"),
        ("bücher.test", "xn--bcher-kva.test"),
        ("*.bücher.test", "*.xn--bcher-kva.test"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("xn--bcher-kva.test", "xn--bcher-kva.test"),
        ("1.2.3", "1.2.3"),
    ],
)
def test_names(authority: Authority, name: str, written: str) -> None:
    leaf = authority.leaf(name)
    assert san(leaf).value.get_values_for_type(x509.DNSName) == [written]
    assert common_names(leaf) == [written]


@pytest.mark.parametrize(
    ("name", "address"), [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("[::1]", "::1"), ("fe80::1%eth0", "fe80::1")]
)
def test_addresses(authority: Authority, name: str, address: str) -> None:
    leaf = authority.leaf(name)
    assert list(san(leaf).value) == [x509.IPAddress(ip_address(address))]
    assert common_names(leaf) == [address]


def test_a_name_too_long_for_the_subject(authority: Authority) -> None:
    leaf = authority.leaf(LONG)
    assert common_names(leaf) == []
    assert san(leaf).critical


@pytest.mark.parametrize(
    "name",
    ["", ".", "a..b", ".a", "a" * 64 + ".test", "a." * 127 + "test", "a b.test", "a\0.test", "a\n", "ü" * 70, "a\x7f"],
)
def test_names_that_can_have_none(authority: Authority, name: str) -> None:
    with pytest.raises(ValueError):
        authority.leaf(name)


def test_one_key_for_all(authority: Authority) -> None:
    key = authority.leaf("a.test").key
    assert authority.leaf("b.test").key is key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert isinstance(key.curve, ec.SECP256R1)


def test_rsa_keys(pair: CaPair) -> None:
    leaf = Authority(pair, key_type="rsa", key_length=1024).leaf("a.test")
    assert isinstance(leaf.key, rsa.RSAPrivateKey)
    assert leaf.key.key_size == 1024
    usage = leaf.certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_encipherment) == (True, True)
    leaf.certificate.verify_directly_issued_by(pair.chain[0])


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (ec.generate_private_key(ec.SECP256R1()), "sha256"),
        (ec.generate_private_key(ec.SECP384R1()), "sha384"),
        (ec.generate_private_key(ec.SECP521R1()), "sha512"),
        (rsa.generate_private_key(65537, 2048), "sha256"),
    ],
    ids=["P-256", "P-384", "P-521", "RSA"],
)
def test_the_hash_fits_the_key_of_the_ca(key: PrivateKey, name: str) -> None:
    pair = pair_of(key)
    leaf = Authority(pair).leaf("a.test")
    assert leaf.certificate.signature_hash_algorithm is not None
    assert leaf.certificate.signature_hash_algorithm.name == name
    leaf.certificate.verify_directly_issued_by(pair.chain[0])


def test_a_ca_without_key_identifier() -> None:
    pair = pair_of(ec.generate_private_key(ec.SECP256R1()), ski=False)
    leaf = Authority(pair).leaf("a.test")
    issuer = leaf.certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert issuer == x509.AuthorityKeyIdentifier.from_issuer_public_key(pair.key.public_key())


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.test", ["-verify_hostname", "a.test"]),
        ("bücher.test", ["-verify_hostname", "xn--bcher-kva.test"]),
        ("*.x.test", ["-verify_hostname", "any.x.test"]),
        ("127.0.0.1", ["-verify_ip", "127.0.0.1"]),
        ("::1", ["-verify_ip", "::1"]),
        (LONG, ["-verify_hostname", LONG]),
    ],
)
def test_openssl_accepts_it(tmp_path: Path, name: str, options: list[str]) -> None:
    cert, key = ensure_ca(tmp_path)
    path = tmp_path / "leaf.pem"
    path.write_bytes(Authority(load_ca(cert, key)).leaf(name).certificate.public_bytes(Encoding.PEM))
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", *options, "-CAfile", cert, path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == f"{path}: OK\n", done.stderr
