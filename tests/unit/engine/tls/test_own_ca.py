"""The short examination of the user's own CA: it accepts what `ensure_ca` would accept, and only what mockrec has made."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from mockrec.engine.tls.own_ca import is_usable
from mockrec.engine.tls.trust import ensure_ca, key_usage

DAY = timedelta(days=1)
Change = Callable[[Path, Path], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a CA that mockrec has made."""
    ensure_ca(tmp_path / "ca")
    return tmp_path / "ca"


def write(
    folder: Path,
    *,
    organization: str = "mockrec",
    ca: bool = True,
    signs: bool = True,
    begins: timedelta = -DAY,
    ends: timedelta = DAY,
    encryption: KeySerializationEncryption | None = None,
) -> None:
    """Replace the CA by another one."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now + begins).not_valid_after(now + ends)
    builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    builder = builder.add_extension(key_usage(digital_signature=True, key_cert_sign=signs), critical=True)
    (folder / "ca.pem").write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    (folder / "ca.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()))


def test_a_ca_that_mockrec_has_made(folder: Path) -> None:
    assert is_usable(folder)
    write(folder)
    assert is_usable(folder)


@pytest.mark.parametrize(
    "difference",
    [
        {"organization": "somebody else"},  # its key and its hash need the checks of `ensure_ca`
        {"ca": False},
        {"signs": False},
        {"begins": -2 * DAY, "ends": -DAY},
        {"begins": DAY, "ends": 2 * DAY},
        {"encryption": BestAvailableEncryption(b"secret")},
    ],
    ids=lambda difference: next(iter(difference)),
)
def test_one_that_needs_a_closer_look(folder: Path, difference: dict[str, object]) -> None:
    write(folder, **difference)  # type: ignore[arg-type]
    assert not is_usable(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda cert, key: cert.unlink(),
        lambda cert, key: key.unlink(),
        lambda cert, key: cert.write_text("no certificate"),
        lambda cert, key: key.write_text("no key"),
        lambda cert, key: key.write_bytes(ensure_ca(key.parent.parent / "other")[1].read_bytes()),
        lambda cert, key: key.chmod(0o644),
    ],
    ids=["no certificate", "no key", "no PEM", "no PEM key", "the key of another", "others can read the key"],
)
def test_files_that_cannot_be_used(folder: Path, change: Change) -> None:
    change(folder / "ca.pem", folder / "ca.key")
    assert not is_usable(folder)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert not is_usable(tmp_path / "ca")
    assert not (tmp_path / "ca").exists()


def test_cryptography_is_not_imported(folder: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from mockrec.engine.tls.own_ca import is_usable\n"
        "print(is_usable(Path(sys.argv[1])), [name for name in ('cryptography', '_strptime') if name in sys.modules])\n"
    )
    command = [sys.executable, "-c", script, str(folder)]
    done = subprocess.run(command, capture_output=True, check=True, text=True, timeout=60)
    assert done.stdout == "True []\n"
