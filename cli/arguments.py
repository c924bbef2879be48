"""Tells sessions from the filter expression among the arguments of a command that takes both."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mockrec.cli.misplaced import OPERATORS

if TYPE_CHECKING:
    from mockrec.formats.query import Plan

KEY_VARIABLE = "MOCKREC_REDACT_KEY"
_WILD = re.compile(r"[*?\[]")
_PATH_LIKE = re.compile(r"""[^\s'"<>~()=!]*/[^\s'"<>~()=!]*|[^\s'"<>~()=!]*\.(jsonl|har|parquet|gz|zst)""")
"""What no expression looks like: without blanks, quotes and operators, and with a folder or an extension."""
_ENDINGS = (".yaml", ".yml", ".mitm", ".jsonl", ".gz", ".zst", ".har", ".parquet", ".json", "/")

Sessions = Annotated[
    list[str],
    typer.Argument(
        metavar="SESSION... [EXPR]",
        help="Recorded sessions, folders, prefixes of stores, patterns ('ci/**/main/*') or lists (@FILE); - is stdin. "
        "What is none of these, as the last argument, is a filter expression.",
        show_default=False,
    ),
]
Where = Annotated[
    str | None,
    typer.Option("-w", "--where", metavar="EXPR", help="The filter expression; all arguments are sessions then."),
]


def split(arguments: Sequence[str], where: str | None) -> tuple[list[str], str | None]:
    """Return sessions and expression. If a glob named all parts of a session, the first part stands for all."""
    if len(arguments) < 2:
        return expanded(arguments), where
    _refuse_unquoted(arguments)
    from mockrec.formats.sessions.inputs import open_part
    from mockrec.formats.sessions.parts import without_followers

    if where is not None or is_session(arguments[-1]):
        expression, names = where, arguments
    else:
        expression, names = arguments[-1], arguments[:-1]
    if has_many(names):
        return expanded(names), expression
    return without_followers(names, open_part), expression


def has_many(names: Sequence[str]) -> bool:
    """Whether one of the arguments stands for sessions that the user has not named one by one."""
    if all(map(_is_file, names)):  # most commands: nothing has to be imported for this
        return False
    from mockrec.formats.fleet.discover import is_many

    return any(map(is_many, names))


def _is_file(name: str) -> bool:
    try:
        return name == "-" or (not name.lower().endswith(".txt") and Path(name).is_file())
    except (OSError, ValueError):
        return False


def expanded(names: Sequence[str]) -> list[str]:
    """Return the sessions that the arguments stand for. Raises `SessionError` if one stands for none."""
    if not has_many(names):
        return list(names)
    from mockrec.formats.fleet.discover import expand

    return expand(names)


def is_set(name: str, sessions: Sequence[str]) -> bool:
    """Whether `name`, which stands for `sessions`, is not itself the name of a session.

    What ends like a folder in a store may be a data set; only the store knows.
    """
    return len(sessions) != 1 or _bare(name) != _bare(sessions[0])


def _bare(name: str) -> str:
    return name.partition("?")[0].rstrip("/")


def _refuse_unquoted(arguments: Sequence[str]) -> None:
    """Refuse an expression that the shell has split into words."""
    for place, argument in enumerate(arguments):
        if argument in OPERATORS and place > 0 and not Path(argument).exists():
            start = next((at for at, one in enumerate(arguments) if at and not is_session(one)), place)
            expression = " ".join(arguments[start:])
            raise typer.BadParameter(f"an expression is one argument; put it in quotes: {shlex.quote(expression)}")


def is_session(argument: str) -> bool:
    """Whether it is an existing path, `-`, a URL, a recording that is still a journal, a pattern or a list."""
    from mockrec.formats.parquet.paths import is_table_place

    try:
        # Path("") would be the current folder.
        if argument == "-" or (bool(argument) and (Path(argument).exists() or is_table_place(argument))):
            return True
    except (OSError, ValueError):  # too long for a path, or with a NUL
        return False
    return _is_pattern_of_sessions(argument)


def _is_pattern_of_sessions(argument: str) -> bool:
    """Whether it is a list, or a pattern rather than an expression: it matches a session, or looks like a path."""
    if not _WILD.search(argument) and not argument.startswith("@"):
        return False
    from mockrec.formats.fleet.discover import expand, is_many
    from mockrec.formats.schema.errors import SessionError

    if not is_many(argument):
        return False
    if argument.startswith("@") or _PATH_LIKE.fullmatch(argument):
        return True
    try:
        return bool(expand([argument]))
    except SessionError:
        return False


def parse(expression: str | None, *, records: bool = False) -> Plan | None:
    """Return the plan of an expression. Raises `FilterError`, with a hint if the text looks like a file name."""
    if expression is None:
        return None
    from mockrec.formats.query import FilterError
    from mockrec.formats.query import parse as parse_expression

    try:
        return _with_marks(parse_expression(expression, records=records))
    except FilterError as error:
        if expression.lower().endswith(_ENDINGS) and " " not in expression:
            raise typer.BadParameter(
                f"{expression}: there is no such session, and it is no filter expression"
            ) from error
        raise


def _with_marks(plan: Plan) -> Plan:
    """Let a plan find true values by their placeholders, if the key of the placeholders is available."""
    key = os.environ.get(KEY_VARIABLE)
    if not key:
        return plan
    # Imported here: only needed with a key.
    from mockrec.engine.redaction.placeholders import Placeholders
    from mockrec.formats.query.rewritten import with_marks

    return with_marks(plan, Placeholders.from_passphrase(key).of)
