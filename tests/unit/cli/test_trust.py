"""The files that make COMMAND trust the authority: what is in them, and that nothing else is lost."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest

from mockrec.cli import trust
from mockrec.cli.trust import TrustFiles
from mockrec.engine.tls.trust import ensure_ca


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    return ensure_ca(tmp_path / "ca")[0]


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """What the system trusts, here another authority."""
    pem = ensure_ca(tmp_path / "system")[0].read_bytes()
    monkeypatch.setattr(trust, "_system_roots", lambda: pem)
    return pem


def certificates(path: str) -> int:
    return ssl.create_default_context(cafile=path).cert_store_stats()["x509_ca"]


def test_bundles_hold_the_roots_what_there_was_before_and_the_authority(ca: Path, roots: bytes, tmp_path: Path) -> None:
    before = ensure_ca(tmp_path / "before")[0]
    files = TrustFiles(ca)
    env = files.variables({"GIT_SSL_CAINFO": str(before)})
    assert certificates(env["SSL_CERT_FILE"]) == 2
    assert certificates(env["GIT_SSL_CAINFO"]) == 3
    assert certificates(env["NODE_EXTRA_CA_CERTS"]) == 1
    same = {env[name] for name in env if name not in ("GIT_SSL_CAINFO", "WGETRC", "MOCKREC_CA")}
    assert len(same) == 2, "equal files are one"
    files.remove()


def test_a_variable_that_names_nothing_readable(ca: Path, roots: bytes, tmp_path: Path) -> None:
    files = TrustFiles(ca)
    env = files.variables({"SSL_CERT_FILE": str(tmp_path / "none.pem"), "REQUESTS_CA_BUNDLE": str(tmp_path)})
    assert certificates(env["SSL_CERT_FILE"]) == certificates(env["REQUESTS_CA_BUNDLE"]) == 2
    files.remove()


def test_without_any_roots(ca: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "_system_roots", lambda: b"")
    files = TrustFiles(ca)
    assert certificates(files.variables({})["SSL_CERT_FILE"]) == 1
    files.remove()


def test_the_authority_is_found_from_every_folder(ca: Path, roots: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ca.parent)
    files = TrustFiles(Path("ca.pem"))
    assert files.variables({})["MOCKREC_CA"] == str(ca)
    files.remove()


def test_the_settings_of_wget_are_kept(ca: Path, roots: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".wgetrc").write_text("tries = 7")
    (tmp_path / "other").write_text("tries = 8\n")
    files = TrustFiles(ca)
    for outer, tries in (({}, 7), ({"WGETRC": str(tmp_path / "other")}, 8)):
        env = files.variables(outer)
        lines = Path(env["WGETRC"]).read_text().splitlines()
        assert lines == [f"tries = {tries}", f"ca_certificate = {env['SSL_CERT_FILE']}"]
    files.remove()


def test_nothing_for_java_where_there_is_none(ca: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    files = TrustFiles(ca)
    assert files.java_options() == []
    files.remove()


def test_odd_roots_are_left_out_of_the_store_of_java(ca: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    monkeypatch.setenv("JAVA_HOME", "/java")
    monkeypatch.setattr(trust, "_system_roots", lambda: odd + ca.read_bytes())
    files = TrustFiles(ca)
    store = dict(option.split("=", 1) for option in files.java_options())["-Djavax.net.ssl.trustStore"]
    assert os.path.getsize(store) > 100
    files.remove()
    files.remove()  # twice does no harm


def test_nobody_else_can_read_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with a umask that would let them; a wgetrc may hold passwords."""
    monkeypatch.setenv("JAVA_HOME", "/usr")
    before = os.umask(0)
    try:
        ca, _ = ensure_ca(tmp_path / "own")
        files = TrustFiles(ca)
        files.variables({})
        files.java_options()
        folder = files._folder
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
        assert len(list(folder.iterdir())) == 4
        files.remove()
    finally:
        os.umask(before)
