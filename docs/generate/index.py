"""The page that leads to the others."""

from __future__ import annotations

from words import page, table

_PAGES = (
    ("commands.md", "every command, argument and option, as `--help` says it", "../cli.md"),
    ("rules.md", "every key of the rule file", "../rules.md"),
    ("events.md", "every record of the log and its fields", "../events.md"),
    ("secrets.md", "every name and kind of token that is secret by default", "../redaction.md"),
    ("exit-codes.md", "every exit code", "../cli.md#exit-codes"),
)


def text() -> str:
    about = (
        "These pages are made of the code, and a test keeps them so: they are complete, and say what this version "
        "does. The other pages of docs/ explain."
    )
    rows = [(f"[{name}]({name})", what, f"[{where.rpartition('/')[2]}]({where})") for name, what, where in _PAGES]
    return page("Reference", about, table(("page", "has", "explained in"), rows))
