"""`mockrec ca`: what the CA is, its certificate as a file, and how clients are told of it."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from mockrec.cli import ca as ca_module
from mockrec.engine.tls.trust import ensure_ca, fingerprint_sha256, spki_sha256

Mockrec = Callable[..., Any]
CLIENTS = [name for names in ca_module._HINTS for name in names.split(", ")]
PAGE = (Path(__file__).parents[3] / "docs" / "tls.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this user's CA is to live."""
    monkeypatch.setenv("MOCKREC_CA_DIR", str(tmp_path / "own"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "own"


@pytest.fixture
def own(folder: Path) -> x509.Certificate:
    """This user's CA, made already."""
    return x509.load_pem_x509_certificate(ensure_ca(folder)[0].read_bytes())


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The certificates of another one."""
    one, two = (ensure_ca(tmp_path / name)[0].read_bytes() for name in ("other", "further"))
    (tmp_path / "other.pem").write_bytes(one + two)
    return tmp_path / "other.pem"


# ── show ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("words", [["ca"], ["ca", "show"]])
def test_show(mockrec: Mockrec, folder: Path, own: x509.Certificate, words: list[str]) -> None:
    done = mockrec(*words)
    assert (done.code, done.err) == (0, "")
    path, subject, valid, fingerprint, spki = (re.split("  +", line)[1] for line in done.lines)
    assert path == str(folder / "ca.pem")
    assert subject.startswith("CN=mockrec testing CA (")
    assert valid == f"{own.not_valid_before_utc:%Y-%m-%d} to {own.not_valid_after_utc:%Y-%m-%d}"
    assert fingerprint == fingerprint_sha256(own)
    assert spki == spki_sha256(own)


def test_show_makes_the_ca(mockrec: Mockrec, folder: Path) -> None:
    assert mockrec("ca").code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["ca.key", "ca.pem"]


def test_show_as_json(mockrec: Mockrec, folder: Path, own: x509.Certificate) -> None:
    done = mockrec("ca", "show", "--as", "json")
    (line,) = done.lines
    assert json.loads(line) == {
        "path": str(folder / "ca.pem"),
        "subject": own.subject.rfc4514_string(),
        "notBefore": f"{own.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}",
        "notAfter": f"{own.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
        "fingerprintSha256": fingerprint_sha256(own),
        "spkiSha256": spki_sha256(own),
    }


def test_show_another(mockrec: Mockrec, folder: Path, other: Path) -> None:
    done = mockrec("ca", "show", "--ca-cert", other)
    assert done.code == 0
    assert done.lines[0] == f"certificate  {other}"
    assert not folder.exists()


def test_a_file_that_is_none(mockrec: Mockrec) -> None:
    done = mockrec("ca", "show", "--ca-cert", "nowhere.pem")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("mockrec: cannot read the CA's certificate nowhere.pem: No such file or directory;")


def test_a_folder_that_cannot_be_written(mockrec: Mockrec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MOCKREC_CA_DIR", str(tmp_path / "file" / "x"))
    done = mockrec("ca")
    assert (done.code, done.out) == (2, "")
    assert "MOCKREC_CA_DIR" in done.err


@pytest.mark.parametrize(
    ("words", "message"), [(["nonsense"], "No such command"), (["export", "--format", "pfx"], "pfx")]
)
def test_wrong_usage(mockrec: Mockrec, words: list[str], message: str) -> None:
    done = mockrec("ca", *words)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


# ── export ─────────────────────────────────────────────────────────────────────────────────────────


def test_export_prints_pem(mockrec: Mockrec, own: x509.Certificate) -> None:
    done = mockrec("ca", "export")
    assert (done.code, done.err) == (0, "")
    assert done.out == own.public_bytes(Encoding.PEM).decode()


def test_export_of_another_has_all_its_certificates(mockrec: Mockrec, other: Path) -> None:
    assert mockrec("ca", "export", "--ca-cert", other).out == other.read_text()


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["--format", "der"], "ca.crt"),
        ([], "ca.der"),
        ([], "ca.CER"),
    ],
)
def test_export_der(mockrec: Mockrec, tmp_path: Path, own: x509.Certificate, words: list[str], name: str) -> None:
    done = mockrec("ca", "export", *words, "-o", name)
    assert (done.code, done.out) == (0, "")
    assert done.err == f"the CA's certificate is in {name}\n"
    assert (tmp_path / name).read_bytes() == own.public_bytes(Encoding.DER)


def test_export_to_a_pipe(own: x509.Certificate) -> None:
    script = "import sys; from mockrec.cli.__main__ import main; sys.exit(main(['ca', 'export', '--format', 'der']))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == own.public_bytes(Encoding.DER)


@pytest.mark.parametrize("kind", ["der", "p12"])
def test_bytes_are_nothing_for_a_terminal(mockrec: Mockrec, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    done = mockrec("ca", "export", "--format", kind)
    assert done.code == 2
    assert f"{kind} is nothing for a terminal; give -o FILE" in done.err


@pytest.mark.parametrize(("words", "password"), [([], b"changeit"), (["--password", "sesame"], b"sesame")])
def test_export_a_trust_store(
    mockrec: Mockrec, tmp_path: Path, own: x509.Certificate, words: list[str], password: bytes
) -> None:
    assert mockrec("ca", "export", "-o", "ca.p12", *words).code == 0
    store = pkcs12.load_pkcs12((tmp_path / "ca.p12").read_bytes(), password)
    assert store.key is None
    assert [entry.certificate for entry in store.additional_certs] == [own]


def test_a_trust_store_needs_a_password(mockrec: Mockrec, tmp_path: Path) -> None:
    assert mockrec("ca", "export", "-o", "ca.p12", "--password", "").code == 2
    assert not (tmp_path / "ca.p12").exists()


@pytest.mark.skipif(shutil.which("keytool") is None, reason="keytool is not installed")
def test_java_reads_the_trust_store(mockrec: Mockrec, own: x509.Certificate, other: Path) -> None:
    for name, words, aliases in (
        ("one.p12", [], ["mockrec"]),
        ("two.p12", ["--ca-cert", other], ["mockrec", "mockrec-1"]),
    ):
        mockrec("ca", "export", "-o", name, *words)
        command = ["keytool", "-J-Duser.language=en", "-list", "-keystore", name, "-storepass", "changeit"]
        listed = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
        found = [line.partition(",")[0] for line in listed.splitlines() if line.endswith("trustedCertEntry, ")]
        assert sorted(found) == aliases, listed


def test_export_overwrites_only_when_told(mockrec: Mockrec, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("mine")
    done = mockrec("ca", "export", "-o", "ca.pem")
    assert done.code == 2
    assert "--force" in done.err
    assert path.read_text() == "mine"
    assert mockrec("ca", "export", "-o", "ca.pem", "--force", "-q").err == ""
    assert path.read_text().startswith("-----BEGIN CERTIFICATE-----")


@pytest.mark.skipif(os.name == "nt", reason="modes are a thing of POSIX")
def test_everybody_may_read_the_certificate(mockrec: Mockrec, tmp_path: Path) -> None:
    mockrec("ca", "export", "-o", "ca.pem")
    assert (tmp_path / "ca.pem").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("kind", ["pem", "der", "p12"])
def test_the_key_stays_here(mockrec: Mockrec, folder: Path, tmp_path: Path, kind: str) -> None:
    mockrec("ca", "export", "--format", kind, "-o", "out")
    assert b"PRIVATE" not in (tmp_path / "out").read_bytes()


# ── install-hint ───────────────────────────────────────────────────────────────────────────────────


def test_all_hints(mockrec: Mockrec, folder: Path, own: x509.Certificate) -> None:
    done = mockrec("ca", "install-hint")
    assert (done.code, done.err) == (0, "")
    headings = [line.removesuffix(":") for line in done.lines if line and not line.startswith(" ")]
    assert headings == list(ca_module._HINTS)
    assert str(folder / "ca.pem") in done.out
    assert spki_sha256(own) in done.out
    assert not re.search("CA_PEM|CA_SPKI", done.out)


@pytest.mark.parametrize("client", CLIENTS)
def test_one_hint(mockrec: Mockrec, client: str) -> None:
    done = mockrec("ca", "install-hint", client)
    assert (done.code, done.err) == (0, "")
    assert done.lines
    assert not re.search("CA_PEM|CA_SPKI", done.out)


@pytest.mark.parametrize("client", CLIENTS)
def test_the_page_speaks_of_every_client(client: str) -> None:
    assert re.search(rf"\b{client}\b", PAGE, re.IGNORECASE)


def test_names_in_any_case(mockrec: Mockrec) -> None:
    assert mockrec("ca", "install-hint", "macOS").out == mockrec("ca", "install-hint", "macos").out != ""


def test_the_hint_is_about_the_ca_asked_for(mockrec: Mockrec, folder: Path, other: Path) -> None:
    done = mockrec("ca", "install-hint", "java", "--ca-cert", other.name)
    assert f"mockrec ca export --ca-cert {other}" in done.out
    assert not folder.exists()


def test_paths_are_quoted(mockrec: Mockrec, tmp_path: Path, other: Path) -> None:
    path = other.rename(tmp_path / "my ca.pem")
    assert f"curl --cacert '{path}' " in mockrec("ca", "install-hint", "curl", "--ca-cert", path).out


def test_an_unknown_client(mockrec: Mockrec, folder: Path) -> None:
    done = mockrec("ca", "install-hint", "firefax")
    assert (done.code, done.out) == (2, "")
    assert 'unknown client "firefax"; did you mean "firefox"?; known are curl, python, ' in done.err
    assert not folder.exists()
