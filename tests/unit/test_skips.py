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


def run(folder: Path, processes: int, skips: str = "none") -> subprocess.CompletedProcess[str]:
    """pytest with no plugin but these."""
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "skips", "-p", "xdist", "-n", str(processes), folder],
        env={**os.environ, "MOCKREC_TESTS_SKIP": skips, "PYTHONPATH": str(HELPERS), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("processes", [0, 1])
def test_what_could_be_installed_must_not_be_skipped(tmp_path: Path, processes: int) -> None:
    (tmp_path / "test_it.py").write_text(TESTS.format(reason="curl is not installed"), encoding="utf-8")
    (tmp_path / "test_file.py").write_text("import pytest\npytest.skip('no moto', allow_module_level=True)\n", "utf-8")
    done = run(tmp_path, processes)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "test_it.py:6: curl is not installed" in done.stdout
    assert "no moto" in done.stdout
    assert "1 passed, 2 skipped" in done.stdout


@pytest.mark.parametrize(("reason", "skips"), [("curl is not installed", ""), ("no IPv6 here", "none")])
def test_other_skips_are_skips(tmp_path: Path, reason: str, skips: str) -> None:
    (tmp_path / "test_it.py").write_text(TESTS.format(reason=reason), encoding="utf-8")
    done = run(tmp_path, 0, skips)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "must not be skipped" not in done.stdout
