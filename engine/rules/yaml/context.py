"""The state of loading one rule file: its problems so far, the environment, access to the files it names.

A value type that refuses a node reports the problem here and raises `Rejected`. A container catches it, continues with
its next part, and raises it again at the end, so every problem of a file is reported.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from mockrec.engine.errors import Problem
from mockrec.engine.rules.model import SourceLocation
from mockrec.engine.rules.yaml.nodes import AnyNode, ListNode, MapNode, Node, ScalarNode, core_value
from mockrec.formats.operations.grpc.descriptors import Descriptors

_SECRET_SIZE = 6
"""Shorter values are not hidden in messages: they hold no secret, and occur in any text by chance."""
_VARIABLE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$\{")


class Rejected(Exception):
    """A node was refused; `LoadContext.problems` says why."""


class LoadContext:
    """One rule file being loaded."""

    allows_functions = True
    """Whether the rules may name Python functions."""

    def __init__(
        self,
        file: str,
        folder: str,
        env: Mapping[str, str],
        read_file: Callable[[str], bytes],
        probe: Callable[[str], None] | None = None,
        read_descriptors: Callable[[tuple[str, ...]], bytes] | None = None,
    ) -> None:
        """`read_file` gets an absolute path and raises OSError; `probe` does the same without reading the file.
        `read_descriptors` returns the descriptor set of files and folders, and raises DescriptorError."""
        self.file = file
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.secrets: dict[str, str] = {}
        """Values from the environment → the names of their variables, in order."""
        self._folder = folder
        self._env = env
        self._read_file = read_file
        self._probe = probe
        self.read_descriptors = read_descriptors
        self.descriptors: Descriptors | None = None
        """Those of `record.protobuf`, which are read before the rules."""
        self._file_faults: dict[str, str] = {}

    # ── problems ───────────────────────────────────────────────────────────────────────────────────

    def reject(self, node: Node, where: str, message: str) -> Rejected:
        """Report a problem at a node. The caller raises the result, or continues and finds more problems."""
        self.problems.append(Problem(self.file, node.line, node.column, where, self._without_secrets(message)))
        return Rejected()

    def reject_at(self, place: SourceLocation, message: str) -> Rejected:
        """Report a problem at a location, for a node that is loaded already."""
        message = self._without_secrets(message)
        self.problems.append(Problem(place.file, place.line, place.column, place.where, message))
        return Rejected()

    def warn(self, place: SourceLocation, message: str) -> None:
        message = self._without_secrets(message)
        self.warnings.append(Problem(place.file, place.line, place.column, place.where, message))

    def _without_secrets(self, message: str) -> str:
        """The message with values of variables replaced by `${NAME}`: they may be secrets."""
        for value, name in self.secrets.items():
            if len(value) >= _SECRET_SIZE:
                message = message.replace(value, f"${{{name}}}")
        return message

    def place(self, node: Node, where: str) -> SourceLocation:
        """The location where a node's text begins; for a block scalar that is the line after its `|`."""
        if isinstance(node, ScalarNode) and node.block:
            return SourceLocation(self.file, node.line + 1, 1, where)
        return SourceLocation(self.file, node.line, node.column, where)

    # ── text ───────────────────────────────────────────────────────────────────────────────────────

    def text(self, node: ScalarNode, where: str) -> str:
        """A scalar's text as written, with `${NAME}` replaced and `$${` as `${`."""
        text = node.text
        if "${" in text:
            text = _VARIABLE.sub(lambda found: self._variable(found, node, where), text)
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:
                raise self.reject(node, where, "holds half of a surrogate pair, which is not a character") from None
        return text

    def _variable(self, found: re.Match[str], node: ScalarNode, where: str) -> str:
        name: str | None = found[1]
        if name is None:
            if found[0] == "$${":
                return "${"
            raise self.reject(
                node,
                where,
                '"${" begins an environment variable such as ${HOME}; write "$${" for the characters',
            )
        value = self._env.get(name)
        if value is None:
            raise self.reject(node, where, f"the environment variable {name} is not set")
        if value:
            self.secrets[value] = name
        return value

    # ── mappings and JSON data ───────────────────────────────────────────────────────────────────

    def pairs(self, node: MapNode, where: str) -> tuple[list[tuple[str, ScalarNode, AnyNode]], bool]:
        """The valid pairs of a mapping (key text, key, value), and whether all of its pairs are valid."""
        found: dict[str, tuple[str, ScalarNode, AnyNode]] = {}
        good = True
        for key, value in node.pairs:
            if isinstance(key, ScalarNode) and key.text not in found and (key.text != "<<" or not key.plain):
                found[key.text] = (key.text, key, value)
                continue
            good = False
            if not isinstance(key, ScalarNode):
                quotes = "; a text that begins with {{ needs quotes" if isinstance(key, MapNode) else ""
                self.reject(key, where, f"a key must be a word, got {describe(key)}{quotes}")
            elif key.plain and key.text == "<<":
                self.reject(key, where, "YAML 1.2 has no merge keys (<<); repeat the keys, or alias a whole value")
            else:
                self.reject(
                    key,
                    where,
                    f'the key "{key.text}" is given twice, first in line {found[key.text][1].line}',
                )
        return list(found.values()), good

    def plain(self, node: AnyNode, where: str) -> Any:
        """A node as JSON data: dicts with text keys, lists, scalars."""
        if isinstance(node, ScalarNode):
            return self._plain_scalar(node, where)
        good = True
        if isinstance(node, ListNode):
            items = []
            for index, item in enumerate(node.items):
                try:
                    items.append(self.plain(item, f"{where}[{index}]"))
                except Rejected:
                    good = False
            if not good:
                raise Rejected
            return items
        values = {}
        pairs, good = self.pairs(node, where)
        for name, _, value in pairs:
            try:
                values[name] = self.plain(value, f"{where}.{name}" if where else name)
            except Rejected:
                good = False
        if not good:
            raise Rejected
        return values

    def _plain_scalar(self, node: ScalarNode, where: str) -> Any:
        # A variable's value stays text, whatever it looks like: no value changes its type with the environment.
        if not node.plain or "${" in node.text:
            return self.text(node, where)
        value = core_value(node.text)
        if isinstance(value, float) and not math.isfinite(value):
            raise self.reject(node, where, f"JSON has no {node.text}")
        return value

    # ── files ──────────────────────────────────────────────────────────────────────────────────────

    def absolute(self, name: str) -> str:
        """A name as written in the rule file → absolute path, joined as text."""
        return name if name.startswith("/") else f"{self._folder.rstrip('/')}/{name}"

    def existing(self, name: str, node: Node, where: str) -> str:
        """The absolute path of a file that can be opened. Raises Rejected if it cannot."""
        path = self.absolute(name)
        if path not in self._file_faults:
            self._file_faults[path] = self._fault_of(path)
        if fault := self._file_faults[path]:
            raise self.reject(node, where, f"cannot read the file {quoted(name)}: {fault}")
        return path

    def folder(self, name: str, node: Node, where: str) -> str:
        """The absolute path of a folder that can be opened. Raises Rejected if it cannot."""
        path = self.absolute(name)
        try:
            (self._probe or self._read_file)(path)
        except IsADirectoryError:
            return path
        except (OSError, ValueError) as error:
            raise self.reject(node, where, f"cannot read the folder {quoted(name)}: {_reason(error)}") from None
        raise self.reject(node, where, f"{quoted(name)} is a file, not a folder; `file` answers with one file")

    def content(self, name: str, node: Node, where: str) -> bytes:
        """The bytes of a file that the rules name. Raises Rejected if it cannot be read."""
        try:
            return self._read_file(self.absolute(name))
        except (OSError, ValueError) as error:
            raise self.reject(node, where, f"cannot read the file {quoted(name)}: {_reason(error)}") from None

    def _fault_of(self, path: str) -> str:
        try:
            if self._probe is None:
                self._read_file(path)
            else:
                self._probe(path)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            return _reason(error)
        return ""


class AddedContext(LoadContext):
    """Rules that come from a program at run time: they see neither the environment nor Python."""

    allows_functions = False

    def _variable(self, found: re.Match[str], node: ScalarNode, where: str) -> str:
        if found[0] == "$${":
            return "${"
        message = 'variables such as ${HOME} cannot be used in rules that are added; write "$${" for the characters'
        raise self.reject(node, where, message)


def describe(node: AnyNode) -> str:
    """A node as the text after "got" in a message; an environment variable by its name only."""
    if isinstance(node, ListNode):
        return "a list" if node.items else "an empty list"
    if isinstance(node, MapNode):
        if node.pairs and isinstance(node.pairs[0][0], MapNode):
            return 'a mapping (text that begins with "{{" needs quotes)'
        return "a mapping" if node.pairs else "an empty mapping"
    if node.plain and not isinstance(core_value(node.text), str):
        return node.text or "nothing"
    return quoted(node.text)


def quoted(text: str) -> str:
    """Text in quotes for a message, cut to a readable length."""
    return json.dumps(text if len(text) <= 60 else text[:57] + "...", ensure_ascii=False)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
