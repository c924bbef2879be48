"""Variables whose name begins with `MOCKREC_`: those that there are, and those that look like one of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

PREFIX: Final = "MOCKREC_"
READ: Final = ("CONFIG", "CA_DIR", "LOOP", "PAGER", "REDACT_KEY", "SCOPE", "SHARD", "WORKER")
"""What is read besides the options of commands, without the prefix."""
SET: Final = ("CA", "CONTROL", "CONTROL_TOKEN", "PORT", "URL")
"""What COMMAND gets, which may itself call mockrec."""
_LIKENESS: Final = 0.8
"""How like a name has to be to be meant: `RUN_PROT` is like `RUN_PORT`, `VERSION` is not like `RUN_VERBOSE`."""


def variable_of(command: str, option: str) -> str:
    """Return `MOCKREC_RUN_MAX_BODY_SIZE` for `run` and `max-body-size`."""
    return f"{PREFIX}{_words(command)}_{_words(option)}"


def ignored(
    command: str, options: Collection[str], commands: Collection[str], environment: Mapping[str, str]
) -> Iterator[str]:
    """Yield a sentence for each variable that this command ignores although it is hardly meant for anything else.

    `options` are the long names of the command's options, `commands` the names of all commands. A variable that begins
    with the name of another command is left to that command, and one that is like no known name to its owner.
    """
    mine = _words(command) + "_"
    known = {mine + _words(option) for option in options}.union(READ, SET)
    meanable = known.difference(SET)  # nothing reads these
    others = tuple(f"{_words(name)}_" for name in commands if name != command)
    for variable in sorted(name for name in environment if name.startswith(PREFIX)):
        name = variable.removeprefix(PREFIX)
        if name in known and not (name == "PORT" and command == "run" and f"{PREFIX}URL" not in environment):
            continue  # a recorder that runs this command has set both; PORT alone is meant for this one
        if name.startswith(mine):
            what, guess, possible = f"{command} has no such option", name.removeprefix(mine), meanable
        elif name.startswith(others):  # `CA_DIRR` begins like a variable of `ca`
            what, guess, possible = "nothing reads it", "", set(READ)
        else:
            what, guess, possible = "nothing reads it", mine + name, meanable
        meant = guess if guess in meanable else _nearest(name, possible)
        if meant or name.startswith(mine):
            yield f"the variable {variable} is ignored: {what}" + (f"; did you mean {PREFIX}{meant}?" if meant else "")


def _nearest(name: str, known: Collection[str]) -> str:
    """Return the known name that is like another one; empty if there is none."""
    import difflib  # for mistakes only

    near = difflib.get_close_matches(name, known, 1, _LIKENESS)
    return near[0] if near else ""


def _words(name: str) -> str:
    return name.upper().replace("-", "_").replace(" ", "_")
