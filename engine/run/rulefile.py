"""Reads a rule file, the files that it names and the environment, and returns the checked rules (`Loaded`)."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from mockrec.engine.errors import ConfigError
from mockrec.engine.rules.language.load import Loaded, load_rules, no_rules, session_words
from mockrec.engine.rules.yaml.nodes import MapNode, ScalarNode, parse
from mockrec.formats.files.small_file import RULES_LIMIT, read_small
from mockrec.formats.operations.grpc.protos import read_descriptors
from mockrec.formats.parquet.gc_pause import no_collection


def load_file(path: Path) -> Loaded:
    """Read and check a rule file; the names of other files in it are relative to its folder.

    Raises ConfigError if the file cannot be read, RuleFileError with every problem if it cannot be used.
    """
    try:
        text = read_small(path, RULES_LIMIT)
    except OSError as error:
        if error.errno == errno.EFBIG and (words := _session_words(path)) is not None:
            raise ConfigError(f"{path}: {words}") from None
        raise ConfigError(f"cannot read the rule file {path}: {error.strerror or error}") from None
    with no_collection():  # hundreds of objects for each rule, none of them garbage: a tenth of the time
        return load_rules(
            text,
            path=str(path),
            folder=str(path.absolute().parent),
            read_file=_read,
            env=os.environ,
            probe=_probe,
            read_descriptors=read_descriptors,
        )


def settings_in(path: Path) -> frozenset[str]:
    """Return the settings that a valid rule file says, by their place: `unmatched`, `server.port`."""
    root = parse(read_small(path, RULES_LIMIT), str(path))
    found: set[str] = set()
    for key, value in root.pairs if isinstance(root, MapNode) else ():
        if isinstance(key, ScalarNode):
            found.add(key.text)
            if isinstance(value, MapNode):
                found |= {f"{key.text}.{inner.text}" for inner, _ in value.pairs if isinstance(inner, ScalarNode)}
    return frozenset(found)


def _session_words(path: Path) -> str | None:
    """If a file that is too long for rules is a session, return what is wrong with that."""
    try:
        with open(path, "rb") as file:
            return session_words(file.read(1000))
    except OSError:
        return None


def reload_file(loaded: Loaded) -> Loaded:
    """Read the file of a rule set again. Raises what `load_file` raises."""
    return load_file(Path(loaded.rule_file.path))


def _read(path: str) -> bytes:
    return read_small(path, RULES_LIMIT)


def _probe(path: str) -> None:
    """Raise OSError if `path` cannot be read or is a folder."""
    with open(path, "rb") as file:
        file.read(1)


def no_file() -> Loaded:
    """The rules of a run without a rule file."""
    return no_rules(os.getcwd())
