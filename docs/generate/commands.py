"""The page of commands, from the typer application and the words of its `--help`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer.main
from words import cell, page, sentence, table

from mockrec.cli.app import app
from mockrec.cli.help import Described, described, usage

_ABOUT = """
Everything after the first `--` is COMMAND, and only `run` takes one. Every command takes `-h` and `--help`. What the
options are for is described in [Commands](../cli.md); [exit codes](exit-codes.md) have a page of their own. Every
option has a variable, such as `MOCKREC_RUN_PORT` for `run --port`, and a place in
[`mockrec.toml`](../cli.md#variables-and-configuration-files).
"""


def text() -> str:
    """One chapter a command; sub-commands follow their group."""
    parts: list[str] = []
    for name, command in _all(typer.main.get_command(app), "mockrec"):
        parts += _chapter(name, command)
    return page("Commands and options", _ABOUT, *parts)


def _all(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    yield name, command
    for word, sub in getattr(command, "commands", {}).items():
        yield from _all(sub, f"{name} {word}")


def _chapter(name: str, command: Any) -> list[str]:
    subs = getattr(command, "commands", {})
    found = [item for item in described(command.params) if item.names[-1] not in ("--help", "--show-completion")]
    about = [" ".join(block.split()) for block in (command.help or "").split("\n\n")]
    links = [(f"[`{name} {word}`](#{name.replace(' ', '-')}-{word})", _first(sub)) for word, sub in subs.items()]
    arguments = [(cell(f"`{item.names[0]}`"), cell(item.about)) for item in found if item.is_argument]
    options = [_option(item) for item in found if not item.is_argument]
    return [
        f"## {name}",
        f"```\n{name} {'COMMAND ...' if subs else usage(command)}\n```",
        *about,
        table(("command", "does"), links),
        table(("argument", "meaning"), arguments),
        table(("option", "default", "meaning"), options),
    ]


def _first(command: Any) -> str:
    return sentence((command.help or "").partition("\n")[0])


def _option(item: Described) -> tuple[str, str, str]:
    names = ", ".join(f"`{name}`" for name in item.names)
    return cell(names), cell(f"`{item.default}`") if item.default else "", cell(item.about)
