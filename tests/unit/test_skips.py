"""A run in which nothing may be skipped fails when something is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HELPERS = Path(__file__).parents[1] / "helpers"
TESTS = """
import pytest

def test_that_runs(): pass

@pytest.mark.skipif(True, reason="{reason}")
def test_that_is_skipped(): pass
"""


@pytest.mark.parametrize(
    ("reason", "wanted", "code"),
    [
        ("curl is not installed", "none", 1),
        ("curl is not installed", "", 0),
        ("no IPv6 here", "none", 0),
    ],
)
@pytest.mark.parametrize("processes", ["0", "1"])
def test_skips(tmp_path: Path, reason: str, wanted: str, code: int, processes: str) -> None:
    (tmp_path / "test_it.py").write_text(TESTS.format(reason=reason), encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "skips", "-p", "no:cacheprovider", "-n", processes, tmp_path],
        env={**os.environ, "MOCKREC_TESTS_SKIP": wanted, "PYTHONPATH": str(HELPERS)},
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert ("test_it.py:6: curl is not installed" in done.stdout) == bool(code)


def test_a_whole_file_that_is_skipped_counts(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\npytest.skip('moto is not installed', allow_module_level=True)\n", encoding="utf-8"
    )
    (tmp_path / "test_other.py").write_text("def test_that_runs(): pass\n", encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "skips", "-p", "no:cacheprovider", tmp_path],
        env={**os.environ, "MOCKREC_TESTS_SKIP": "none", "PYTHONPATH": str(HELPERS)},
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "moto is not installed" in done.stdout
