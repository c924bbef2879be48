"""A defect in mockrec: told in one line that says where to report it, with the traceback in a file."""

from __future__ import annotations

import sys
import tempfile
import traceback
from collections.abc import Callable

from mockrec.cli import printing


def tell_defect(error: BaseException, shown: Callable[[str], str] = str) -> None:
    """Say that it happened and where the details are. `shown` leaves secrets out of a text."""
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
        # No place for a file (the disk may be what is full): the terminal is better than nothing.
        printing.fail(printing.escape(text, keep_lines=True))
        printing.fail(f"a defect in mockrec: {name}; please report it{_where()} with the lines above")
        return
    printing.fail(f"a defect in mockrec: {name}; please report it{_where()} with {file.name}")


def _where() -> str:
    """The issue tracker, as the installed metadata name it."""
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        urls = metadata("mockrec").get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""  # the folders are imported without being installed
    named = dict(url.split(", ", 1) for url in urls)
    return f" at {named['Issues']}" if "Issues" in named else ""
