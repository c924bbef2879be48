"""TLS towards servers: real handshakes, without a socket, with certificates of every kind that servers show."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from OpenSSL import SSL

from mockrec.engine.errors import ConfigError
from mockrec.engine.tls import client
from mockrec.engine.tls.client import CertificateVerdict, ClientContexts, check_name, client_connection

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
DAY = timedelta(days=1)


@dataclass
class Pair:
    """A certificate with its key, and the authorities over it."""

    certificate: x509.Certificate
    key: Key
    above: list[x509.Certificate] = field(default_factory=list)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def pem_key(self, passphrase: bytes | None = None) -> bytes:
        encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)

    def pfx(self, passphrase: bytes | None = None) -> bytes:
        encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
        assert isinstance(self.key, ec.EllipticCurvePrivateKey)
        return pkcs12.serialize_key_and_certificates(b"x", self.key, self.certificate, self.above, encryption)


def pair(
    name: str,
    *names: str,
    issuer: Pair | None = None,
    ca: bool = False,
    starts: timedelta = -DAY,
    ends: timedelta = DAY,
    key: Key | None = None,
) -> Pair:
    """A certificate for `names` (host names, addresses), self-signed without an issuer."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        issuer.certificate.subject if issuer is not None else subject,
        subject,
        key.public_key(),
        x509.random_serial_number(),
        now + starts,
        now + ends,
    ).add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_san(one) for one in names]), critical=False)
    certificate = builder.sign(issuer.key if issuer is not None else key, hashes.SHA256())
    above = [issuer.certificate, *issuer.above] if issuer is not None else []
    return Pair(certificate, key, above)


def _san(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


ROOT = pair("Test root", ca=True)
INTERMEDIATE = pair("Test intermediate", issuer=ROOT, ca=True)
FOREIGN = pair("Foreign root", ca=True)
GOOD = pair("a.test", "a.test", "*.b.test", "127.0.0.1", "::1", issuer=ROOT)
BELOW = pair("a.test", "a.test", issuer=INTERMEDIATE)
CLIENT = pair("client", issuer=INTERMEDIATE)


class Files:
    """Writes files and knows where they are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, name: str, *contents: bytes) -> str:
        path = self.folder / name
        path.write_bytes(b"".join(contents))
        return str(path)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def root(files: Files) -> str:
    return files("root.pem", ROOT.pem)


def server_context(shown: Pair, *, without: int = 0, version: int | None = None, asks: bool = False) -> SSL.Context:
    """A server that shows its certificate and what is above it but for the last `without`."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_certificate(shown.certificate)
    context.use_privatekey(shown.key)
    for certificate in shown.above[: len(shown.above) - without]:
        context.add_extra_chain_cert(certificate)
    if version is not None:
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
        context.set_cipher_list(b"ALL:@SECLEVEL=0")
    if asks:
        context.set_verify(SSL.VERIFY_PEER, lambda *seen: True)
    return context


class Met:
    """What a client of ours and a server have made of one another."""

    def __init__(
        self, context: SSL.Context, server: SSL.Context, hostname: str = "a.test", alpn: list[bytes] | None = None
    ) -> None:
        self.verdict = CertificateVerdict()
        self.client = client_connection(context, hostname, self.verdict, alpn)
        self.server = SSL.Connection(server, None)
        self.server.set_accept_state()
        self.hostname = hostname
        self.failed = False
        for _ in range(4):
            self._turn(self.client, self.server)
            self._turn(self.server, self.client)

    def _turn(self, one: SSL.Connection, other: SSL.Connection) -> None:
        try:
            one.do_handshake()
        except SSL.WantReadError:
            pass
        except SSL.Error:
            self.failed = True
        try:
            other.bio_write(one.bio_read(1 << 20))
        except SSL.WantReadError:
            pass

    @property
    def outcome(self) -> str:
        """The code of what is wrong with the server's certificate, what is wrong with its name, or nothing."""
        if self.failed:
            return self.verdict.code
        assert self.verdict.code == ""
        return check_name(self.client, self.hostname)

    @property
    def certificates_of_client(self) -> list[str]:
        own = self.server.get_peer_certificate(as_cryptography=True)
        chain = [own, *(self.server.get_peer_cert_chain(as_cryptography=True) or [])] if own is not None else []
        return [str(found.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value) for found in chain]


def meet(
    shown: Pair,
    *trusted: str,
    hostname: str = "a.test",
    without: int = 0,
    version: int | None = None,
    verify: bool = True,
) -> Met:
    context = ClientContexts().context_for(trusted, verify=verify)
    return Met(context, server_context(shown, without=without, version=version), hostname)


# ── whom we trust ──────────────────────────────────────────────────────────────────────────────────


def test_a_server_of_a_trusted_authority_is_good(root: str) -> None:
    met = meet(GOOD, root)
    assert (met.outcome, met.verdict.code, met.verdict.text) == ("", "", "")
    assert met.client.get_protocol_version_name() == "TLSv1.3"
    assert met.server.get_servername() == b"a.test"


def test_the_bundle_of_macos_and_bsd_is_trusted(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "BSD_BUNDLE", root)
    monkeypatch.setattr(client, "SYSTEM_BUNDLES", ("/nowhere", root))
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    assert meet(GOOD).outcome == ""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")  # replaces the system's roots, as in other programs
    assert meet(GOOD).failed


def test_without_a_bundle_the_roots_are_those_of_certifi(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "SYSTEM_BUNDLES", ())
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: SimpleNamespace(cafile=None, capath=None))
    monkeypatch.setattr(certifi, "where", lambda: root)
    assert meet(GOOD).outcome == ""


def test_an_intermediate_authority_may_stand_between(root: str) -> None:
    assert meet(BELOW, root).outcome == ""


def test_a_trusted_intermediate_authority_is_enough(files: Files) -> None:
    assert meet(BELOW, files("intermediate.pem", INTERMEDIATE.pem)).outcome == ""
    assert meet(BELOW, files("intermediate.pem", INTERMEDIATE.pem), without=2).outcome == ""


def test_a_trusted_certificate_of_the_server_itself_is_enough(files: Files) -> None:
    alone = pair("a.test", "a.test")
    assert meet(alone, files("leaf.pem", alone.pem)).outcome == ""
    assert meet(BELOW, files("leaf.pem", BELOW.pem)).outcome == ""


def test_a_file_may_hold_several_and_the_same_again(files: Files) -> None:
    both = files("both.pem", FOREIGN.pem, b"# and\n", ROOT.pem, ROOT.pem)
    assert meet(GOOD, both, both).outcome == ""
    assert meet(pair("a.test", "a.test", issuer=FOREIGN), both).outcome == ""


@pytest.mark.parametrize(
    ("shown", "without", "code", "text"),
    [
        (pair("a.test", "a.test", issuer=FOREIGN), 0, "SELF_SIGNED_CERT_IN_CHAIN", "the authority of its certificate is not trusted; name its PEM file in upstream.trustedCAs or by --trust to accept it"),
        (pair("a.test", "a.test", issuer=FOREIGN), 1, "UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "the authority of its certificate is not known; name its PEM file in upstream.trustedCAs or by --trust to accept it"),
        (pair("a.test", "a.test"), 0, "DEPTH_ZERO_SELF_SIGNED_CERT", "its certificate is self-signed and not among the trusted ones; name its PEM file in upstream.trustedCAs or by --trust to accept it"),
        (pair("a.test", "a.test", issuer=ROOT, starts=-2 * DAY, ends=-DAY), 0, "CERT_HAS_EXPIRED", "its certificate has expired"),
        (pair("a.test", "a.test", issuer=ROOT, starts=DAY, ends=2 * DAY), 0, "CERT_NOT_YET_VALID", "its certificate is not yet valid"),
        (pair("a.test", "a.test", issuer=pair("no authority", issuer=ROOT)), 0, "INVALID_CA", "the issuer of its certificate is not an authority"),
    ],
)  # fmt: skip
def test_a_server_that_is_not_trusted(shown: Pair, without: int, code: str, text: str, root: str) -> None:
    met = meet(shown, root, without=without)
    assert met.failed
    assert (met.outcome, met.verdict.text) == (code, text)


def test_the_first_fault_counts() -> None:
    verdict = CertificateVerdict()
    verdict.add(10)
    verdict.add(19)
    assert (verdict.code, verdict.text) == ("CERT_HAS_EXPIRED", "its certificate has expired")


def test_a_fault_without_a_name_has_its_number() -> None:
    verdict = CertificateVerdict()
    verdict.add(999)
    assert verdict.code == "UNABLE_TO_VERIFY_CERTIFICATE"
    assert verdict.text == "OpenSSL does not accept its certificate (error 999)"


# ── whose name it is ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("hostname", "sni"),
    [
        ("a.test", b"a.test"),
        ("A.TEST", b"A.TEST"),
        ("a.test.", b"a.test"),
        ("x.b.test", b"x.b.test"),
        ("127.0.0.1", None),
        ("::1", None),
    ],
)
def test_names_that_the_certificate_is_for(hostname: str, sni: bytes | None, root: str) -> None:
    met = meet(GOOD, root, hostname=hostname)
    assert met.outcome == ""
    assert met.server.get_servername() == sni


def test_an_international_name_is_spoken_as_ascii(root: str) -> None:
    met = meet(pair("x", "xn--mnchen-3ya.test", issuer=ROOT), root, hostname="münchen.test")
    assert met.outcome == ""
    assert met.server.get_servername() == b"xn--mnchen-3ya.test"


@pytest.mark.parametrize(
    "hostname", ["b.test", "x.a.test", "y.x.b.test", "b.test.", "127.0.0.2", "::2", "fe80::1%eth0", "a_b.c.test"]
)
def test_names_that_it_is_not_for(hostname: str, root: str) -> None:
    met = meet(GOOD, root, hostname=hostname)
    assert met.outcome == f"its certificate is for a.test, *.b.test, 127.0.0.1, ::1, not for {hostname}"


@pytest.mark.parametrize("spoiler", ["*.localhost", "a.*.test", "*", "w*.test", "*.*.test", ""])
def test_a_name_that_is_no_pattern_spoils_no_other(spoiler: str, root: str) -> None:
    shown = pair("localhost", "localhost", spoiler, issuer=ROOT)
    assert meet(shown, root, hostname="localhost").outcome == ""
    assert "not for a.localhost" in meet(shown, root, hostname="a.localhost").outcome


def test_the_common_name_alone_is_no_name(root: str) -> None:
    met = meet(pair("a.test", issuer=ROOT), root)
    assert met.outcome == "its certificate is for no name (it has no subjectAltName), not for a.test"


def test_of_many_names_some_are_told(root: str) -> None:
    met = meet(pair("x", *(f"n{number}.test" for number in range(9)), issuer=ROOT), root)
    assert met.outcome == "its certificate is for n0.test, n1.test, n2.test, n3.test, n4.test, not for a.test"


def test_a_server_without_a_certificate_is_nobody() -> None:
    connection = client_connection(ClientContexts().context_for((), verify=False), "a.test")
    assert check_name(connection, "a.test") == "the server showed no certificate"


# ── errors that are to be ignored ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "shown",
    [pair("x"), pair("x", issuer=FOREIGN), pair("x", ends=-timedelta(hours=1)), GOOD],
    ids=["self-signed", "foreign", "expired", "good"],
)
def test_with_errors_ignored_any_certificate_will_do(shown: Pair) -> None:
    met = meet(shown, verify=False)
    assert not met.failed
    assert met.verdict.code == ""


@pytest.mark.parametrize(
    ("version", "verify", "agreed"),
    [
        (SSL.TLS1_VERSION, False, True),
        (SSL.TLS1_1_VERSION, False, True),
        (SSL.TLS1_2_VERSION, False, True),
        (SSL.TLS1_1_VERSION, True, False),
        (SSL.TLS1_2_VERSION, True, True),
        (SSL.TLS1_3_VERSION, True, True),
    ],
)
def test_old_versions_are_spoken_only_where_errors_are_ignored(
    version: int, verify: bool, agreed: bool, root: str
) -> None:
    rsa_pair = pair("a.test", "a.test", issuer=ROOT, key=rsa.generate_private_key(65537, 2048))
    met = meet(rsa_pair, root, version=version, verify=verify)
    assert met.failed is not agreed
    if agreed:
        assert met.client.get_protocol_version() == version


# ── contexts ───────────────────────────────────────────────────────────────────────────────────────


def test_a_context_is_made_once_for_each_set_of_options(root: str, files: Files) -> None:
    contexts = ClientContexts()
    pem = {"cert": files("c.pem", CLIENT.pem), "key": files("c.key", CLIENT.pem_key())}
    made = [
        contexts.context_for((), verify=True),
        contexts.context_for((), verify=False),
        contexts.context_for((root,), verify=True),
        contexts.context_for((root,), verify=True, certificate=pem),
    ]
    assert len(set(made)) == 4
    assert contexts.context_for((root,), verify=True, certificate=dict(reversed(pem.items()))) is made[3]
    assert contexts.context_for((), verify=True) is made[0]


def test_protocols_are_offered(root: str) -> None:
    server = server_context(GOOD)
    server.set_alpn_select_callback(lambda connection, offers: offers[-1])
    met = Met(ClientContexts().context_for((root,), verify=True), server, alpn=[b"h2", b"http/1.1"])
    assert met.client.get_alpn_proto_negotiated() == b"http/1.1"


def test_keys_are_told_to_the_key_log(root: str) -> None:
    lines: list[bytes] = []
    Met(ClientContexts(lines.append).context_for((root,), verify=True), server_context(GOOD))
    assert any(line.startswith(b"CLIENT_HANDSHAKE_TRAFFIC_SECRET ") for line in lines)


# ── certificates of ours ───────────────────────────────────────────────────────────────────────────

Given = Callable[[Files], Mapping[str, str]]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (lambda write: {"cert": write("c.pem", CLIENT.pem), "key": write("c.key", CLIENT.pem_key())}, ["client"]),
        (lambda write: {"cert": write("c.pem", CLIENT.pem_key(), CLIENT.pem)}, ["client"]),
        (
            lambda write: {
                "cert": write("c.pem", CLIENT.pem, INTERMEDIATE.pem),
                "key": write("c.key", CLIENT.pem_key(b"secret")),
                "passphrase": "secret",
            },
            ["client", "Test intermediate"],
        ),
        (lambda write: {"pfx": write("c.pfx", CLIENT.pfx())}, ["client", "Test intermediate", "Test root"]),
        (
            lambda write: {"pfx": write("c.pfx", CLIENT.pfx("gehéim".encode())), "passphrase": "gehéim"},
            ["client", "Test intermediate", "Test root"],
        ),
        (
            lambda write: {"pfx": write("c.pfx", CLIENT.pfx()), "passphrase": ""},
            ["client", "Test intermediate", "Test root"],
        ),
    ],
)
def test_we_come_with_a_certificate(given: Given, shown: list[str], root: str, files: Files) -> None:
    context = ClientContexts().context_for((root,), verify=True, certificate=given(files))
    met = Met(context, server_context(GOOD, asks=True))
    assert met.outcome == ""
    assert met.certificates_of_client == shown


def test_without_one_we_come_with_none(root: str) -> None:
    met = Met(ClientContexts().context_for((root,), verify=True), server_context(GOOD, asks=True))
    assert met.outcome == ""
    assert met.certificates_of_client == []


def test_a_certificate_is_shown_also_where_errors_are_ignored(files: Files) -> None:
    given = {"pfx": files("c.pfx", CLIENT.pfx())}
    met = Met(ClientContexts().context_for((), verify=False, certificate=given), server_context(GOOD, asks=True))
    assert met.certificates_of_client[0] == "client"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (lambda write: {"cert": "/nowhere/c.pem", "key": "k"}, "cannot read /nowhere/c.pem: No such file or directory"),
        (lambda write: {"cert": write("c.pem", CLIENT.pem), "key": "/nowhere/k"}, "cannot read /nowhere/k: No such file or directory"),
        (lambda write: {"pfx": "/nowhere/c.pfx"}, "cannot read /nowhere/c.pfx: No such file or directory"),
        (lambda write: {"cert": write("c.pem", b"x"), "key": "k"}, "{}/c.pem holds no PEM certificate"),
        (lambda write: {"cert": write("c.pem", CLIENT.pem), "key": write("k", b"x")}, "cannot use {}/k: "),
        (lambda write: {"cert": write("c.pem", CLIENT.pem)}, "cannot use {}/c.pem: "),
        (lambda write: {"pfx": write("c.pfx", b"x")}, "cannot use {}/c.pfx: "),
        (lambda write: {"pfx": write("c.pfx", CLIENT.pfx(b"secret"))}, "cannot use {}/c.pfx: "),
        (lambda write: {"pfx": write("c.pfx", CLIENT.pfx(b"secret")), "passphrase": "no"}, "cannot use {}/c.pfx: "),
        (
            lambda write: {"cert": write("c.pem", CLIENT.pem), "key": write("k", CLIENT.pem_key(b"secret"))},
            "cannot use {}/k: ",
        ),
        (
            lambda write: {"cert": write("c.pem", CLIENT.pem), "key": write("k", CLIENT.pem_key(b"secret")), "passphrase": "no"},
            "cannot use {}/k: ",
        ),
        (
            lambda write: {"cert": write("c.pem", CLIENT.pem), "key": write("k", ROOT.pem_key())},
            "the key in {}/k is not that of the certificate",
        ),
        (
            lambda write: {"pfx": write("c.pfx", pkcs12.serialize_key_and_certificates(b"x", None, CLIENT.certificate, None, NoEncryption()))},
            "{}/c.pfx holds no certificate with its key",
        ),
        (
            lambda write: {"pfx": write("c.pfx", pkcs12.serialize_key_and_certificates(b"x", CLIENT.key, None, None, NoEncryption()))},
            "{}/c.pfx holds no certificate with its key",
        ),
        (
            lambda write: {"cert": write("c.pem", WEAK.pem), "key": write("k", WEAK.pem_key())},
            "OpenSSL does not accept {}/k: ee key too small",
        ),
    ],
)  # fmt: skip
def test_files_that_are_no_certificate_of_ours(given: Given, text: str, files: Files) -> None:
    with pytest.raises(ConfigError) as caught:
        ClientContexts().context_for((), verify=True, certificate=given(files))
    expected = "upstream.clientCertificates: " + text.format(files.folder)
    assert str(caught.value).startswith(expected)
    assert str(caught.value) == expected or text.endswith(": ")


WEAK = pair("weak", key=rsa.generate_private_key(65537, 1024))


@pytest.mark.parametrize(
    ("contents", "text"),
    [
        (None, "cannot read {}/ca.pem: No such file or directory"),
        (b"", "{}/ca.pem holds no PEM certificate"),
        (b"no certificate", "{}/ca.pem holds no PEM certificate"),
        (ROOT.certificate.public_bytes(Encoding.DER), "{}/ca.pem holds no PEM certificate"),
        (ROOT.pem_key(), "{}/ca.pem holds no PEM certificate"),
        (ROOT.pem[:200] + ROOT.pem[300:], "{}/ca.pem holds no PEM certificate"),
    ],
)
def test_files_that_hold_nobody_to_trust(contents: bytes | None, text: str, files: Files) -> None:
    path = str(files.folder / "ca.pem")
    if contents is not None:
        files("ca.pem", contents)
    with pytest.raises(ConfigError) as caught:
        ClientContexts().context_for((path,), verify=True)
    assert str(caught.value) == "upstream.trustedCAs: " + text.format(files.folder)


def test_a_folder_is_no_file_to_trust(files: Files) -> None:
    with pytest.raises(ConfigError, match="cannot read .*: Is a directory"):
        ClientContexts().context_for((str(files.folder),), verify=True)
