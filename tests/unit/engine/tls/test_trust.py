"""The CA on disk: made once whatever happens, and every file that cannot be used said with its reason."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from mockrec.engine.errors import ConfigError
from mockrec.engine.tls import trust
from mockrec.engine.tls.trust import ca_folder, ensure_ca, fingerprint_sha256, load_ca, load_certificates, spki_sha256

NOW = datetime.now(UTC).replace(microsecond=0)
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def certificate(
    key: Key, *, ca: bool | None = True, signs: bool | None = True, until: datetime = NOW + timedelta(days=9)
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a CA")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(until - timedelta(days=30))
        .not_valid_after(until)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    if signs is not None:
        builder = builder.add_extension(trust.key_usage(digital_signature=True, key_cert_sign=signs), critical=True)
    return builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


Save = Callable[..., tuple[Path, Path]]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Writes a pair of files."""

    def write(cert: x509.Certificate | bytes, key: Key | bytes) -> tuple[Path, Path]:
        paths = tmp_path / "own.pem", tmp_path / "own.key"
        paths[0].write_bytes(cert if isinstance(cert, bytes) else cert.public_bytes(Encoding.PEM))
        paths[1].write_bytes(key if isinstance(key, bytes) else pem(key))
        return paths

    return write


def pem(key: Key, form: PrivateFormat = PrivateFormat.PKCS8, passphrase: bytes | None = None) -> bytes:
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, form, encryption)


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


# ── where ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("platform", "env", "folder"),
    [
        ("linux", {"HOME": "/h"}, "/h/.local/share/mockrec"),
        ("linux", {"HOME": "/h", "XDG_DATA_HOME": "/x"}, "/x/mockrec"),
        ("linux", {"HOME": "/h", "XDG_DATA_HOME": "relative"}, "/h/.local/share/mockrec"),
        ("linux", {"HOME": "/h", "XDG_DATA_HOME": "/x", "MOCKREC_CA_DIR": "/m"}, "/m"),
        ("linux", {"HOME": "/h", "MOCKREC_CA_DIR": ""}, "/h/.local/share/mockrec"),
        ("darwin", {"HOME": "/h", "XDG_DATA_HOME": "/x"}, "/h/Library/Application Support/mockrec"),
        ("win32", {"LOCALAPPDATA": "/l"}, "/l/mockrec"),
        ("win32", {"HOME": "/h"}, "/h/AppData/Local/mockrec"),
        ("win32", {"MOCKREC_CA_DIR": "/m"}, "/m"),
    ],
)
def test_the_folder(monkeypatch: pytest.MonkeyPatch, platform: str, env: dict[str, str], folder: str) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert ca_folder(env) == Path(folder)


def test_no_home_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(ConfigError, match="MOCKREC_CA_DIR"):
        ca_folder({})


# ── made once ──────────────────────────────────────────────────────────────────────────────────────


def test_a_new_ca(tmp_path: Path) -> None:
    cert, key = ensure_ca(tmp_path / "deep" / "mockrec")
    assert (cert, key) == (tmp_path / "deep" / "mockrec" / "ca.pem", tmp_path / "deep" / "mockrec" / "ca.key")
    (ca,) = load_ca(cert, key).chain
    (name,) = ca.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert str(name.value).startswith("mockrec testing CA (")
    assert str(name.value).endswith(") - do not trust elsewhere")
    assert ca.issuer == ca.subject
    assert isinstance(ca.signature_hash_algorithm, hashes.SHA256)
    now = datetime.now(UTC)
    assert now - timedelta(hours=25) < ca.not_valid_before_utc < now - timedelta(hours=23)
    assert now + timedelta(days=3649) < ca.not_valid_after_utc < now + timedelta(days=3651)
    constraints = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca) == (True, True)
    usage = ca.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert (usage.value.key_cert_sign, usage.value.crl_sign, usage.value.digital_signature) == (True, True, True)
    assert not usage.value.key_encipherment
    assert ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    ca.verify_directly_issued_by(ca)


@pytest.mark.skipif(os.name == "nt", reason="modes are a thing of POSIX")
def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    cert, key = ensure_ca(tmp_path / "mockrec")
    assert [path.stat().st_mode & 0o777 for path in (cert.parent, cert, key)] == [0o700, 0o600, 0o600]
    assert sorted(path.name for path in cert.parent.iterdir()) == ["ca.key", "ca.pem"]


def test_it_stays(tmp_path: Path) -> None:
    first = [path.read_bytes() for path in ensure_ca(tmp_path)]
    assert [path.read_bytes() for path in ensure_ca(tmp_path)] == first


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from mockrec.engine.tls.trust import *; sys.stdin.read();"
        "pair = load_ca(*ensure_ca(Path(sys.argv[1]))); print(fingerprint_sha256(pair.chain[0]))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "mockrec")]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    said = [process.communicate() for process in started]
    assert [process.returncode for process in started] == [0] * 4, said
    assert len({out for out, _ in said}) == 1
    assert sorted(path.name for path in (tmp_path / "mockrec").iterdir()) == ["ca.key", "ca.pem"]


def test_who_comes_second_uses_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    publish = trust._publish

    def overtaken(path: Path, data: bytes) -> None:
        if path.name == "ca.key":
            publish(path, pem(other))
        publish(path, data)

    monkeypatch.setattr(trust, "_publish", overtaken)
    assert load_ca(*ensure_ca(tmp_path)).key.public_key() == other.public_key()


def test_a_process_that_died_in_between(tmp_path: Path) -> None:
    cert, key = ensure_ca(tmp_path)
    before = key.read_bytes()
    cert.unlink()
    ensure_ca(tmp_path)
    assert key.read_bytes() == before
    load_ca(cert, key)


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(source: str, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    load_ca(*ensure_ca(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ca.key", "ca.pem"]


def test_names_that_do_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "jürgen" * 30)
    (ca,) = load_certificates(ensure_ca(tmp_path)[0])
    assert all(len(str(attribute.value)) <= 64 and str(attribute.value).isascii() for attribute in ca.subject)


def test_a_user_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr("getpass.getuser", nobody)
    load_ca(*ensure_ca(tmp_path))


# ── not usable ─────────────────────────────────────────────────────────────────────────────────────


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError) as caught:
        ensure_ca(tmp_path / "file" / "mockrec")
    assert str(caught.value) == (
        f"cannot make a CA in {tmp_path / 'file' / 'mockrec'}: Not a directory; give another folder with MOCKREC_CA_DIR"
    )


def _expire(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    (folder / "ca.key").write_bytes(pem(key))
    (folder / "ca.pem").write_bytes(certificate(key, until=NOW - timedelta(days=1)).public_bytes(Encoding.PEM))


def _exchange(folder: Path) -> None:
    (folder / "ca.key").write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_expire, "expired at"),
        (_exchange, "does not belong to"),
        (lambda folder: (folder / "ca.key").unlink(), "cannot read the CA's key"),
        (lambda folder: (folder / "ca.key").write_text(""), "holds no PEM private key"),
        (lambda folder: (folder / "ca.pem").write_text("nothing"), "holds no PEM certificate"),
    ],
)
def test_an_own_ca_is_never_replaced_but_one_learns_how(
    tmp_path: Path, spoil: Callable[[Path], object], reason: str
) -> None:
    cert, key = ensure_ca(tmp_path)
    spoil(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ConfigError) as caught:
        ensure_ca(tmp_path)
    assert reason in str(caught.value)
    assert f"delete {cert} and {key} to get a new CA" in str(caught.value)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_rsa(save: Save, rsa_key: rsa.RSAPrivateKey, form: PrivateFormat) -> None:
    assert load_ca(*save(certificate(rsa_key), pem(rsa_key, form))).key.public_key() == rsa_key.public_key()


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_curves(save: Save, curve: ec.EllipticCurve, form: PrivateFormat) -> None:
    key = ec.generate_private_key(curve)
    assert load_ca(*save(certificate(key), pem(key, form))).key.public_key() == key.public_key()


def test_one_file_for_everything(save: Save, rsa_key: rsa.RSAPrivateKey) -> None:
    other = certificate(ec.generate_private_key(ec.SECP256R1()))
    ca = certificate(rsa_key)
    both = b"some words\n" + pem(rsa_key) + ca.public_bytes(Encoding.PEM) + other.public_bytes(Encoding.PEM)
    path, _ = save(both, both)
    pair = load_ca(path, path)
    assert pair.chain == (ca, other)
    assert pair.key.public_key() == rsa_key.public_key()


def test_parameters_before_the_key(save: Save) -> None:
    """As `openssl ecparam -genkey` writes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    load_ca(*save(certificate(key), parameters + pem(key, PrivateFormat.TraditionalOpenSSL)))


def test_a_ca_without_key_usage(save: Save) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    load_ca(*save(certificate(key, signs=None), key))


@pytest.mark.parametrize(("ca", "signs"), [(False, None), (None, None), (True, False), (False, True)])
def test_not_a_ca(save: Save, ca: bool | None, signs: bool | None) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    cert, path = save(certificate(key, ca=ca, signs=signs), key)
    with pytest.raises(ConfigError, match="is not that of a CA; give one with CA:TRUE") as caught:
        load_ca(cert, path)
    assert str(cert) in str(caught.value)


def test_an_expired_ca(save: Save) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(ConfigError, match=r"own\.pem expired at .*; renew it"):
        load_ca(*save(certificate(key, until=NOW - timedelta(seconds=1)), key))


def test_a_key_of_another(save: Save, rsa_key: rsa.RSAPrivateKey) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    for other in (rsa_key, ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())):
        with pytest.raises(ConfigError, match=r"own\.key does not belong to the certificate in .*own\.pem"):
            load_ca(*save(certificate(key), other))


def test_an_encrypted_key(save: Save, rsa_key: rsa.RSAPrivateKey) -> None:
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        with pytest.raises(ConfigError, match=r"own\.key is encrypted; .*openssl pkey -in "):
            load_ca(*save(certificate(rsa_key), pem(rsa_key, form, b"secret")))


def test_unsupported_kinds(save: Save) -> None:
    for key in (ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256K1())):
        with pytest.raises(ConfigError, match=r"own\.key is of a kind .*; give RSA, P-256, P-384 or P-521"):
            load_ca(*save(certificate(key), key))


def test_files_that_are_something_else(save: Save) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    good = certificate(key)
    broken = b"-----BEGIN %s-----\nAAAA\n-----END %s-----\n"
    for cert, private, message in (
        (good.public_bytes(Encoding.DER), key, r"own\.pem holds no PEM certificate; .*openssl x509"),
        (broken % (b"CERTIFICATE", b"CERTIFICATE"), key, r"a certificate in .*own\.pem cannot be read"),
        (good, good.public_bytes(Encoding.PEM), r"own\.key holds no PEM private key; .*openssl pkey"),
        (good, broken % (b"PRIVATE KEY", b"PRIVATE KEY"), r"the key in .*own\.key cannot be read"),
    ):
        with pytest.raises(ConfigError, match=message):
            load_ca(*save(cert, private))


def test_missing_files(tmp_path: Path) -> None:
    cert, key = ensure_ca(tmp_path)
    nowhere = tmp_path / "nowhere"
    with pytest.raises(ConfigError, match=r"cannot read the CA's certificate .*nowhere: No such file"):
        load_ca(nowhere, key)
    with pytest.raises(ConfigError, match=r"cannot read the CA's key .*nowhere: No such file"):
        load_ca(cert, nowhere)
    with pytest.raises(ConfigError, match=r"cannot read the CA's certificate .*: Is a directory"):
        load_certificates(tmp_path)


# ── what identifies it ─────────────────────────────────────────────────────────────────────────────


def test_fingerprints(rsa_key: rsa.RSAPrivateKey) -> None:
    ca = certificate(rsa_key)
    spki = rsa_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert base64.b64decode(spki_sha256(ca)) == hashlib.sha256(spki).digest()
    digest = hashlib.sha256(ca.public_bytes(Encoding.DER)).hexdigest().upper()
    assert fingerprint_sha256(ca).replace(":", "") == digest
    assert fingerprint_sha256(ca).count(":") == 31
