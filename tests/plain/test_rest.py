"""The commands that read no session, and mockrec in Python."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from plain_install import FORMATS, HERE, PATHS, ROOT, Run

COMMANDS = (
    "run", "check", "replay", "filter", "show", "report", "watch", "stats", "sql", "compact", "verify", "diff", "ca",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_help(mockrec: Run, tmp_path: Path, command: str) -> None:
    assert mockrec(tmp_path, command, "--help").stdout.startswith(f"Usage: mockrec {command} ")


def test_help_and_version(installed: Run, tmp_path: Path) -> None:
    listed = installed(tmp_path, "--help").stdout.partition("Commands:\n")[2]
    assert sorted(line.split()[0] for line in listed.splitlines()) == sorted(COMMANDS)
    assert installed(tmp_path, "--version").stdout.startswith("mockrec ")


def test_check(mockrec: Run, tmp_path: Path) -> None:
    mockrec(tmp_path, "check", HERE / "rules.yaml")
    mockrec(tmp_path, "check", ROOT / "samples" / "templates.yaml")
    assert "$schema" in json.loads(mockrec(tmp_path, "check", "--schema").stdout)
    (tmp_path / "bad.yaml").write_text("version: 1\nrules: 7\n", encoding="utf-8")
    mockrec(tmp_path, "check", "bad.yaml", code=2)


def test_ca(mockrec: Run, tmp_path: Path) -> None:
    assert "SHA-256" in mockrec(tmp_path, "ca", "show").stdout
    mockrec(tmp_path, "ca", "export", "-o", "ca.pem")
    assert "BEGIN CERTIFICATE" in (tmp_path / "ca.pem").read_text("ascii")
    assert mockrec(tmp_path, "ca", "install-hint").stdout


@pytest.fixture
def python(environment: dict[str, str], session: Path) -> str:
    """What `mockrec.formats` gives for a session."""
    code = """if True:
        import sys
        from mockrec.formats import frame, read
        print(sum(event.type == "request" for event in read(sys.argv[1])))
        print(frame(sys.argv[1], arrow=True).num_rows, frame(sys.argv[1], table="events", arrow=True).num_rows)
        try:
            frame(sys.argv[1])
        except ImportError as error:
            print(error)
        """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, session],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_sessions_in_python(python: str, recorded: Path) -> None:
    records = (recorded / FORMATS[0]).read_text("utf-8").count("\n")
    requests, tables, error = python.splitlines()
    assert (requests, tables) == (str(len(PATHS) - 1), f"{len(PATHS)} {records}")
    assert "needs pandas: install it with `pip install 'mockrec[pandas]'`" in error


@pytest.mark.parametrize(
    ("extra", "command"),
    [
        ("sql", ["sql", "select 1"]),
        ("spark", ["stats", "--engine=spark=sc://127.0.0.1:1"]),
        ("spark", ["filter", "--engine=spark=sc://127.0.0.1:1"]),
        ("spark", ["sql", "select 1", "--engine=spark=sc://127.0.0.1:1"]),
    ],
)
def test_what_is_missing_is_named(mockrec: Run, recorded: Path, tmp_path: Path, extra: str, command: list[str]) -> None:
    done = mockrec(tmp_path, *command, recorded / FORMATS[0], code=2)
    assert f"install it with `pip install 'mockrec[{extra}]'`" in done.stderr
