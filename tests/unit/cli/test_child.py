"""The environment of COMMAND, and the way to servers where its own environment had a proxy."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import pkcs12

from mockrec.cli.child import environment, outer_proxy
from mockrec.cli.trust import TrustFiles
from mockrec.engine.config import UpstreamSettings
from mockrec.engine.tls.trust import ensure_ca

URL = "http://127.0.0.1:8123"
BUNDLES = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "AWS_CA_BUNDLE",
    "PIP_CERT",
    "CARGO_HTTP_CAINFO",
)


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    return ensure_ca(tmp_path / "ca")[0]


def test_without_an_authority_only_the_proxy_is_named() -> None:
    env = environment({"HOME": "/h"}, URL, 8123, None)
    assert {env[name] for name in ("HTTP_PROXY", "https_proxy", "ALL_PROXY", "MOCKREC_URL")} == {URL}
    assert env["NODE_USE_ENV_PROXY"] == "1"
    assert not {"SSL_CERT_FILE", "MOCKREC_CA"} & env.keys()


def test_every_client_finds_the_authority(ca: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.pem"
    mine.write_text("-----BEGIN CERTIFICATE-----\nmine\n-----END CERTIFICATE-----\n")
    trust = TrustFiles(ca)
    env = environment({"REQUESTS_CA_BUNDLE": str(mine), "NODE_EXTRA_CA_CERTS": str(mine)}, URL, 8123, None, trust)
    assert env["MOCKREC_CA"] == str(ca)
    authority = ca.read_text().strip()
    for name in BUNDLES:
        assert authority in Path(env[name]).read_text(), name
    assert "mine" in Path(env["REQUESTS_CA_BUNDLE"]).read_text()
    assert "mine" not in Path(env["SSL_CERT_FILE"]).read_text()
    # These are read besides the client's own roots.
    assert Path(env["NODE_EXTRA_CA_CERTS"]).read_text().split() == (mine.read_text() + authority).split()
    assert Path(env["DENO_CERT"]).read_text().strip() == authority
    assert Path(env["WGETRC"]).read_text().splitlines()[-1] == f"ca_certificate = {env['SSL_CERT_FILE']}"
    folder = Path(env["SSL_CERT_FILE"]).parent
    assert folder.stat().st_mode & 0o777 == 0o700
    trust.remove()
    assert not folder.exists()


@pytest.mark.filterwarnings("ignore:Parsed a serial number")  # of an old root of the system
def test_java_gets_a_trust_store(ca: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", "/java")
    trust = TrustFiles(ca)
    env = environment({"JAVA_TOOL_OPTIONS": "-Dmine=1"}, URL, 8123, "a.test,b.test", trust)
    options = dict(word[2:].split("=", 1) for word in env["JAVA_TOOL_OPTIONS"].split())
    assert options["mine"] == "1"
    assert (options["https.proxyHost"], options["https.proxyPort"]) == ("127.0.0.1", "8123")
    assert options["http.nonProxyHosts"] == "a.test|*.a.test|b.test|*.b.test"
    store = pkcs12.load_pkcs12(Path(options["javax.net.ssl.trustStore"]).read_bytes(), b"changeit")
    assert len(store.additional_certs) >= 1
    trust.remove()


@pytest.mark.parametrize(
    ("outer", "plain", "secure"),
    [
        ({}, None, None),
        ({"HTTP_PROXY": "http://a:1"}, "http://a:1", ""),
        ({"HTTP_PROXY": "http://a:1", "https_proxy": "b:2"}, "http://a:1", "http://b:2"),
        ({"ALL_PROXY": "socks5h://c:3"}, "socks5h://c:3", "socks5h://c:3"),
        ({"http_proxy": "http://low:1", "HTTP_PROXY": "http://high:1"}, "http://low:1", ""),
    ],
)
def test_the_proxy_of_the_outer_environment(outer: dict[str, str], plain: str | None, secure: str | None) -> None:
    found = outer_proxy(UpstreamSettings(), {**outer, "NO_PROXY": "x.test, y.test"})
    assert (found.proxy, found.secure_proxy) == (plain, secure)
    assert found.no_proxy == (() if plain is None else ("x.test", "y.test", "localhost", "127.0.0.1", "::1"))


def test_the_rule_file_is_stronger_than_the_environment() -> None:
    settings = UpstreamSettings(proxy="http://mine:1")
    assert outer_proxy(settings, {"HTTP_PROXY": "http://a:1"}) is settings


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_exceptions_are_kept_under_both_names_without_those_that_hide_tests(name: str) -> None:
    hosts = "a.test, localhost,127.0.0.1:80,.localhost,::1,[::1]:8080,127.0.0.0/8,::1/128,*,10.0.0.0/8"
    env = environment({name: hosts}, URL, 8123, None)
    assert env["NO_PROXY"] == env["no_proxy"] == "a.test,10.0.0.0/8"
    env = environment({name: hosts}, URL, 8123, "localhost,*")
    assert env["NO_PROXY"] == env["no_proxy"] == "localhost,*", "what the option says holds as it is"


@pytest.mark.parametrize(
    ("hosts", "patterns"),
    [
        ("", ""),
        ("*", "*"),
        ("a.test", "a.test|*.a.test"),
        (".a.test:80, *.b.test", "a.test|*.a.test|b.test|*.b.test"),
        ("10.0.0.1:80,::1,[::1]:80", "10.0.0.1|[::1]"),
    ],
)
def test_exceptions_in_the_language_of_java(hosts: str, patterns: str) -> None:
    env = environment({"JAVA_TOOL_OPTIONS": "-Da='b  c'"}, URL, 8123, hosts)
    assert env["JAVA_TOOL_OPTIONS"].startswith("-Da='b  c' -Dhttp.proxyHost=127.0.0.1 "), "and its own stay as they are"
    assert env["JAVA_TOOL_OPTIONS"].endswith(f"-Dhttp.nonProxyHosts={patterns}")


def test_exceptions_to_everything_hold_on_the_way_out() -> None:
    found = outer_proxy(UpstreamSettings(), {"HTTP_PROXY": "http://a:1", "NO_PROXY": "*"})
    assert found.no_proxy[0] == "*"
