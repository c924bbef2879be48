"""The body of `POST /v1/rules` → checked rules. They reach no variable, no function, and no file elsewhere."""

from __future__ import annotations

import os
import re
from typing import Final

import msgspec
import orjson

from mockrec.engine.errors import Problem, RuleFileError
from mockrec.engine.rules.language.load import Loaded, load_added
from mockrec.engine.rules.model import Replay
from mockrec.formats.files.small_file import RULES_LIMIT, read_small
from mockrec.formats.parquet.gc_pause import no_collection

NAME: Final = "request body"
"""The name of the "file" in messages."""
_ESCAPED_PAIR = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_BREAKS = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Characters that JSON takes as they are, but YAML does not, or as the end of a line."""


def load_posted(body: bytes, *, is_yaml: bool, folder: str, cassettes: str | None) -> tuple[Loaded, str | None]:
    """Return the rules of a body, and the name of the scope that they are for.

    `folder` is that of the rule file, `cassettes` that of recordings. Raises RuleFileError with every problem.
    """
    if not is_yaml:
        body = _as_yaml(body)

    def read(path: str) -> bytes:
        _check_place(path, folder, cassettes)
        return read_small(path, RULES_LIMIT)

    def probe(path: str) -> None:
        _check_place(path, folder, cassettes)
        with open(path, "rb") as file:
            file.read(1)

    with no_collection():  # as in `load_file`; and a collection among so many objects would hold up the event loop
        loaded, scope = load_added(body, path=NAME, folder=folder, read_file=read, probe=probe)
    problems = list(_misplaced(loaded, cassettes))
    if problems:
        raise RuleFileError(problems)
    return loaded, scope


def _as_yaml(body: bytes) -> bytes:
    """Return JSON as YAML, with everything in its line. Raises RuleFileError.

    JSON is a part of YAML 1.2 but for tabs between tokens, escaped pairs of surrogates, and some characters in strings.
    """
    try:
        _check_json(body)
    except orjson.JSONDecodeError as error:
        message = f"the body is not JSON: {error.msg}; YAML needs the header Content-Type: application/yaml"
        raise RuleFileError([Problem(NAME, error.lineno, error.colno, "", message)]) from None
    text = body.decode().replace("\t", " ")  # a string holds no tab but as \t
    text = _ESCAPED_PAIR.sub(_joined, text)
    return _BREAKS.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


def _check_json(body: bytes) -> None:
    """Raise JSONDecodeError unless the body is JSON. Rules are checked one by one, because a parser holds the lock of
    the interpreter, and with it the event loop, until it returns."""
    try:
        for value in _members(body).values():
            for part in _elements(value) if memoryview(value)[0] == _LIST else (value,):
                orjson.loads(memoryview(part))
    except (
        msgspec.DecodeError,
        orjson.JSONDecodeError,
        RecursionError,
    ):  # no object, or wrong: the position is that in the body
        orjson.loads(body)


_LIST: Final = ord("[")
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode


def _joined(pair: re.Match[str]) -> str:
    """Return the character that two escaped surrogates mean; the same text if a backslash before it is the escaped
    character."""
    start = pair.start()
    before = start
    while before and pair.string[before - 1] == "\\":
        before -= 1
    if (start - before) % 2:
        return pair[0]
    return chr(0x10000 + ((int(pair[1], 16) & 0x3FF) << 10) + (int(pair[2], 16) & 0x3FF))


def _check_place(path: str, *folders: str | None) -> None:
    """Raise ValueError unless a path lies in one of the folders, symbolic links resolved."""
    if not any(folder is not None and is_below(path, folder) for folder in folders):
        raise ValueError("rules that are added may only name files below the folder of the rule file")


def is_below(path: str, folder: str) -> bool:
    """Whether a path leads into a folder, symbolic links resolved."""
    base, real = os.path.realpath(folder), os.path.realpath(path)
    return real == base or real.startswith(base.rstrip("/") + "/")


def _misplaced(loaded: Loaded, cassettes: str | None) -> list[Problem]:
    """Return a problem for each recording that does not lie below the folder of cassettes."""
    steps = [step for rule in loaded.rule_file.rules for step in rule.steps if isinstance(step, Replay)]
    where = "no folder of cassettes was given; say --cassettes DIR"
    if cassettes is not None:
        where = f"recordings that added rules replay lie below the folder of --cassettes, {cassettes}"
    return [
        Problem(step.place.file, step.place.line, step.place.column, step.place.where, where)
        for step in steps
        if cassettes is None or not is_below(step.session, cassettes)
    ]
