"""Contexts for clients: real handshakes of Python's ssl with them, without a socket."""

from __future__ import annotations

import ssl
import warnings
from pathlib import Path

import pytest
from OpenSSL import SSL

from mockrec.engine import clock
from mockrec.engine.config import TlsSettings
from mockrec.engine.tls import presented, server
from mockrec.engine.tls.authority import Authority
from mockrec.engine.tls.server import NoProtocol, ServerContexts
from mockrec.engine.tls.trust import ensure_ca, load_ca

V1, V1_1, V1_2, V1_3 = (getattr(ssl.TLSVersion, name) for name in ("TLSv1", "TLSv1_1", "TLSv1_2", "TLSv1_3"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ca")
    ensure_ca(folder)
    return folder


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(load_ca(folder / "ca.pem", folder / "ca.key"))


def choose(offers: list[bytes]) -> bytes | None:
    """The first of what is offered."""
    if offers == [b"refused"]:
        raise NoProtocol("nothing of what the client offers")
    if offers == [b"broken"]:
        raise ZeroDivisionError
    return None if offers == [b"nothing"] else offers[0]


@pytest.fixture
def contexts(authority: Authority) -> ServerContexts:
    return ServerContexts(authority, TlsSettings(), choose, None)


class Client:
    """One kind of client that trusts the CA."""

    def __init__(self, folder: Path, version: ssl.TLSVersion | None = None, *alpn: str) -> None:
        self.context = ssl.create_default_context(cafile=folder / "ca.pem")
        if version is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                self.context.minimum_version = self.context.maximum_version = version
            if version < V1_2:
                self.context.set_ciphers("DEFAULT:@SECLEVEL=0")
        if alpn:
            self.context.set_alpn_protocols(list(alpn))

    def connect(self, tls: SSL.Connection, name: str, session: ssl.SSLSession | None = None) -> ssl.SSLObject:
        """Shake hands and read a greeting. Raises what the client sees; the server's side is `self.server_error`."""
        self.server_error: Exception | None = None
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = self.context.wrap_bio(to_client, to_server, server_hostname=name, session=session)
        agreed = False
        for _ in range(6):
            try:
                client.do_handshake()
                finished = True
            except ssl.SSLWantReadError:
                finished = False
            if to_server.pending:
                tls.bio_write(to_server.read())
            if not agreed and self.server_error is None:
                try:
                    tls.do_handshake()
                    agreed = True
                except SSL.WantReadError:
                    pass
                except Exception as error:
                    self.server_error = error
            if finished and agreed:
                tls.sendall(b"hello")
            try:
                to_client.write(tls.bio_read(65536))
            except SSL.WantReadError:
                pass
            if finished and agreed:
                assert client.read(5) == b"hello"
                return client
        raise AssertionError("the handshake does not end")


@pytest.mark.parametrize("version", [V1_2, V1_3])
@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_names(folder: Path, authority: Authority, version: ssl.TLSVersion, kind: str) -> None:
    of_kind = Authority(load_ca(folder / "ca.pem", folder / "ca.key"), key_type=kind)
    contexts = ServerContexts(of_kind, TlsSettings(key_type=kind), choose, None)
    for asked, shown in (
        ("a.test", "a.test"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("bücher.test", "bücher.test"),
        ("bücher.test", "xn--bcher-kva.test"),
        ("any.x.test", "*.x.test"),
    ):
        assert Client(folder, version).connect(contexts.connection_for(shown), asked)


@pytest.mark.parametrize("function", ["SSL_use_certificate", "SSL_gone"], ids=["known", "changed"])
def test_another_pyopenssl_is_used_by_its_methods(
    folder: Path, contexts: ServerContexts, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    monkeypatch.setattr(presented, "_FUNCTIONS", (function,))
    for name in ("a.test", "b.test", "a.test"):
        assert Client(folder).connect(contexts.connection_for(name), name)


def test_another_name_is_refused(folder: Path, contexts: ServerContexts) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        Client(folder).connect(contexts.connection_for("a.test"), "b.test")


@pytest.mark.parametrize("version", [V1, V1_1, V1_2, V1_3])
def test_sessions_are_resumed(folder: Path, authority: Authority, version: ssl.TLSVersion) -> None:
    contexts = ServerContexts(authority, TlsSettings(min_version="TLSv1"), choose, None)
    client = Client(folder, version)
    first = client.connect(contexts.connection_for("a.test"), "a.test")
    second = client.connect(contexts.connection_for("a.test"), "a.test", first.session)
    assert (first.session_reused, second.session_reused) == (False, True)
    assert first.version() == second.version() == version.name.replace("_", ".")


@pytest.mark.parametrize(
    ("lowest", "version", "good"),
    [
        ("TLSv1", V1, True),
        ("TLSv1.1", V1, False),
        ("TLSv1.1", V1_1, True),
        ("TLSv1.2", V1_1, False),
        ("TLSv1.2", V1_2, True),
        ("TLSv1.3", V1_2, False),
        ("TLSv1.3", V1_3, True),
    ],
)
def test_the_lowest_version(
    folder: Path, authority: Authority, lowest: str, version: ssl.TLSVersion, good: bool
) -> None:
    contexts = ServerContexts(authority, TlsSettings(min_version=lowest), choose, None)
    client = Client(folder, version)
    if good:
        assert client.connect(contexts.connection_for("a.test"), "a.test")
    else:
        with pytest.raises(ssl.SSLError, match="alert protocol version"):
            client.connect(contexts.connection_for("a.test"), "a.test")


def test_short_rsa_keys(folder: Path) -> None:
    short = Authority(load_ca(folder / "ca.pem", folder / "ca.key"), key_type="rsa", key_length=1024)
    client = Client(folder)
    client.context.set_ciphers("DEFAULT:@SECLEVEL=0")
    assert client.connect(ServerContexts(short, TlsSettings(), choose, None).connection_for("a.test"), "a.test")


# ── ALPN ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("offers", "chosen"), [(["h2", "http/1.1"], "h2"), (["nothing"], None), ([], None)])
def test_the_protocol(folder: Path, contexts: ServerContexts, offers: list[str], chosen: str | None) -> None:
    connected = Client(folder, None, *offers).connect(contexts.connection_for("a.test"), "a.test")
    assert connected.selected_alpn_protocol() == chosen


@pytest.mark.parametrize("version", [V1_2, V1_3])
@pytest.mark.parametrize(("offer", "kind"), [("refused", NoProtocol), ("broken", ZeroDivisionError)])
def test_a_refused_client_gets_the_alert(
    folder: Path, contexts: ServerContexts, version: ssl.TLSVersion, offer: str, kind: type[Exception]
) -> None:
    client = Client(folder, version, offer)
    with pytest.raises(ssl.SSLError, match="alert no application protocol"):
        client.connect(contexts.connection_for("a.test"), "a.test")
    assert isinstance(client.server_error, kind)
    # Nothing of it is left for whoever comes next.
    assert Client(folder, version, "h2").connect(contexts.connection_for("a.test"), "a.test")


def test_a_refusal_is_a_failed_handshake() -> None:
    assert issubclass(NoProtocol, SSL.Error)


# ── keys and contexts ──────────────────────────────────────────────────────────────────────────────


def test_keys_are_logged(folder: Path, authority: Authority) -> None:
    lines: list[bytes] = []
    contexts = ServerContexts(authority, TlsSettings(), choose, lines.append)
    Client(folder, V1_3).connect(contexts.connection_for("a.test"), "a.test")
    assert {line.split()[0] for line in lines} >= {b"CLIENT_TRAFFIC_SECRET_0", b"SERVER_TRAFFIC_SECRET_0"}
    assert all(len(line.split()) == 3 and b"\n" not in line for line in lines)


def test_a_certificate_is_kept(contexts: ServerContexts) -> None:
    assert contexts.leaf_for("a.test") is contexts.leaf_for("A.test")
    assert contexts.leaf_for("b.test") is not contexts.leaf_for("a.test")


def test_the_names_used_longest_ago_are_forgotten(contexts: ServerContexts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_MOST_NAMES", 2)
    first, second = contexts.leaf_for("a.test"), contexts.leaf_for("b.test")
    assert contexts.leaf_for("a.test") is first
    contexts.leaf_for("c.test")
    assert contexts.leaf_for("a.test") is first
    assert contexts.leaf_for("b.test") is not second


def test_a_certificate_is_renewed_before_it_ends(contexts: ServerContexts, monkeypatch: pytest.MonkeyPatch) -> None:
    wall, days = clock.wall, [0.0]
    monkeypatch.setattr(clock, "wall", lambda at: wall(at) + days[0] * 86_400_000)
    first = contexts.leaf_for("a.test")
    days[0] = 44.9
    assert contexts.leaf_for("a.test") is first
    days[0] = 44.97
    second = contexts.leaf_for("a.test")
    assert second is not first
    assert contexts.leaf_for("a.test") is second


def test_no_name(contexts: ServerContexts) -> None:
    with pytest.raises(ValueError):
        contexts.connection_for("a b")
