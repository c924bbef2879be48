"""Value types: each reads a node into a typed value and describes itself as JSON Schema.

The language is declared once, with value types; the loader and the schema for editors are both derived from the
declaration. This module has the base classes and the scalars; lists and mappings are in `containers.py`, records in
`records.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

from mockrec.engine.rules.yaml.context import LoadContext, Rejected, describe, quoted
from mockrec.engine.rules.yaml.nodes import AnyNode, ScalarNode, core_value
from mockrec.formats.text.quantities import AGE, DURATION, SIZE, age_of, bytes_of, seconds_of

T = TypeVar("T")
Schema = dict[str, Any]
TEXT_TYPES: Final = ("string", "number", "boolean", "null")
"""The JSON types that editors see for a plain scalar which the loader reads as text."""
VARIABLE: Final = "variable"
"""The `$defs` entry for `${NAME}` where a value other than text is expected."""


class InvalidValue(ValueError):
    """The text is no valid value. The message, if there is one, replaces "expected …, got …"."""


class ValueType(Generic[T]):
    """The values that are valid at a place of the rule file."""

    expects = "a value"
    """The valid values, as the text after "expected" in a message."""

    def read(self, node: AnyNode, where: str, context: LoadContext) -> T:
        """The value of a node. Raises Rejected after reporting every problem in it."""
        raise NotImplementedError

    def schema(self, defs: dict[str, Schema]) -> Schema:
        """JSON Schema (draft 2020-12) of the valid values; shared parts are added to `defs`."""
        raise NotImplementedError

    def unexpected(self, node: AnyNode, where: str, context: LoadContext) -> Rejected:
        return context.reject(node, where, f"expected {self.expects}, got {describe(node)}")


class ScalarType(ValueType[T]):
    """A value type whose nodes are scalars; subclasses parse the text."""

    def parse(self, text: str, plain: bool) -> T:
        """The value of a text; `plain`: it may be a number, a boolean or null. Raises InvalidValue."""
        raise NotImplementedError

    def read(self, node: AnyNode, where: str, context: LoadContext) -> T:
        if not isinstance(node, ScalarNode):
            raise self.unexpected(node, where, context)
        return self.read_scalar(node, where, context, self.expects)

    def read_scalar(self, node: ScalarNode, where: str, context: LoadContext, expects: str) -> T:
        """As `read`; `expects` also names the kinds of nodes besides scalars that are valid there."""
        text = node.text
        variable = "${" in text
        if variable or not text.isascii():
            text = context.text(node, where)
        try:
            return self.parse(text, node.plain or variable)
        except InvalidValue as fault:
            # A message of `parse` may quote the text, and a variable's value may be a secret.
            if str(fault) and not variable:
                raise context.reject(node, where, str(fault)) from None
            raise context.reject(node, where, f"expected {expects}, got {describe(node)}") from None


class Str(ScalarType[str]):
    """Text. A plain scalar is taken as written: `1.10` is the text `1.10`."""

    expects = "text"

    def __init__(self, *, empty: bool = True) -> None:
        self._empty = empty
        if not empty:
            self.expects = "text that is not empty"

    def parse(self, text: str, plain: bool) -> str:
        if not self._empty and (not text or (plain and core_value(text) is None)):
            raise InvalidValue
        return text

    def schema(self, defs: dict[str, Schema]) -> Schema:
        if self._empty:
            return {"type": list(TEXT_TYPES)}
        return {"type": ["string", "number", "boolean"], "minLength": 1}


class Int(ScalarType[int]):
    """A whole number between two bounds, both included."""

    def __init__(
        self, low: int | None = None, high: int | None = None, *, advice: Mapping[int, str] | None = None
    ) -> None:
        """`advice`: refused numbers inside the bounds, each with its message."""
        self._low = low
        self._high = high
        self._advice = advice or {}
        if low is not None and high is not None:
            self.expects = f"{low}–{high}" if low < high else str(low)
        elif low is not None:
            self.expects = f"a whole number, at least {low}"
        else:
            self.expects = "a whole number"

    def parse(self, text: str, plain: bool) -> int:
        value = core_value(text) if plain else None
        if not isinstance(value, int) or isinstance(value, bool):
            raise InvalidValue
        if (self._low is not None and value < self._low) or (self._high is not None and value > self._high):
            raise InvalidValue
        if value in self._advice:
            raise InvalidValue(self._advice[value])
        return value

    def schema(self, defs: dict[str, Schema]) -> Schema:
        schema: Schema = {"type": "integer"}
        if self._low is not None:
            schema["minimum"] = self._low
        if self._high is not None:
            schema["maximum"] = self._high
        if self._advice:
            schema["not"] = {"enum": sorted(self._advice)}
        return or_variable(schema, defs)


class Number(ScalarType[float]):
    """A finite number; whole ones stay `int`."""

    expects = "a number"

    def __init__(self, *, low: float | None = None) -> None:
        self._low = low
        if low is not None:
            self.expects = f"a number, at least {low:g}"

    def parse(self, text: str, plain: bool) -> float:
        value = core_value(text) if plain else None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise InvalidValue
        if self._low is not None and value < self._low:
            raise InvalidValue
        return value

    def schema(self, defs: dict[str, Schema]) -> Schema:
        schema: Schema = {"type": "number"}
        if self._low is not None:
            schema["minimum"] = self._low
        return or_variable(schema, defs)


class Bool(ScalarType[bool]):
    """`true` or `false`; with `only`, just that one."""

    def __init__(self, *, only: bool | None = None) -> None:
        self._only = only
        self.expects = "true or false" if only is None else str(only).lower()

    def parse(self, text: str, plain: bool) -> bool:
        value = core_value(text) if plain else None
        if not isinstance(value, bool) or (self._only is not None and value is not self._only):
            raise InvalidValue
        return value

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return or_variable({"type": "boolean"} if self._only is None else {"const": self._only}, defs)


class BoolOr(ScalarType[str]):
    """`true`, `false` or one other word, as text."""

    def __init__(self, word: str) -> None:
        self._word = word
        self.expects = f"true, false or {word}"

    def parse(self, text: str, plain: bool) -> str:
        if text == self._word:
            return text
        return "true" if Bool().parse(text, plain) else "false"

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return or_variable({"enum": [True, False, self._word]}, defs)


class Null(ScalarType[None]):
    """`null`, or an empty value."""

    expects = "null"

    def parse(self, text: str, plain: bool) -> None:
        if not plain or core_value(text) is not None:
            raise InvalidValue

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return {"type": "null"}


class Enum(ScalarType[str]):
    """One of a few words, in this case of letters."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self.expects = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"

    def parse(self, text: str, plain: bool) -> str:
        if text not in self.words:
            raise InvalidValue(nearest_hint(text, self.words, f"expected {self.expects}, got"))
        return text

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return or_variable({"enum": list(self.words)}, defs)


class Duration(ScalarType[float]):
    """`100ms`, `2s`, `1m`, `1h`, or 0 → seconds."""

    expects = "a duration such as 100ms, 2s or 1m"

    def parse(self, text: str, plain: bool) -> float:
        try:
            return seconds_of(text)
        except ValueError:
            raise InvalidValue from None

    def schema(self, defs: dict[str, Schema]) -> Schema:
        text = {"type": "string", "pattern": f"^{DURATION.pattern}$"}
        return or_variable({"anyOf": [text, {"const": 0}]}, defs)


class Age(ScalarType[float]):
    """`12h`, `30d`, `2w` → seconds."""

    expects = "an age such as 12h, 30d or 2w"

    def parse(self, text: str, plain: bool) -> float:
        try:
            return age_of(text)
        except ValueError:
            raise InvalidValue from None

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return or_variable({"type": "string", "pattern": f"^{AGE.pattern}$"}, defs)


class Size(ScalarType[int]):
    """`64KiB`, `10MB` or a plain number of bytes → bytes."""

    expects = "a size such as 64KiB, 10MB or a number of bytes"

    def parse(self, text: str, plain: bool) -> int:
        try:
            return bytes_of(text)
        except ValueError:
            raise InvalidValue from None

    def schema(self, defs: dict[str, Schema]) -> Schema:
        text = {"type": "string", "pattern": f"^{SIZE.pattern}$"}
        return or_variable({"anyOf": [{"type": "integer", "minimum": 0}, text]}, defs)


class FirstOf(ScalarType[Any]):
    """Several scalar types; the first for which the text is valid reads it."""

    def __init__(self, *types: ScalarType[Any], expects: str = "") -> None:
        self._types = types
        self.expects = expects or " or ".join(value_type.expects for value_type in types)

    def parse(self, text: str, plain: bool) -> Any:
        for value_type in self._types:
            try:
                return value_type.parse(text, plain)
            except InvalidValue:
                continue
        raise InvalidValue

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return {"anyOf": [value_type.schema(defs) for value_type in self._types]}


class AnyJson(ValueType[Any]):
    """Any data that JSON can hold."""

    def read(self, node: AnyNode, where: str, context: LoadContext) -> Any:
        return context.plain(node, where)

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return {}


def or_variable(schema: Schema, defs: dict[str, Schema]) -> Schema:
    """The schema of a value, or of an environment variable in its place."""
    defs.setdefault(
        VARIABLE,
        {
            "description": "The value of an environment variable.",
            "type": "string",
            "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*\}",
        },
    )
    return {"anyOf": [schema, {"$ref": f"#/$defs/{VARIABLE}"}]}


def nearest_hint(text: str, known: Sequence[str], message: str) -> str:
    """`message "text"`, and a question after the most similar of the known words, if one is similar enough."""
    import difflib  # imported for mistakes only: a valid file is loaded without it

    near = difflib.get_close_matches(text, known, 1) or difflib.get_close_matches(
        text.lower(), [word for word in known if word == word.lower()], 1
    )
    return f"{message} {quoted(text)}" + (f'; did you mean "{near[0]}"?' if near else "")
