"""The page of exit codes, from cli/codes.py."""

from __future__ import annotations

from words import docs_of_names, page, sentence, table

from mockrec.cli import codes


def text() -> str:
    docs = docs_of_names(codes)
    rows = [(str(getattr(codes, name)), sentence(about)) for name, about in docs.items()]
    return page(
        "Exit codes",
        "[Commands](../cli.md#exit-codes) are explained in their own page.",
        table(("code", "meaning"), rows),
    )
