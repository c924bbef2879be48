"""A pytest plugin: with MOCKREC_TESTS_SKIP=none, as in `.ci/run`, a missing program fails the run instead of skipping tests.

A skip for a reason that is not listed here is reported, and the exit code is 1.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest

ALLOWED = {
    "root may write everywhere": "the suite runs as root on some machines, and root meets no closed folder",
    "Windows has no such modes": "of another platform",
    "modes are a thing of POSIX": "of another platform",
    "needs a POSIX shell": "of another platform",
    "needs /dev/full": "Linux has it",
    "no such device here": "Linux has /dev/full",
    "needs resource limits": "of another platform",
    "no IPv6 here": "a container may have none",
    "there is no IPv6 on this machine": "a container may have none",
    "this machine has no address but loopback": "a container may have none",
    "Spark needs PySpark and Java 17": "`.ci/tools` installs the Java of Debian, which is older on some machines",
}
"""Reasons of skips that no installation can prevent, and why they are allowed."""


def unexpected(reports: Iterable[Any]) -> list[str]:
    """Return place and reason of each skip that is not allowed."""
    found = set()
    for report in reports:
        path, line, reason = report.longrepr if isinstance(report.longrepr, tuple) else (report.nodeid, 0, "no reason")
        reason = str(reason).removeprefix("Skipped: ")
        if reason not in ALLOWED:
            found.add(f"{path}:{line}: {reason}")
    return sorted(found)


def _skipped(config: pytest.Config) -> list[str]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")  # workers of -n have none
    if reporter is None or os.environ.get("MOCKREC_TESTS_SKIP") != "none":
        return []
    return unexpected(reporter.stats.get("skipped", []))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _skipped(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if found := _skipped(config):
        terminalreporter.section("tests that must not be skipped here", red=True)
        for line in found:
            terminalreporter.line(line)
