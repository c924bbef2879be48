"""Reads an expression character by character: names, operators and values, each with its place.

What a character means depends on where it stands. `/`, `:`, `.` and `-` are part of a value, so URLs, times
and host names need no quotes; `~` and `=` are operators after a name. The parser therefore asks for what it
expects instead of getting one stream of tokens.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mockrec.formats.query.errors import FilterError

_SPACE = re.compile(r"\s*")
_NAME = re.compile(r"[A-Za-z_][\w-]*(?:\.[\w-]+)*", re.ASCII)
_SYMBOL = re.compile(r"!~\*|!~|!=|~\*|~|==|=|<=|<|>=|>")
_MEANT = {"=>": ">=", "=<": "<=", "===": "==", "!==": "!=", "<>": "!=", "=~": "~", "==~": "~"}
_NO_SYMBOL = re.compile("|".join(sorted(_MEANT, key=len, reverse=True)))
_WORD = re.compile(r"(?!\d)\w+", re.ASCII)
_END_OF_WORD = r"(?![\w.\[-])"
_CONNECTIVES = re.compile(rf"(?:(and|or|not){_END_OF_WORD}|(&&)|(\|\|)|(!)(?![=~]))", re.IGNORECASE | re.ASCII)
_PLAIN_VALUE = re.compile(r"""(?:(?!&&|\|\|)[^\s()"'])+""")
_PLAIN_ITEM = re.compile(r"""(?:(?!&&|\|\|)[^\s(),"'])+""")
_CONNECTIVE_NAMES = {"&&": "and", "||": "or", "!": "not"}

WORD_OPERATORS = ("contains", "startswith", "endswith", "in")


@dataclass(frozen=True, slots=True)
class Word:
    """A piece of the expression."""

    text: str
    position: int
    """Where it begins, counted from 0."""
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Name:
    """A field: `status`, `header[user-agent]`."""

    text: str
    argument: str | None
    """What stands in the brackets."""
    position: int
    argument_position: int = 0


class Reader:
    """A place in an expression, moved on by what is read."""

    def __init__(self, expression: str) -> None:
        self.expression = expression
        self.position = 0
        self._skip()

    @property
    def at_end(self) -> bool:
        """Nothing is left."""
        return self.position >= len(self.expression)

    def error(self, message: str, position: int | None = None) -> FilterError:
        """An error at a place, or here."""
        return FilterError(self.expression, self.position if position is None else position, message)

    def found(self) -> str:
        """What stands here, for `expected …, found …`."""
        if self.at_end:
            return "the end"
        match = _PLAIN_VALUE.match(self.expression, self.position)
        return repr(match[0][:40] if match else self.expression[self.position])

    def connective(self, *wanted: str) -> str:
        """`and`, `or` or `not` (also as `&&`, `||`, `!`) if one of `wanted` stands here; otherwise empty."""
        match = _CONNECTIVES.match(self.expression, self.position)
        if match is None:
            return ""
        name = _CONNECTIVE_NAMES.get(match[0], match[0].lower())
        if name not in wanted:
            return ""
        self._move(match.end())
        return name

    def at_connective(self) -> bool:
        """`and`, `or` or `not` stands here."""
        return _CONNECTIVES.match(self.expression, self.position) is not None

    def sign(self, sign: str) -> bool:
        """Whether this sign stands here; it is read then."""
        if not self.expression.startswith(sign, self.position):
            return False
        self._move(self.position + len(sign))
        return True

    def name(self) -> Name | None:
        """A field, or None where no name begins."""
        start = self.position
        match = _NAME.match(self.expression, start)
        if match is None:
            return None
        self.position = match.end()
        argument, place = None, 0
        if self.expression.startswith("[", self.position):
            argument, place = self._argument()
        self._skip()
        return Name(match[0], argument, start, place)

    def operator(self) -> Word | None:
        """A comparison, or None where there is none: then the name stands for itself."""
        start = self.position
        match = _SYMBOL.match(self.expression, start)
        if match and (wrong := _NO_SYMBOL.match(self.expression, start)):
            raise self.error(f"{wrong[0]} is no comparison (did you mean {_MEANT[wrong[0]]}?)", start)
        if match is None:
            match = _WORD.match(self.expression, start)
            if match is None or match[0].lower() not in WORD_OPERATORS:
                return None
        self._move(match.end())
        return Word(match[0].lower(), start)

    def word(self) -> str:
        """The plain word that stands here, without reading it."""
        match = _WORD.match(self.expression, self.position)
        return match[0] if match else ""

    def value(self, *, item: bool = False) -> Word | None:
        """A quoted or plain value; as an `item` of a set it ends at a comma."""
        start = self.position
        if self.expression[start : start + 1] in ('"', "'"):
            return self._quoted()
        match = (_PLAIN_ITEM if item else _PLAIN_VALUE).match(self.expression, start)
        if match is None:
            return None
        if self.expression[match.end() : match.end() + 1] in ('"', "'"):
            raise self.error("a quote inside a plain value: put the whole value in quotes", match.end())
        self._move(match.end())
        return Word(match[0], start)

    def _quoted(self) -> Word:
        start = self.position
        quote = self.expression[start]
        text: list[str] = []
        position = start + 1
        while position < len(self.expression):
            char = self.expression[position]
            if char == quote:
                self._move(position + 1)
                return Word("".join(text), start, quoted=True)
            # A backslash stands for itself (regular expressions are full of them) but before these two.
            if char == "\\" and self.expression[position + 1 : position + 2] in (quote, "\\"):
                position += 1
                char = self.expression[position]
            text.append(char)
            position += 1
        raise self.error("the quote that begins here has no end", start)

    def _argument(self) -> tuple[str, int]:
        """What stands in brackets; brackets and quotes inside them (a JSON path) come in pairs."""
        opened = self.position
        depth, quote = 0, ""
        for position in range(opened, len(self.expression)):
            char = self.expression[position]
            if quote:
                quote = "" if char == quote else quote
            elif char in "\"'":
                quote = char
            elif char == "[":
                depth += 1
            elif char == "]":
                depth -= 1
                if depth == 0:
                    self.position = position + 1
                    return self.expression[opened + 1 : position].strip(), opened + 1
        raise self.error("the bracket that opens here is not closed", opened)

    def _move(self, position: int) -> None:
        self.position = position
        self._skip()

    def _skip(self) -> None:
        match = _SPACE.match(self.expression, self.position)
        if match:
            self.position = match.end()
