"""The page of `--mockrec-report`: every test that used the recorder, with its exchanges."""

from __future__ import annotations

from html import escape
from pathlib import Path

import pytest

_MOST_TESTS = 5000
_HEAD = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Exchanges of the tests</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; }
summary { cursor: pointer; }
pre { overflow-x: auto; padding: .7rem; background: #f4f4f4; color: #222; }
.failed { color: #b00020; font-weight: bold; }
</style>
<h1>Exchanges of the tests</h1>
"""


class ReportPage:
    """Collects the reports of tests, also those of workers, and writes the page at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tests: list[tuple[str, str, str]] = []
        self._left_out = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the report of a test."""
        text = getattr(report, "mockrec", None)
        if text is None:
            return
        if len(self._tests) < _MOST_TESTS or report.failed:
            self._tests.append((report.nodeid, report.outcome, text))
        else:
            self._left_out += 1

    def pytest_sessionfinish(self) -> None:
        """Write the page."""
        parts = [_HEAD]
        for name, outcome, text in self._tests:
            is_open = " open" if outcome == "failed" else ""
            title = f'<summary class="{escape(outcome)}">{escape(name)}: {escape(outcome)}</summary>'
            parts.append(f"<details{is_open}>{title}<pre>{escape(text or 'no exchange')}</pre></details>\n")
        if self._left_out:
            parts.append(f"<p>{self._left_out} more tests that passed are left out.</p>\n")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text("".join(parts), encoding="utf-8")
