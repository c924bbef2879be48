"""The description of arguments and options, for `--help` and for docs/reference/commands.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import typer
from typer.core import TyperCommand, TyperOption

from mockrec.cli import printing
from mockrec.cli.misplaced import command_hint, is_installed, quotes_hint

_COLOR_MODES = ("auto", "always", "never")


@dataclass(frozen=True, slots=True)
class Described:
    """The description of one argument or option."""

    names: tuple[str, ...]
    """Its names as a user types them: `RULES`, or `-o` and `--output OUT`."""
    about: str
    default: str
    """The default in words; empty if it is not worth showing."""
    is_argument: bool


class Command(TyperCommand):
    """A command whose help reads like the reference: no types, no braces, COMMAND where it is accepted."""

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

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, with a hint for arguments in the wrong place. Raises `UsageError`."""
        given = list(args)
        ctx.allow_extra_args = True  # what is left over is looked at here, for better words
        try:
            left = super().parse_args(ctx, args)
        except Exception as error:
            if self.name == "run" and hasattr(error, "possibilities"):  # an unknown option, maybe one of COMMAND
                program = next((one for one in given if is_installed(one)), None)
                hint = "" if program is None else command_hint(given, (program,), None)
                if hint:
                    setattr(error, "message", f"{error}; {hint}")  # noqa: B010 - a class that typer does not name
            raise
        if ctx.args and not ctx.resilient_parsing:
            hint = command_hint(given, ctx.args, _text(ctx.params.get("rules"))) if self.name == "run" else ""
            hint = hint or quotes_hint(given, ctx.args)
            found = f"unexpected {'argument' if len(ctx.args) == 1 else 'arguments'} {' '.join(ctx.args)}"
            ctx.fail(printing.escape(f"{found}; {hint}" if hint else found))
        return left

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return usage(self).split()

    def format_options(self, ctx: Any, formatter: Any) -> None:
        found = list(described(self.get_params(ctx)))
        for title, wanted in (("Arguments", True), ("Options", False)):
            rows = [
                (", ".join(item.names), f"{item.about}  [default: {item.default}]" if item.default else item.about)
                for item in found
                if item.is_argument is wanted
            ]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


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
    if command.name == "run":
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
