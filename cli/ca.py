"""`mockrec ca`: shows and exports the CA certificate, and explains how each client comes to trust it."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mockrec.cli import printing
from mockrec.cli.help import Command
from mockrec.cli.options import As, Force, OutputShape, Quiet, Verbose
from mockrec.cli.pipes import await_readers

if TYPE_CHECKING:
    from cryptography import x509

# Settings as in app.py.
app = typer.Typer(
    name="ca",
    help="Show, export or explain the CA that clients have to trust.",
    invoke_without_command=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_PUBLIC = 0o644
_EXPORT = "mockrec ca export"


class Format(StrEnum):
    """`--format` of `export`."""

    pem = "pem"
    der = "der"
    p12 = "p12"


_EXTENSIONS = {".der": Format.der, ".cer": Format.der, ".p12": Format.p12, ".pfx": Format.p12}

CaCert = Annotated[
    Path | None,
    typer.Option(
        "--ca-cert",
        metavar="FILE",
        help="Another CA's certificate (PEM) instead of your own.",
        show_default=False,
    ),
]


@app.callback()
def _show_by_default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        show()


@app.command(cls=Command)
def show(ca_cert: CaCert = None, shape: As = OutputShape.text, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Say where the CA is, and its fingerprint.

    Makes your CA if there is none yet.
    """
    from mockrec.engine.tls.trust import fingerprint_sha256, spki_sha256

    path, (certificate, *_) = _certificates(ca_cert)
    subject = certificate.subject.rfc4514_string()
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    fingerprint, spki = fingerprint_sha256(certificate), spki_sha256(certificate)
    if shape is OutputShape.json:
        shown = {
            "path": str(path),
            "subject": subject,
            "notBefore": f"{begin:%Y-%m-%dT%H:%M:%SZ}",
            "notAfter": f"{end:%Y-%m-%dT%H:%M:%SZ}",
            "fingerprintSha256": fingerprint,
            "spkiSha256": spki,
        }
        printing.data(json.dumps(shown))
        return
    printing.data(f"certificate  {printing.escape(str(path))}")
    printing.data(f"subject      {printing.escape(subject)}")
    printing.data(f"valid        {begin:%Y-%m-%d} to {end:%Y-%m-%d}")
    printing.data(f"SHA-256      {fingerprint}")
    printing.data(f"SPKI         {spki}")


@app.command(cls=Command)
def export(
    kind: Annotated[
        Format | None,
        typer.Option(
            "--format",
            metavar="pem|der|p12",
            help="PEM, DER, or a PKCS #12 trust store for Java; without it, what the extension of OUT says, else PEM.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[str, typer.Option("-o", "--output", metavar="OUT", help="Where to write; - is stdout.")] = "-",
    force: Force = False,
    password: Annotated[
        str, typer.Option("--password", metavar="TEXT", help="The trust store's password (p12).")
    ] = "changeit",
    ca_cert: CaCert = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write the CA's certificate, never its key.

    Makes your CA if there is none yet.
    """
    kind = kind or _EXTENSIONS.get(Path(output).suffix.lower(), Format.pem)
    if kind is not Format.pem and output == "-" and sys.stdout.isatty():
        raise typer.BadParameter(f"{kind} is nothing for a terminal; give -o FILE", param_hint="--format")
    if kind is Format.p12 and not password:
        raise typer.BadParameter("a trust store needs a password", param_hint="--password")
    _, certificates = _certificates(ca_cert)
    data = _encoded(certificates, kind, password)
    if output == "-" and kind is Format.pem:
        printing.data(data.decode("ascii").rstrip("\n"))
        return
    from mockrec.formats.files.outfile import STDOUT, OutFile, open_output

    printing.flush()
    await_readers((str(output),))
    file = OutFile(STDOUT, "stdout") if output == "-" else open_output(Path(output), force=force, file_mode=_PUBLIC)
    try:
        file.write(data, lines=False)
    finally:
        file.close()
    if output != "-":
        printing.note(f"the CA's certificate is in {printing.escape(output)}")


def _encoded(certificates: tuple[x509.Certificate, ...], kind: Format, password: str) -> bytes:
    """All certificates of the file; DER has room for one, the CA's own."""
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, pkcs12

    if kind is Format.pem:
        return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)
    if kind is Format.der:
        return certificates[0].public_bytes(Encoding.DER)
    named = [
        pkcs12.PKCS12Certificate(certificate, b"mockrec" if index == 0 else f"mockrec-{index}".encode())
        for index, certificate in enumerate(certificates)
    ]
    return pkcs12.serialize_java_truststore(named, BestAvailableEncryption(password.encode()))


@app.command("install-hint", cls=Command)
def install_hint(
    client: Annotated[
        str | None,
        typer.Argument(metavar="CLIENT", help="A client or system; without it, all of them.", show_default=False),
    ] = None,
    ca_cert: CaCert = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Say how clients and systems come to trust the CA.

    Changes nothing on this machine but making your CA.
    """
    from mockrec.engine.tls.trust import spki_sha256

    wanted = None if client is None else _hint_for(client)
    path, (certificate, *_) = _certificates(ca_cert)
    ca, spki = shlex.quote(printing.escape(os.path.abspath(path))), spki_sha256(certificate)
    export_command = _EXPORT if ca_cert is None else f"{_EXPORT} --ca-cert {ca}"
    if wanted is not None:
        for line in _lines(wanted, export_command, ca, spki):
            printing.data(line)
        return
    for number, (names, text) in enumerate(_HINTS.items()):
        printing.data(("\n" if number else "") + f"{names}:")
        for line in _lines(text, export_command, ca, spki):
            printing.data(f"  {line}")


def _lines(text: str, export_command: str, ca: str, spki: str) -> Iterator[str]:
    for line in text.strip().splitlines():
        yield line.replace("CA_PEM", ca).replace("CA_SPKI", spki).replace(_EXPORT, export_command)


def _hint_for(client: str) -> str:
    """Return the instructions for a client. Raises a usage error for an unknown one."""
    known = {name: text for names, text in _HINTS.items() for name in names.split(", ")}
    text = known.get(client.lower())
    if text is None:
        from mockrec.engine.rules.yaml.types import nearest_hint

        message = printing.escape(nearest_hint(client, tuple(known), "unknown client"))
        raise typer.BadParameter(f"{message}; known are {', '.join(known)}", param_hint="CLIENT")
    return text


def _certificates(ca_cert: Path | None) -> tuple[Path, tuple[x509.Certificate, ...]]:
    """Return the CA file and its certificates: the named one, or the user's own, created if it does not exist."""
    from mockrec.engine.tls.trust import ca_folder, ensure_ca, load_certificates

    path = ensure_ca(ca_folder(os.environ))[0] if ca_cert is None else ca_cert
    return path, load_certificates(path)


# Keys are names, separated by commas. CA_PEM and CA_SPKI stand for the CA's file and the hash of its key. Lines that
# begin with # are prose, all others are commands or settings. docs/tls.md has the details.
_HINTS = {
    "curl": """
curl --cacert CA_PEM https://example.test/
# or for every call:
export CURL_CA_BUNDLE=CA_PEM
""",
    "python, httpx, aiohttp, urllib": """
# before Python starts; it replaces the usual roots
export SSL_CERT_FILE=CA_PEM
""",
    "requests": """
# it replaces the usual roots
export REQUESTS_CA_BUNDLE=CA_PEM
""",
    "pip": """
export PIP_CERT=CA_PEM
""",
    "node": """
# before Node starts; in addition to its own roots
export NODE_EXTRA_CA_CERTS=CA_PEM
""",
    "deno": """
export DENO_CERT=CA_PEM
""",
    "java": """
mockrec ca export -o mockrec.p12
export JAVA_TOOL_OPTIONS="-Djavax.net.ssl.trustStore=$PWD/mockrec.p12 -Djavax.net.ssl.trustStoreType=PKCS12 \
-Djavax.net.ssl.trustStorePassword=changeit"
# or into the JDK's own trust store, for all programs that use it:
keytool -importcert -noprompt -cacerts -storepass changeit -alias mockrec -file CA_PEM
""",
    "go": """
# on Linux and BSD; it replaces the usual roots. On macOS and Windows Go asks the system.
export SSL_CERT_FILE=CA_PEM
""",
    "git": """
export GIT_SSL_CAINFO=CA_PEM
# or for one server:
git config --global http.https://example.test/.sslCAInfo CA_PEM
""",
    "wget": """
wget --ca-certificate=CA_PEM https://example.test/
# or for every call, a line in ~/.wgetrc:
ca_certificate = CA_PEM
""",
    "cargo": """
export CARGO_HTTP_CAINFO=CA_PEM
""",
    "chrome, chromium, edge": """
# for one start, with a profile of its own (without one the flag has no effect):
chromium --user-data-dir=/tmp/mockrec-chromium --ignore-certificate-errors-spki-list=CA_SPKI
# for good on Linux (certutil is in libnss3-tools or nss-tools); elsewhere they ask the system:
certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n mockrec -i CA_PEM
""",
    "firefox": """
# PROFILE is the folder that about:profiles names
certutil -d sql:PROFILE -A -t C,, -n mockrec -i CA_PEM
# or Settings > Privacy & Security > Certificates > View Certificates > Authorities > Import
""",
    "debian, ubuntu": """
sudo cp CA_PEM /usr/local/share/ca-certificates/mockrec.crt
sudo chmod 644 /usr/local/share/ca-certificates/mockrec.crt
sudo update-ca-certificates
""",
    "fedora, rhel": """
sudo cp CA_PEM /etc/pki/ca-trust/source/anchors/mockrec.pem
sudo chmod 644 /etc/pki/ca-trust/source/anchors/mockrec.pem
sudo update-ca-trust
""",
    "alpine": """
apk add ca-certificates
cp CA_PEM /usr/local/share/ca-certificates/mockrec.crt
chmod 644 /usr/local/share/ca-certificates/mockrec.crt
update-ca-certificates
""",
    "macos, safari": """
security add-trusted-cert -r trustRoot -k ~/Library/Keychains/login.keychain-db CA_PEM
""",
    "windows": """
certutil -user -addstore Root CA_PEM
""",
    "android": """
mockrec ca export -o mockrec.der
adb push mockrec.der /sdcard/Download/mockrec.crt
# then Settings > Security > Encryption & credentials > Install a certificate > CA certificate
# apps trust it only if their network security config has <certificates src="user"/>
""",
    "ios": """
# simulator:
xcrun simctl keychain booted add-root-cert CA_PEM
# device: send it the file, install it under Settings > General > VPN & Device Management,
# then switch it on under Settings > General > About > Certificate Trust Settings
""",
}
