"""How `--help` reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import typer.main

from mockrec.cli.app import app
from mockrec.cli.help import described, usage

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
SHORTEST_TERMINAL = 80


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("run", "[OPTIONS] [RULES] [-- COMMAND...]"),
        ("filter", "[OPTIONS] SESSION... [EXPR]"),
        ("diff", "[OPTIONS] A B"),
        ("show", "[OPTIONS] SESSION [ID]"),
    ],
)
def test_usage_says_what_may_be_typed(mockrec: Callable[..., Any], name: str, line: str) -> None:
    assert usage(COMMANDS[name]) == line
    assert mockrec(name, "--help").out.startswith(f"Usage: mockrec {name} {line}\n")


def test_options_have_names_meanings_and_defaults_in_words() -> None:
    found = {item.names[-1].split()[0]: item for item in described(COMMANDS["run"].params)}
    assert (found["--port"].names, found["--port"].default) == (("--port PORT",), "8000, with COMMAND 0")
    assert found["--output"].names == ("-o", "--output OUT")
    assert found["--no-socks"].names == ("--socks", "--no-socks")
    assert (found["--force"].names, found["--force"].default) == (("--force",), "")
    assert found["RULES"].is_argument
    compared = {item.names[-1]: item.default for item in described(COMMANDS["diff"].params)}
    assert compared["--fail-on any|breaking"] == "any"


def test_no_types_of_python_are_shown(mockrec: Callable[..., Any]) -> None:
    for name in COMMANDS:
        text = mockrec(name, "--help").out
        assert "<" not in text
        assert "{" not in text.partition("\n")[0]


def test_the_list_of_commands_shows_whole_sentences(
    mockrec: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(SHORTEST_TERMINAL))
    lines = mockrec("--help").out.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in lines] == list(COMMANDS)
    assert all(line.endswith(".") and not line.endswith("...") for line in lines)
