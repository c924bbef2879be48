"""Variables and configuration files: names, precedence, and what a file cannot set."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer.main

from mockrec.cli.app import app
from mockrec.cli.defaults import (
    FORBIDDEN,
    InvalidDefault,
    config_file,
    defaults_of,
    option_name,
    weaker_than_rules,
)
from mockrec.cli.help_tables import COMMON_GROUPS, EXAMPLES, GROUPS, WORDS
from mockrec.cli.variables import PREFIX, READ, SET, ignored, variable_of
from mockrec.engine.run.rulefile import settings_in

Mockrec = Callable[..., Any]
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
OWN = {PREFIX + name for name in (*READ, *SET)}
ID = "aaaaaaaa-1111-7000-8000-000000000000"


def everything() -> dict[str, Any]:
    """Every command by its name, sub-commands too."""
    found = dict(COMMANDS)
    found |= {f"ca {name}": one for name, one in found.pop("ca").commands.items()}
    return found


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    return tmp_path


@pytest.fixture
def session(recording: Any, folder: Path) -> Path:
    return recording.start().exchange(ID).exchange(ID[::-1]).end().write(folder / "s.jsonl")


def of(command: str, environment: dict[str, str] | None = None) -> dict[str, Any]:
    return defaults_of(command, everything()[command].params, environment or {}).values


# ── variables ──────────────────────────────────────────────────────────────────────────────────────


def test_every_option_has_a_variable_of_its_own() -> None:
    names = [
        variable_of(command, option_name(parameter))
        for command, found in everything().items()
        for parameter in found.params
        if parameter.param_type_name == "option"
    ]
    assert len(names) == len(set(names)) > 100
    assert not OWN & set(names)
    assert {"MOCKREC_RUN_PORT", "MOCKREC_CA_EXPORT_FORMAT", "MOCKREC_SHOW_AS", "MOCKREC_RUN_MAX_BODY_SIZE"} <= set(
        names
    )


def test_the_table_has_the_variables_of_the_code() -> None:
    root = Path(__file__).parents[3]
    files = [file for folder in ("cli", "engine", "formats") for file in (root / folder).rglob("*.py")]
    named = {name for file in files for name in re.findall(r"\"(MOCKREC_[A-Z_]+)\"", file.read_text(encoding="utf-8"))}
    assert named == OWN


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("RUN_PROT", "RUN_PORT"),
        ("RNU_PORT", "RUN_PORT"),
        ("MAX_BODY_SIZE", "RUN_MAX_BODY_SIZE"),
        ("RUN_REDACT_KEY", "REDACT_KEY"),
        ("CA_DIRR", "CA_DIR"),
        ("CONFIGG", "CONFIG"),
        ("PORT", "RUN_PORT"),
    ],
)
def test_the_nearest_name_of_a_misspelt_variable_is_said(variable: str, meant: str) -> None:
    options = [option_name(one) for one in everything()["run"].params if one.param_type_name == "option"]
    (sentence,) = ignored("run", options, COMMANDS, {PREFIX + variable: "1", "PATH": "/bin"})
    assert sentence.startswith(f"the variable MOCKREC_{variable} is ignored: ")
    assert sentence.endswith(f"; did you mean MOCKREC_{meant}?")


@pytest.mark.parametrize(
    "variable", ["RUN_PORT", "SHOW_LIMIT", "CA_EXPORT_FORMAT", "URL", "VERSION", "PEERS", "TEST_NODE"]
)
def test_variables_of_others_are_theirs(variable: str) -> None:
    options = [option_name(one) for one in everything()["run"].params if one.param_type_name == "option"]
    assert not [*ignored("run", options, COMMANDS, {PREFIX + variable: "1"})]


def test_the_port_of_a_recorder_that_runs_this_command_is_no_mistake() -> None:
    options = [option_name(one) for one in everything()["run"].params if one.param_type_name == "option"]
    given = {"MOCKREC_PORT": "8080", "MOCKREC_URL": "http://127.0.0.1:8080"}
    assert not [*ignored("run", options, COMMANDS, given)]
    assert not [*ignored("show", [], COMMANDS, {"MOCKREC_PORT": "8080"})]


def test_a_command_warns_of_a_variable_that_it_ignores(
    mockrec: Mockrec, session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOCKREC_SHOW_XYZZY", "1")
    done = mockrec("show", session)
    assert (done.code, len(done.lines)) == (0, 3)
    assert "warning: the variable MOCKREC_SHOW_XYZZY is ignored: show has no such option\n" in done.err
    assert mockrec("show", session, "--quiet").err == ""


def test_a_variable_is_as_if_typed(mockrec: Mockrec, session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOCKREC_SHOW_LIMIT", "1")
    assert len(mockrec("show", session).lines) == 2
    assert len(mockrec("show", session, "--limit", 2).lines) == 3, "an option is stronger"
    monkeypatch.setenv("MOCKREC_SHOW_LIMIT", "")
    assert len(mockrec("show", session).lines) == 3
    monkeypatch.setenv("MOCKREC_SHOW_QUIET", "1")
    assert mockrec("show", session).err == ""


def test_a_wrong_variable_is_named(mockrec: Mockrec, session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOCKREC_SHOW_LIMIT", "many")
    done = mockrec("show", session)
    assert done.code == 2
    assert "set by the variable MOCKREC_SHOW_LIMIT" in done.err
    assert mockrec("show", "--help").code == 0


def test_several_values_stand_in_a_line_each() -> None:
    values = of("run", {"MOCKREC_RUN_OUTPUT": "a b.jsonl\nc.har", "MOCKREC_RUN_STRICT": "1", "MOCKREC_PORT": "1"})
    assert values == {"output": ["a b.jsonl", "c.har"], "strict": "1"}


# ── files ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_gives_defaults(mockrec: Mockrec, session: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "mockrec.toml").write_text("quiet = true\n[show]\nlimit = 1\n[stats]\ntop = 5\n", encoding="utf-8")
    done = mockrec("show", session)
    assert (len(done.lines), done.err) == (2, "")
    monkeypatch.setenv("MOCKREC_SHOW_LIMIT", "2")
    assert len(mockrec("show", session).lines) == 3, "a variable is stronger"
    monkeypatch.setenv("MOCKREC_CONFIG", "none")
    assert mockrec("show", session).err != ""


def test_verbose_says_who_has_set_what(mockrec: Mockrec, session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("pyproject.toml").write_text("[tool.mockrec.show]\nas = 'json'\n[project]\nname = 'x'\n", encoding="utf-8")
    monkeypatch.setenv("MOCKREC_SHOW_LIMIT", "1")
    err = mockrec("show", session, "-v").err
    assert "--as is set by pyproject.toml\n" in err
    assert "--limit is set by the variable MOCKREC_SHOW_LIMIT\n" in err
    assert "--as" not in mockrec("show", session, "-v", "--as", "text").err


@pytest.mark.parametrize("name", sorted(FORBIDDEN))
def test_what_weakens_protection_is_not_for_files(name: str) -> None:
    command = next((one for one, found in everything().items() if name in map(option_name, found.params)), None)
    if command is None:
        assert name == "control", "a name that other versions have"
        return
    path = ".".join(command.split())
    Path("mockrec.toml").write_text(f"[{path}]\n{name} = true\n", encoding="utf-8")
    with pytest.raises(InvalidDefault, match=f"cannot set this; use --{name} or the variable"):
        of(command)
    Path("mockrec.toml").write_text(f"{name} = true\n", encoding="utf-8")
    with pytest.raises(InvalidDefault):
        of(command)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[run]\nprot = 1\n", 'run.prot: run has no such option; did you mean "port"?'),
        ("[run]\nport = [1]\n", "run.port: expected a text or a number, got list"),
        ("[run]\nstrict = 1\n", "run.strict: expected true or false, got 1"),
        ("[run]\nrules = 'x.yaml'\n", "run.rules: run has no such option"),
        ("[run]\ncommand = 'rm'\n", "run.command: run has no such option"),
        ("run = 1\n", "run: expected a table [run]"),
        ("[run\n", "not TOML"),
        ("[rnu]\nport = 1\n", 'rnu: there is no such command; did you mean "run"?'),
        ("[control-port]\n", "control-port: there is no such command"),
        ("colr = 'never'\n", 'colr: no command has such an option; did you mean "color"?'),
        ("[run]\noutput = ['a.jsonl', 's3://else/where/']\n", "run.output: a configuration file comes with a checkout"),
        ("a = " + "[" * 100_000, "not TOML"),
    ],
)
def test_wrong_files_are_named(mockrec: Mockrec, text: str, words: str) -> None:
    Path("mockrec.toml").write_text(text, encoding="utf-8")
    done = mockrec("run", "--no-such-option")
    assert done.code == 2
    assert "mockrec.toml" in done.err and words in done.err


def test_parents_are_searched_up_to_the_root_of_the_working_copy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "mockrec.toml").write_text("", encoding="utf-8")
    inner = folder / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert config_file({}) == folder / "mockrec.toml"
    (folder / ".git").rmdir()
    assert config_file({}) is None, "whoever wrote it, it is not of this project"
    (inner / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    assert config_file({}) is None
    assert config_file({"MOCKREC_CONFIG": "x.toml"}) == Path("x.toml")


def test_the_rule_file_is_stronger_than_the_configuration_file(folder: Path) -> None:
    rules = folder / "rules.yaml"
    rules.write_text("server: {port: 70001}\nrecord: {events: all}\nunmatched: reject\nrules: []\n", encoding="utf-8")
    assert settings_in(rules) >= {"server.port", "record.events", "unmatched"}
    assert weaker_than_rules(rules, {"ports", "events", "grace"}) == {"ports", "events"}
    assert weaker_than_rules(None, {"ports"}) == set()


# ── the tables ─────────────────────────────────────────────────────────────────────────────────────


def test_tables_name_what_there_is() -> None:
    for command, groups in GROUPS.items():
        known = {parameter.name for parameter in everything()[command].params}
        assert {name for _, names in groups for name in names} <= known
    every = {parameter.name for one in everything().values() for parameter in one.params}
    assert {name for _, names in COMMON_GROUPS for name in names} <= every
    options = {option_name(one) for found in everything().values() for one in found.params if one.opts}
    assert set(WORDS) <= options


@pytest.mark.parametrize("command", sorted(EXAMPLES))
def test_examples_can_be_typed(command: str) -> None:
    known = {name for one in everything()[command].params for name in one.opts}
    for words, line in EXAMPLES[command]:
        typed = shlex.split(line.partition(" -- ")[0])
        assert typed[: 1 + len(command.split())] == ["mockrec", *command.split()]
        assert {one for one in typed if one.startswith("--") or (len(one) == 2 and one[0] == "-")} <= known
        assert words


@pytest.mark.parametrize(
    ("command", "option", "typed", "offered"),
    [
        ("run", "unmatched", "", ["reject", "passthrough"]),
        ("diff", "as", "j", ["json", "junit"]),
        ("run", "events", "response,websocket-c", ["response,websocket-close"]),
        ("filter", "fields", "method,durat", ["method,duration"]),
        ("show", "color", "a", ["auto", "always"]),
    ],
)
def test_values_are_completed(command: str, option: str, typed: str, offered: list[str]) -> None:
    parameter = next(one for one in everything()[command].params if option_name(one) == option)
    assert [item.value for item in parameter.shell_complete(None, typed)] == offered


def test_every_command_has_a_man_page() -> None:
    folder = Path(__file__).parents[3] / "docs" / "reference" / "man"
    names = {"mockrec.1", *(f"mockrec-{name.replace(' ', '-')}.1" for name in everything())}
    assert {path.name for path in folder.iterdir()} == names
    for path in folder.iterdir():
        for line in path.read_text(encoding="utf-8").splitlines():
            assert not line.startswith("'")
            assert not line.startswith(".") or line.split()[0] in (".SH", ".TH", ".TP", ".PP", ".B", '.\\"')
