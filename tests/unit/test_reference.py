"""docs/reference is what docs/generate makes of the code, and says all that there is to say."""

from __future__ import annotations

import difflib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from mockrec.cli import codes
from mockrec.cli.app import app
from mockrec.engine.errors import MockrecError
from mockrec.engine.rules.language.load import json_schema
from mockrec.formats.schema.errors import FormatError

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
HOW = "`python docs/generate` writes docs/reference anew; commit what it changes"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, made again."""
    folder = tmp_path_factory.mktemp("reference")
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate", folder], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return folder


def _names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*"))


def test_the_same_pages_are_there(made: Path) -> None:
    assert _names(REFERENCE) == _names(made), HOW


@pytest.mark.parametrize("name", sorted(str(path.relative_to(REFERENCE)) for path in REFERENCE.rglob("*.*")))
def test_a_page_says_what_the_code_says(made: Path, name: str) -> None:
    old, new = ((folder / name).read_text(encoding="utf-8").splitlines() for folder in (REFERENCE, made))
    changed = "\n".join(difflib.unified_diff(old, new, "docs/reference", "the code", lineterm="", n=0))
    assert changed == "", f"{HOW}:\n{changed}"


@pytest.mark.parametrize("name", ["commands.md", "rules.md", "events.md"])
def test_nothing_is_left_without_a_meaning(made: Path, name: str) -> None:
    rows = re.findall(r"^\| `.*$", (made / name).read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) > 50
    assert [row for row in rows if not re.search(r"\w", re.split(r"(?<!\\)\|", row)[-2])] == []


def test_every_key_of_the_rule_language_is_there(made: Path) -> None:
    text = (made / "rules.md").read_text(encoding="utf-8")

    def keys(schema: object) -> set[str]:
        if isinstance(schema, list):
            return set().union(*map(keys, schema)) if schema else set()
        if not isinstance(schema, dict):
            return set()
        found = set(schema["properties"]) if isinstance(schema.get("properties"), dict) else set()
        return found.union(*map(keys, schema.values()))

    known = keys(json_schema())
    assert len(known) > 100
    assert {key for key in known if f"`{key}`" not in text} == set()


def test_every_exit_code_that_an_error_has_is_in_the_table() -> None:
    known = {value for name, value in vars(codes).items() if name.isupper()}

    def all_of(kind: type[Exception]) -> set[int]:
        return {kind.exit_code}.union(*map(all_of, kind.__subclasses__()))  # type: ignore[attr-defined]

    found = all_of(MockrecError) | all_of(FormatError)
    assert found == {codes.USAGE, codes.RECORDING_FAILED, codes.READER_GONE}
    assert found <= known


def test_every_option_that_takes_a_value_says_what() -> None:
    def all_of(command: object) -> list[object]:
        subs = getattr(command, "commands", {}).values()
        return [*command.params, *(item for sub in subs for item in all_of(sub))]  # type: ignore[attr-defined]

    options = [item for item in all_of(typer.main.get_command(app)) if getattr(item, "param_type_name", "") == "option"]
    nameless = [item.opts for item in options if not item.is_flag and item.metavar is None]  # type: ignore[attr-defined]
    assert len(options) > 60
    assert [names for names in nameless if names != ["--show-completion"]] == []
