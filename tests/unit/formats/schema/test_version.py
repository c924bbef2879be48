"""The version of the installed distribution."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from mockrec.formats.schema.version import mockrec_version


def test_it_is_that_of_the_metadata() -> None:
    assert mockrec_version() == metadata.version("mockrec")


def test_it_is_read_from_the_first_folder_of_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mockrec-1.2.dev3+g1.dist-info").mkdir()
    (tmp_path / "mockrec_plugin-9.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "missing"), str(tmp_path), *sys.path])
    assert mockrec_version() == "1.2.dev3+g1"


def test_without_an_installation_it_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert mockrec_version() == "0+unknown"


def test_the_metadata_are_not_parsed() -> None:
    script = (
        "import sys; from mockrec.formats.schema.version import mockrec_version; mockrec_version()\n"
        "print([name for name in ('importlib.metadata', 'email.parser') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True, timeout=60)
    assert done.stdout == "[]\n"
