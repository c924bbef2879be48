"""The page about commands names what the commands have, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from mockrec.cli.app import app

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_on_the_page(name: str) -> None:
    command = COMMANDS[name]
    assert f"## `mockrec {name}" in PAGE
    missing = [
        option
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--") and not re.search(rf"{option}\b", PAGE)
    ]
    assert missing == []


def test_the_page_names_no_option_that_is_not_there() -> None:
    known = {
        option
        for command in COMMANDS.values()
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    known |= {"--help", "--version", "--install-completion", "--"}
    named = set(re.findall(r"(?<![\w-])--[a-z0-9-]*[a-z0-9]", PAGE))
    assert named - known == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    assert [parameter.name for parameter in command.params if not getattr(parameter, "help", "x")] == []
