"""Reports a defect in mockrec: one line with the address of the issue tracker, and the traceback in a file."""

from __future__ import annotations

import sys
import tempfile
import traceback
from collections.abc import Callable

from mockrec.cli import printing


def report_defect(error: BaseException, shown: Callable[[str], str] = str) -> None:
    """Print that a defect happened and where its details are. `shown` removes secrets from a text."""
    from mockrec.formats.schema.version import mockrec_version

    text = shown("".join(traceback.format_exception(error)))
    name = printing.escape(shown(f"{type(error).__name__}: {error}"))
    try:
        with tempfile.NamedTemporaryFile(
            "w",
            prefix="mockrec-defect-",
            suffix=".txt",
            delete=False,
            encoding="utf-8",
            errors="backslashreplace",
        ) as file:
            file.write(f"mockrec {mockrec_version()}, Python {sys.version}, {sys.platform}\n\n{text}")
    except OSError:
        # No file can be written (the disk may be full), so the traceback goes to the terminal.
        printing.fail(printing.escape(text, keep_lines=True))
        printing.fail(f"a defect in mockrec: {name}; please report it{_where()} with the lines above")
        return
    printing.fail(f"a defect in mockrec: {name}; please report it{_where()} with {file.name}")


def _where() -> str:
    """Return the issue tracker's URL from the installed metadata."""
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        urls = metadata("mockrec").get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""  # imported from the folders, not installed
    named = dict(url.split(", ", 1) for url in urls)
    return f" at {named['Issues']}" if "Issues" in named else ""
