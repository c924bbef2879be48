"""`mockrec run` to every kind of output."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plain_install import FORMATS, HERE, PATHS, Run


@pytest.mark.parametrize("name", FORMATS)
def test_a_command_is_recorded(
    record: Callable[..., None], mockrec: Run, exchanges: Callable[..., Any], tmp_path: Path, name: str
) -> None:
    record(tmp_path, name)
    assert [path for path, _ in exchanges(tmp_path / name)] == list(PATHS)
    assert f"{len(PATHS)} exchanges" in mockrec(tmp_path, "verify", name).stdout


def test_stdout(mockrec: Run, tmp_path: Path) -> None:
    done = mockrec(tmp_path, "run", HERE / "rules.yaml", "-o", "-", "--stop-after", "100ms", "--port", "0")
    assert [json.loads(line)["type"] for line in done.stdout.splitlines()] == ["session-started", "session-ended"]


def test_until_ctrl_c(serving: Callable[..., Any], exchanges: Callable[..., Any], tmp_path: Path) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with serving("run", HERE / "rules.yaml", "-o", "s.parquet") as url, direct.open(f"{url}/hello") as answer:
        assert answer.read() == b"Hello, GET"
    assert exchanges(tmp_path / "s.parquet") == [("/hello", 200)]


@pytest.mark.parametrize("name", ["s.jsonl", "s.parquet", "s/"])
def test_the_exit_code_is_that_of_the_command(mockrec: Run, tmp_path: Path, name: str) -> None:
    mockrec(tmp_path, "run", "-o", name, "--", sys.executable, "-c", "raise SystemExit(7)", code=7)
