"""The user's own CA at the start of a run: where it is, and whether it can be used, without loading `cryptography`.

That library takes as long to load as a tenth of a start, and only TLS needs it. A CA that mockrec has made is examined
with the interpreter's own OpenSSL; for any other, and to make one, there is `trust.py`.
"""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from mockrec.engine import clock
from mockrec.engine.errors import ConfigError
from mockrec.engine.tls.permissions import Exposed, check_own

ORGANIZATION = "mockrec"
"""The organization in the name of each CA that mockrec makes. Their keys and hashes need no check."""


def ca_folder(env: Mapping[str, str]) -> Path:
    """The folder of this user's CA; it is not created. Raises ConfigError."""
    if env.get("MOCKREC_CA_DIR"):
        return Path(env["MOCKREC_CA_DIR"])
    if sys.platform == "win32":
        local = env.get("LOCALAPPDATA")
        return (Path(local) if local else _home(env) / "AppData" / "Local") / "mockrec"
    if sys.platform == "darwin":
        return _home(env) / "Library" / "Application Support" / "mockrec"
    data = env.get("XDG_DATA_HOME", "")
    # "All paths must be absolute. If … relative, … consider the path invalid and ignore it." (XDG Base Directory)
    return (Path(data) if os.path.isabs(data) else _home(env) / ".local" / "share") / "mockrec"


def _home(env: Mapping[str, str]) -> Path:
    if env.get("HOME"):
        return Path(env["HOME"])
    try:
        return Path.home()
    except RuntimeError:
        raise ConfigError("there is no home folder for the CA; give a folder with MOCKREC_CA_DIR") from None


def ca_files(folder: Path) -> tuple[Path, Path]:
    """The paths of the certificate and of the key in a folder."""
    return folder / "ca.pem", folder / "ca.key"


def is_usable(folder: Path) -> bool:
    """Whether a folder has a CA that mockrec has made, valid now, with its key, which only the user can read.

    False is no verdict: `trust.ensure_ca` then finds what is wrong, or makes the CA.
    """
    cert, key = ca_files(folder)
    try:
        check_own(folder, made=(cert, key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key, password="")  # without one, OpenSSL would ask for that of an encrypted key
        context.load_verify_locations(cert)
        found = context.get_ca_certs()  # without certificates that are not those of a CA
    except (OSError, ValueError, Exposed):  # ssl.SSLError is an OSError
        return False
    if len(found) != 1 or context.cert_store_stats()["x509"] != 1:
        return False
    (certificate,) = found
    names = certificate["subject"]
    if (("organizationName", ORGANIZATION),) not in names or certificate["issuer"] != names:
        return False
    begins, ends = (_time(str(certificate[name])) for name in ("notBefore", "notAfter"))
    return begins <= datetime.fromtimestamp(clock.wall(clock.now()) / 1000, UTC) < ends


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _time(text: str) -> datetime:
    """The time of `Nov 26 10:00:00 2036 GMT`. (`ssl.cert_time_to_seconds` imports `_strptime`, which takes longer than
    all else here.)"""
    month, day, clock_time, year, _ = text.split()
    hour, minute, second = map(int, clock_time.split(":"))
    return datetime(int(year), _MONTHS.index(month) + 1, int(day), hour, minute, second, tzinfo=UTC)
