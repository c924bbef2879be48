"""Defaults of options: from a variable (`MOCKREC_RUN_PORT`), else from a configuration file (`mockrec.toml`, or
`[tool.mockrec]` of `pyproject.toml`).

An option is stronger than its variable, the variable than the rule file, the rule file than the configuration file.
A configuration file comes with a checkout, so it cannot set what weakens protection or chooses other servers.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Set
from pathlib import Path
from typing import Any, Final, NamedTuple

from mockrec.cli import printing
from mockrec.cli.variables import variable_of

CONFIG_VARIABLE: Final = "MOCKREC_CONFIG"
"""Names the configuration file; `none` stands for no file."""
FORBIDDEN: Final = frozenset(
    {
        "redact", "insecure", "open", "host", "trust", "control", "force", "to", "upstream", "ca-cert", "ca-key",
        "password", "engine", "ready-file", "file-mode",
    }
)  # fmt: skip
"""Options that a configuration file cannot set. COMMAND and arguments are no options, so it cannot set them either."""
_IN_RULES: Final = {
    "ports": "server.port",
    "http2": "server.http2",
    "socks": "server.socks",
    "events": "record.events",
    "max_body_size": "record.maxBodySize",
    "unmatched": "unmatched",
    "transparent": "upstream.simulateConnectionErrors",
}
"""Options that a rule file can say too → their place there."""
_NAMES: Final = ("mockrec.toml", "pyproject.toml")
_ROOTS: Final = (".git", ".hg", ".jj")
_LARGEST: Final = 1024 * 1024


class InvalidDefault(ValueError):
    """A configuration file cannot be used; the text names the file and the option."""


class Defaults:
    """What variables and a configuration file say of the options of one command."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        """Name of a parameter → value."""
        self.sources: dict[str, str] = {}
        """Name of a parameter → who says so, in words."""
        self.from_file: set[str] = set()
        """The parameters whose value is the configuration file's."""


class Names(NamedTuple):
    """What a configuration file may name at its top."""

    commands: Set[str]
    options: Set[str]
    """The long names of all options of all commands."""


def defaults_of(
    command: str, parameters: Iterable[Any], environment: Mapping[str, str], known: Callable[[], Names] | None = None
) -> Defaults:
    """Return the defaults of a command (`run`, `ca export`). `known` returns what a configuration file may name at its
    top. Raises InvalidDefault."""
    found = Defaults()
    options = {option_name(one): one for one in parameters if one.param_type_name == "option"}
    file = config_file(environment)
    if file is not None:
        table = _table(file)
        if known is not None:
            _check_names(file, table, known())
        for name, value in _settings(file, table, command, options).items():
            parameter = options[name]
            found.values[parameter.name] = _checked(file, command, name, parameter, value)
            found.sources[parameter.name] = file.name
            found.from_file.add(parameter.name)
    for name, parameter in options.items():
        variable = variable_of(command, name)
        text = environment.get(variable)
        if text:
            found.values[parameter.name] = text.splitlines() if parameter.multiple else text
            found.sources[parameter.name] = f"the variable {variable}"
            found.from_file.discard(parameter.name)
    return found


def option_name(parameter: Any) -> str:
    """Return the long name of an option without its dashes: `max-body-size`."""
    return str(max(parameter.opts, key=len)).lstrip("-")


def config_file(environment: Mapping[str, str]) -> Path | None:
    """Return the configuration file that holds for the current folder; None without one.

    Parents are searched up to the root of the working copy, and not beyond: anybody may write a file into `/tmp`.
    """
    named = environment.get(CONFIG_VARIABLE)
    if named:
        return None if named == "none" else Path(named)
    try:
        here = Path.cwd()
    except OSError:  # the folder has been removed
        return None
    parents = (here, *here.parents)
    root = next((place for place, folder in enumerate(parents) if any((folder / one).exists() for one in _ROOTS)), 0)
    for folder in parents[: root + 1]:
        for name in _NAMES:
            file = folder / name
            if file.is_file() and (name == "mockrec.toml" or _mentions_us(file)):
                return file
    return None


def _mentions_us(file: Path) -> bool:
    try:
        return b"tool.mockrec" in file.read_bytes()[:_LARGEST]
    except OSError:
        return False


def _check_names(file: Path, table: Mapping[str, Any], known: Names) -> None:
    """Raise InvalidDefault for a table that is of no command, or an option that no command has."""
    for name, value in table.items():
        of_kind = known.commands if isinstance(value, dict) else known.options | known.commands
        if name.replace("_", "-") in of_kind:
            continue
        near = difflib.get_close_matches(name, of_kind, 1)
        hint = f'; did you mean "{near[0]}"?' if near else ""
        what = "there is no such command" if isinstance(value, dict) else "no command has such an option"
        raise InvalidDefault(f"{file}: {name}: {what}{hint}")


def _settings(file: Path, table: Mapping[str, Any], command: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return option → value: those for all commands that have them, and those of the command's own table."""
    known = command.split()[0]
    found = {
        name.replace("_", "-"): value
        for name, value in table.items()
        if not isinstance(value, dict) and name.replace("_", "-") in options
    }
    own: Any = table
    for word in command.split():
        own = own.get(word, {}) if isinstance(own, dict) else {}
    if not isinstance(own, dict):
        raise InvalidDefault(f"{file}: {known}: expected a table [{known}]")
    for name, value in own.items():
        if isinstance(value, dict):
            continue  # of a sub-command
        option = name.replace("_", "-")
        if option not in options:
            near = difflib.get_close_matches(option, options, 1)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            raise InvalidDefault(f"{file}: {known}.{name}: {command} has no such option{hint}")
        found[option] = value
    return found


def _table(file: Path) -> dict[str, Any]:
    import tomllib

    try:
        with open(file, "rb") as opened:
            data = opened.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise InvalidDefault(f"{file}: a configuration file has no more than 1 MiB")
        found: Any = tomllib.loads(data.decode("utf-8"))
    except OSError as error:
        raise InvalidDefault(f"{file}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, InvalidDefault):
            raise
        raise InvalidDefault(f"{file}: not TOML: {error}") from None
    if file.name == "pyproject.toml":
        found = found.get("tool", {})
        found = found.get("mockrec", {}) if isinstance(found, dict) else {}
    if not isinstance(found, dict):
        raise InvalidDefault(f"{file}: tool.mockrec: expected a table")
    return found


def _checked(file: Path, command: str, name: str, parameter: Any, value: Any) -> Any:
    """Return a value of the file as the option takes it."""
    place = f"{file}: {command.replace(' ', '.')}.{name}"
    if name in FORBIDDEN:
        raise InvalidDefault(
            f"{place}: a configuration file comes with a checkout, so it cannot set this; use --{name} or the variable"
            f" {variable_of(command, name)}"
        )
    if parameter.is_flag:
        if not isinstance(value, bool):
            raise InvalidDefault(f"{place}: expected true or false, got {value!r}")
        return value
    if parameter.multiple:
        values = value if isinstance(value, list) else [value]
        return [_file_of_checkout(place, name, _text(place, one)) for one in values]
    return _file_of_checkout(place, name, _text(place, value))


def _file_of_checkout(place: str, name: str, value: str) -> str:
    """Return the value, unless it sends what is recorded to a store that the checkout names."""
    if name == "output" and "://" in value:
        raise InvalidDefault(
            f"{place}: a configuration file comes with a checkout, so it cannot name a store ({value}); use --output"
        )
    return value


def _text(place: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, (str, int, float)):
        raise InvalidDefault(f"{place}: expected a text or a number, got {type(value).__name__}")
    return str(value)


def weaker_than_rules(rules: Path | None, from_file: Set[str]) -> set[str]:
    """Return the parameters whose value in the configuration file gives way to the rule file's."""
    if rules is None or not from_file:
        return set()
    from mockrec.engine.run.rulefile import settings_in

    said = settings_in(rules)
    found = {name for name in from_file if _IN_RULES.get(name, "") in said}
    for name in sorted(found):
        printing.detail(f"{_IN_RULES[name]} of the rule file is stronger than the configuration file")
    return found
