"""CAs that others can get at: refused with the command that mends it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mockrec.engine.errors import ConfigError
from mockrec.engine.tls import permissions, trust
from mockrec.engine.tls.trust import ensure_ca, load_ca


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a CA in it."""
    ensure_ca(tmp_path / "ca dir")
    return tmp_path / "ca dir"


def refused(folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        ensure_ca(folder)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "mode", "done"),
    [
        (".", 0o777, "changed"),
        (".", 0o770, "changed"),
        (".", 0o707, "changed"),
        (".", 0o1777, "changed"),
        ("ca.key", 0o644, "read"),
        ("ca.key", 0o640, "read"),
        ("ca.key", 0o604, "read"),
        ("ca.key", 0o620, "changed"),
        ("ca.pem", 0o602, "changed"),
    ],
)
def test_what_others_can_get_at_is_refused_until_it_is_mended(folder: Path, name: str, mode: int, done: str) -> None:
    path = folder / name
    path.chmod(mode)
    message = refused(folder)
    assert f"can be {done} by other users (its mode is {mode:04o})" in message
    command = re.search(r"chmod \d+ '[^']*'", message)
    assert command is not None
    subprocess.run(command[0], shell=True, check=True)
    ensure_ca(folder)


@pytest.mark.parametrize(("name", "mode"), [(".", 0o755), (".", 0o500), ("ca.pem", 0o644), ("ca.key", 0o400)])
def test_what_nobody_else_can_change_is_taken(folder: Path, name: str, mode: int) -> None:
    (folder / name).chmod(mode)
    ensure_ca(folder)


def test_nothing_is_made_where_others_can_write(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    assert "mode is 0777" in refused(folder)
    assert not list(folder.iterdir())


def test_links_lead_to_what_counts(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    ensure_ca(link)
    folder.chmod(0o777)
    assert "mode is 0777" in refused(link)
    folder.chmod(0o700)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (folder / "ca.key").rename(elsewhere / "k")
    (folder / "ca.key").symlink_to(elsewhere / "k")
    ensure_ca(folder)
    elsewhere.chmod(0o777)
    assert str(elsewhere) in refused(folder)


def _as_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files belong to somebody else, seen from here."""
    monkeypatch.setattr(permissions.os, "geteuid", lambda: os.getuid() + 4711)


def test_another_users_folder_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (folder, folder / "ca.key", folder / "ca.pem"):
        if os.getuid() == 0:
            os.chown(path, 4712, -1)
    if os.getuid() != 0:
        _as_another_user(monkeypatch)
    message = refused(folder)
    assert "belongs to another user" in message
    assert "chown " in message
    monkeypatch.setattr(permissions.os, "geteuid", lambda: 0)
    monkeypatch.setenv("SUDO_UID", str(folder.stat().st_uid))
    ensure_ca(folder)


def test_a_key_that_was_given_may_be_read_by_others(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cert, key = folder / "ca.pem", folder / "ca.key"
    folder.chmod(0o777)  # a checked out repository, a mounted volume
    for mode in (0o600, 0o644, 0o444, 0o664):
        key.chmod(mode)
        load_ca(cert, key)
    key.chmod(0o666)
    with pytest.raises(ConfigError, match="can be changed by other users .*chmod go-w "):
        load_ca(cert, key)
    key.chmod(0o664)
    monkeypatch.setattr(permissions.os, "getegid", lambda: key.stat().st_gid + 1)
    with pytest.raises(ConfigError, match="can be changed by other users"):
        load_ca(cert, key)


# ── weak authorities ─────────────────────────────────────────────────────────────────────────────────

Sign = Callable[..., tuple[Path, Path]]


@pytest.fixture
def signed(tmp_path: Path) -> Sign:
    """A CA as openssl would make it, with something changed."""

    def make(
        key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, *, begins: timedelta = timedelta(0)
    ) -> tuple[Path, Path]:
        at = trust.now() + begins
        made = trust._self_signed(key)
        builder = trust.x509.CertificateBuilder(
            made.issuer, made.subject, key.public_key(), 7, at, at + timedelta(days=9), list(made.extensions)
        )
        paths = tmp_path / "own.pem", tmp_path / "own.key"
        paths[0].write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
        paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return paths

    return make


@pytest.mark.parametrize("bits", [1024, 1536, 2047])
def test_a_short_rsa_key_is_refused(signed: Sign, bits: int) -> None:
    with pytest.raises(ConfigError, match=rf"has {bits} bits, and clients refuse .*2048.* openssl req -x509"):
        load_ca(*signed(rsa.generate_private_key(65537, bits)))


def test_an_authority_of_tomorrow_is_refused(signed: Sign) -> None:
    with pytest.raises(ConfigError, match="is valid only from .* on"):
        load_ca(*signed(ec.generate_private_key(ec.SECP256R1()), begins=timedelta(days=1)))


@pytest.mark.parametrize("digest", ["md5", "sha1"])
def test_an_authority_that_is_signed_with_a_broken_hash_is_refused(tmp_path: Path, digest: str) -> None:
    """cryptography does not sign so any more; openssl does."""
    cert, key = tmp_path / "own.pem", tmp_path / "own.key"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-noenc",
        f"-{digest}",
        "-days",
        "9",
        "-subj",
        "/CN=old",
    ]
    subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True)
    with pytest.raises(ConfigError, match=f"signed with {digest.upper()}, which clients refuse"):
        load_ca(cert, key)


def test_the_command_that_is_named_makes_a_good_one(tmp_path: Path) -> None:
    subprocess.run(trust._NEW_CA, shell=True, check=True, capture_output=True, cwd=tmp_path)
    load_ca(tmp_path / "ca.pem", tmp_path / "ca.key")
