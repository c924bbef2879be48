"""The description of arguments and options, for `--help` and for docs/reference/commands.md."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperOption

from mockrec.cli import printing
from mockrec.cli.defaults import Defaults, InvalidDefault, Names, defaults_of, option_name
from mockrec.cli.help_tables import COMMON_GROUPS, EXAMPLES, GROUPS, WORDS
from mockrec.cli.misplaced import command_hint, is_installed, quotes_hint
from mockrec.cli.options import invocation
from mockrec.cli.variables import ignored, variable_of

_CHOICE = re.compile(r"[a-z0-9]+(?:\|[a-z0-9]+)+")
_COLOR_MODES = ("auto", "always", "never")


class Described(NamedTuple):
    """The description of one argument or option."""

    names: tuple[str, ...]
    """Its names as a user types them: `RULES`, or `-o` and `--output OUT`."""
    about: str
    default: str
    """The default in words; empty if it is not worth showing."""
    is_argument: bool


def _names(root: Any) -> Names:
    """Return all commands, and all options of commands and of their sub-commands."""
    commands = list(root.commands.values())
    commands += [inner for one in commands for inner in getattr(one, "commands", {}).values()]
    options = {
        option_name(parameter) for one in commands for parameter in one.params if parameter.param_type_name == "option"
    }
    return Names(root.commands.keys(), options)


class Command(TyperCommand):
    """A command whose help reads like the reference: no types, no braces, COMMAND where it is accepted."""

    def _with_values(self, args: list[str]) -> list[str]:
        """Give each option whose value may be left out (`[EXPR]`) an empty one where it is left out."""
        optional = {
            name
            for parameter in self.params
            if parameter.param_type_name == "option" and str(parameter.metavar).startswith("[")
            for name in parameter.opts
        }
        given: list[str] = []
        for place, text in enumerate(args):
            given.append(text)
            if text in optional and (place + 1 == len(args) or args[place + 1].startswith("-")):
                given.append("")
        return given

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.params.append(
            TyperOption(
                param_decls=["--color"],
                type=str,
                metavar="auto|always|never",
                default="auto",
                show_default=True,
                callback=_set_color,
                expose_value=False,
                help="When output has colours; auto: on a terminal (NO_COLOR and FORCE_COLOR decide first).",
            )
        )
        for parameter in self.params:
            if (complete := _completion(parameter)) is not None and parameter._custom_shell_complete is None:
                parameter._custom_shell_complete = complete

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, with defaults from variables and the configuration file. Raises `UsageError`."""
        given = list(args)
        ctx.allow_extra_args = True  # what is left over is looked at here, for better words
        found = Defaults()
        if not (ctx.resilient_parsing or {"-h", "--help"} & set(args)):
            found = self._defaults(ctx)
            ctx.default_map = {**(ctx.default_map or {}), **found.values}
        try:
            left = super().parse_args(ctx, self._with_values(args))
        except Exception as error:
            _explain(error, self.name, given, found)
            raise
        if ctx.args and not ctx.resilient_parsing:
            hint = command_hint(given, ctx.args, _text(ctx.params.get("rules"))) if self.name == "run" else ""
            hint = hint or quotes_hint(given, ctx.args)
            words = f"unexpected {'argument' if len(ctx.args) == 1 else 'arguments'} {' '.join(ctx.args)}"
            ctx.fail(printing.escape(f"{words}; {hint}" if hint else words))
        self._say_defaults(ctx, found)
        if not ctx.resilient_parsing:
            self._warn_of_ignored(ctx)
        return left

    def _defaults(self, ctx: Any) -> Defaults:
        try:
            return defaults_of(command_of(ctx), self.params, os.environ, lambda: _names(ctx.find_root().command))
        except InvalidDefault as error:
            raise typer.BadParameter(printing.escape(str(error)), ctx) from None

    def _say_defaults(self, ctx: Any, found: Defaults) -> None:
        """Remember which options the configuration file has set, and print with -v who has set what."""
        invocation.from_file = set()
        for parameter in self.params:
            source = ctx.get_parameter_source(parameter.name or "")
            if parameter.name not in found.sources or source is None or source.name != "DEFAULT_MAP":
                continue
            if parameter.name in found.from_file:
                invocation.from_file.add(parameter.name)
            printing.detail(f"--{option_name(parameter)} is set by {printing.escape(found.sources[parameter.name])}")

    def _warn_of_ignored(self, ctx: Any) -> None:
        """Warn of misspelt variables."""
        options = [option_name(one) for one in self.params if one.param_type_name == "option"]
        commands = getattr(ctx.find_root().command, "commands", ())
        for sentence in ignored(command_of(ctx), options, commands, os.environ):
            printing.warn(printing.escape(sentence))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return usage(self).split()

    def format_options(self, ctx: Any, formatter: Any) -> None:
        for title, items in grouped(self.name or "", self.get_params(ctx)):
            rows = [
                (", ".join(item.names), f"{item.about}  [default: {item.default}]" if item.default else item.about)
                for item in items
            ]
            with formatter.section(title):
                formatter.write_dl(rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        name = command_of(ctx)
        if examples := EXAMPLES.get(name):
            with formatter.section("Examples"):
                for words, line in examples:
                    formatter.write(f"  # {words}\n  {line}\n")
        variable = variable_of(name, "option")
        formatter.write(
            f"\nEvery option has a variable ({variable.removesuffix('OPTION')}…) and a place in mockrec.toml.\n"
        )


def _completion(parameter: Any) -> Callable[..., list[str]] | None:
    """Return the function that completes the values of an option, if it takes one of some words."""
    if parameter.param_type_name != "option" or parameter.is_flag:
        return None
    name, metavar = option_name(parameter), parameter.metavar or ""
    words = tuple(metavar.split("|")) if _CHOICE.fullmatch(metavar) else WORDS.get(name, ())
    if not words and name not in ("events", "fields"):
        return None

    def complete(ctx: Any, one: Any, incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        known = words
        if name == "events":
            from mockrec.formats.schema.lifecycle import EVENT_TYPES

            known = ("default", "all", *EVENT_TYPES)
        elif name == "fields":
            from mockrec.formats.query.fields import names

            known = tuple(names())
        return [f"{before}{comma}{word}" for word in known if word.startswith(last)]

    return complete


def command_of(ctx: Any) -> str:
    """Return the name of a command without that of the program: `run`, `ca export`."""
    names = []
    while ctx.parent is not None:
        names.append(ctx.info_name)
        ctx = ctx.parent
    return " ".join(reversed(names))


def grouped(command: str, parameters: list[Any]) -> Iterator[tuple[str, list[Described]]]:
    """Yield the arguments and options of a command in the groups of its help, each with its title."""
    by_title: dict[str, list[Described]] = {"Arguments": [], "Options": []}
    titles = {name: title for title, names in (*GROUPS.get(command, ()), *COMMON_GROUPS) for name in names}
    for parameter in parameters:
        for item in described([parameter]):
            title = "Arguments" if item.is_argument else titles.get(parameter.name or "", "Options")
            by_title.setdefault(title, []).append(item)
    order = ["Arguments", "Options", *dict.fromkeys(titles.values())]
    for title in order:
        if items := by_title.get(title):
            yield title, items


def _explain(error: Exception, command: str | None, given: list[str], found: Defaults) -> None:
    """Add to a usage error: a COMMAND without `--` before it, or the variable or file that the value is from."""
    words = ""
    if command == "run" and hasattr(error, "possibilities"):  # an unknown option, maybe one of COMMAND
        program = next((one for one in given if is_installed(one)), None)
        words = "" if program is None else command_hint(given, (program,), None)
    name = getattr(getattr(error, "param", None), "name", None)
    if name in found.sources:
        words = f"set by {found.sources[name]}"
    if words and hasattr(error, "message"):
        error.message = f"{error.message.rstrip('.')}; {words}"


def _set_color(context: Any, parameter: Any, value: str) -> str:
    if value not in _COLOR_MODES:
        raise typer.BadParameter(f"expected {', '.join(_COLOR_MODES)}, got {value!r}", context, parameter)
    printing.set_color(value)
    return value


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def usage(command: Any) -> str:
    """Return the usage line of a command after its name."""
    pieces = ["[OPTIONS]"]
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            name = parameter.metavar or parameter.name.upper()
            pieces.append(name if parameter.required else f"[{name}]")
    if command.name in ("run", "replay"):
        pieces.append("[-- COMMAND...]")  # `main` splits COMMAND off; typer never sees it
    return " ".join(pieces)


def described(parameters: list[Any]) -> Iterator[Described]:
    """Yield every visible argument and option, in the order of the code."""
    for parameter in parameters:
        if getattr(parameter, "hidden", False):
            continue
        about = parameter.help or ""
        if parameter.param_type_name == "argument":
            yield Described((parameter.metavar or parameter.name.upper(),), about, _default(parameter), True)
            continue
        names = [*sorted(parameter.opts, key=len), *parameter.secondary_opts]
        if not parameter.is_flag:
            names[-1] += f" {parameter.metavar or 'VALUE'}"
        yield Described(tuple(names), about, _default(parameter), False)


def _default(parameter: Any) -> str:
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    value = parameter.default
    if not parameter.show_default or value is None or isinstance(value, bool) or callable(value):
        return ""
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value.value if isinstance(value, Enum) else value)
