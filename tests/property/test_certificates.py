"""Certificates made from a template are, byte for byte, those that `cryptography` builds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from mockrec.engine.tls.leaf_template import LeafTemplate, dns_name, elements, ip_address_name, validity

ORDINARY = settings(max_examples=150, deadline=None, derandomize=True)
EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
START = datetime(2030, 1, 1, tzinfo=UTC)

TIMES = st.datetimes(datetime(1950, 1, 1), datetime(9999, 12, 31)).map(
    lambda time: time.replace(microsecond=0, tzinfo=UTC)
)
LABELS = st.text("abcxyz019-_*!", min_size=1, max_size=63)
HOSTS = st.lists(LABELS, min_size=1, max_size=12).map(".".join)
NAMES = st.one_of(HOSTS.map(x509.DNSName), st.ip_addresses().map(x509.IPAddress))


def issuer(units: list[str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units])


def built(
    by: x509.Name,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    serial: int,
    times: tuple[datetime, datetime],
    common_name: str,
    names: list[x509.GeneralName],
) -> x509.Certificate:
    """The certificate that `cryptography` builds."""
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    return (
        x509.CertificateBuilder()
        .issuer_name(by)
        .subject_name(x509.Name(subject))
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(times[0])
        .not_valid_after(times[1])
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=not common_name)
        .sign(key, hashes.SHA256())
    )


@ORDINARY
@given(
    st.sampled_from([EC, RSA]),
    st.lists(st.text("abc é", min_size=1, max_size=60), max_size=12),
    st.integers(1, (1 << 159) - 1),
    st.tuples(TIMES, TIMES).map(lambda times: (min(times), max(times))),
    st.text("abc.é", max_size=64),
    st.lists(NAMES, min_size=1, max_size=2),
)
def test_the_bytes_are_those_of_cryptography(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    units: list[str],
    serial: int,
    times: tuple[datetime, datetime],
    common_name: str,
    names: list[x509.DNSName | x509.IPAddress],
) -> None:
    by = issuer(units)
    sample = built(by, key, 1, (START, START + timedelta(days=1)), "localhost", [x509.DNSName("localhost")])
    expected = built(by, key, serial, times, common_name, list(names))
    template = LeafTemplate(sample.public_bytes(Encoding.DER))
    alternatives = [
        dns_name(name.value) if isinstance(name, x509.DNSName) else ip_address_name(ip_address(str(name.value)).packed)
        for name in names
    ]
    signed = template.to_be_signed(serial, validity(*times), common_name, alternatives)
    assert signed == expected.tbs_certificate_bytes
    assert template.signed(signed, expected.signature) == expected.public_bytes(Encoding.DER)


def test_a_signature_of_the_template_is_verified() -> None:
    sample = built(issuer(["a"]), RSA, 1, (START, START + timedelta(days=1)), "localhost", [x509.DNSName("localhost")])
    template = LeafTemplate(sample.public_bytes(Encoding.DER))
    signed = template.to_be_signed(2, validity(START, START + timedelta(days=1)), "a.test", [dns_name("a.test")])
    signature = RSA.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    certificate = x509.load_der_x509_certificate(template.signed(signed, signature))
    RSA.public_key().verify(
        certificate.signature, certificate.tbs_certificate_bytes, padding.PKCS1v15(), hashes.SHA256()
    )


@given(st.lists(st.binary(max_size=300), max_size=5))
@ORDINARY
def test_elements(contents: list[bytes]) -> None:
    parts = [dns_name("a" * len(content)) for content in contents]
    assert elements(b"".join(parts)) == parts


def test_a_certificate_of_another_form() -> None:
    builder = (
        x509.CertificateBuilder(issuer(["a"]), issuer(["b"]), EC.public_key(), 1, START, START + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("a.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    with pytest.raises(ValueError, match="subjectAltName"):
        LeafTemplate(builder.sign(EC, hashes.SHA256()).public_bytes(Encoding.DER))
