"""The table of commands, which the program reads instead of importing them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import typer.main

from mockrec.cli.app import COMMANDS, app


def built() -> Any:
    return typer.main.get_command(app)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_has_the_first_sentence_of_a_commands_own_help(name: str) -> None:
    command = built().commands[name]
    assert command.name == name
    first, dot, _ = command.help.partition(".")
    assert first + dot == COMMANDS[name][1]


def test_there_is_no_command_beyond_the_table() -> None:
    commands = built().commands
    assert (list(commands), len(commands), commands.get("runn")) == (list(COMMANDS), len(COMMANDS), None)


@pytest.mark.parametrize(
    ("arguments", "loaded"),
    [
        (["--help"], set()),
        (["--version"], set()),
        (["runn"], set()),
        (["stats", "--help"], {"stats"}),
        (["ca", "--help"], {"ca"}),
        (["run", "--help"], {"run", "report"}),  # it has the options of a report
    ],
)
def test_only_the_command_that_is_named_is_imported(arguments: list[str], loaded: set[str]) -> None:
    """Counted in modules, not in time: the help of one command costs as much as all if typer builds them."""
    script = (
        "import sys\n"
        "from mockrec.cli.__main__ import main\n"
        "from mockrec.cli.app import COMMANDS\n"
        f"main({arguments!r})\n"
        "modules = {name: where.partition(':')[0] for name, (where, _) in COMMANDS.items()}\n"
        "print('loaded', *(name for name in modules if f'mockrec.cli.{modules[name]}' in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True, timeout=60)
    assert set(done.stdout.splitlines()[-1].split()) == {"loaded", *loaded}


def test_the_shell_completes_the_names_of_commands_without_importing_them() -> None:
    script = (
        "import sys, typer.main\n"
        "from typer._click.core import Context\n"
        "from mockrec.cli.app import app\n"
        "program = typer.main.get_command(app)\n"
        "found = program.shell_complete(Context(program), 's')\n"
        "print([item.value for item in found], 'mockrec.cli.show' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True, timeout=60)
    assert done.stdout == "['show', 'stats', 'sql'] False\n"
