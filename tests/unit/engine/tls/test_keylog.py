"""The TLS key log: a file that only its owner reads, and that no connection fails for."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mockrec.engine.errors import ConfigError
from mockrec.engine.tls.keylog import KeyLog


def test_each_line_is_in_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "keys.log"
    log = KeyLog(str(path))
    log(b"CLIENT_RANDOM 01 02")
    assert path.read_bytes() == b"CLIENT_RANDOM 01 02\n"
    log(b"EXPORTER_SECRET 03 04")
    assert path.read_bytes() == b"CLIENT_RANDOM 01 02\nEXPORTER_SECRET 03 04\n"
    log.close()


def test_what_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "keys.log"
    path.write_bytes(b"before\n")
    logs = [KeyLog(str(path)), KeyLog(str(path))]
    for number in (b"1", b"2"):
        for log in logs:
            log(number)
    for log in logs:
        log.close()
    assert path.read_bytes() == b"before\n1\n1\n2\n2\n"


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")
def test_only_the_owner_reads_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        KeyLog(str(tmp_path / "keys.log")).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "keys.log").stat().st_mode) == 0o600


def test_a_line_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    log = KeyLog(str(tmp_path / "keys.log"))
    log.close()
    log(b"late")
    assert (tmp_path / "keys.log").read_bytes() == b""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device here")
def test_a_full_disk_is_no_error() -> None:
    log = KeyLog("/dev/full")
    log(b"line")
    log.close()


@pytest.mark.parametrize(("name", "reason"), [("no/such/folder", "No such file or directory"), (".", "Is a directory")])
def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path, name: str, reason: str) -> None:
    path = str(tmp_path / name)
    with pytest.raises(ConfigError) as caught:
        KeyLog(path)
    assert str(caught.value) == f"cannot write the TLS key log {path}: {reason}; see tls.keyLogFile"
