"""Reads an expression character by character: names, operators and values, each with its position.

The meaning of a character depends on its position. `/`, `:`, `.` and `-` are part of a value, so URLs, times and host
names need no quotes; `~` and `=` are operators after a name. So the parser requests the kind of token that it expects,
instead of reading one stream of tokens.
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
    """An operator or a value in the expression."""

    text: str
    position: int
    """The position of its first character, counted from 0."""
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Name:
    """A field: `status`, `header[user-agent]`."""

    text: str
    argument: str | None
    """The text in the brackets; None without brackets."""
    position: int
    argument_position: int = 0


class Reader:
    """A position in an expression. Each method that reads a token moves it to the next one."""

    def __init__(self, expression: str) -> None:
        self.expression = expression
        self.position = 0
        self._skip()

    @property
    def at_end(self) -> bool:
        """Whether the position is at the end."""
        return self.position >= len(self.expression)

    def error(self, message: str, position: int | None = None) -> FilterError:
        """An error at a position, by default the current one."""
        return FilterError(self.expression, self.position if position is None else position, message)

    def found(self) -> str:
        """The text at the current position, for `expected …, found …`."""
        if self.at_end:
            return "the end"
        match = _PLAIN_VALUE.match(self.expression, self.position)
        return repr(match[0][:40] if match else self.expression[self.position])

    def connective(self, *wanted: str) -> str:
        """Read `and`, `or` or `not` (also as `&&`, `||`, `!`) if it is one of `wanted`; otherwise empty."""
        match = _CONNECTIVES.match(self.expression, self.position)
        if match is None:
            return ""
        name = _CONNECTIVE_NAMES.get(match[0], match[0].lower())
        if name not in wanted:
            return ""
        self._move(match.end())
        return name

    def at_connective(self) -> bool:
        """Whether `and`, `or` or `not` is at the current position."""
        return _CONNECTIVES.match(self.expression, self.position) is not None

    def sign(self, sign: str) -> bool:
        """Read this sign; False if it is not at the current position."""
        if not self.expression.startswith(sign, self.position):
            return False
        self._move(self.position + len(sign))
        return True

    def name(self) -> Name | None:
        """Read a field; None if no name begins here."""
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
        """Read a comparison operator; None if there is none, because a name alone is a test."""
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
        """The plain word at the current position, which stays the same."""
        match = _WORD.match(self.expression, self.position)
        return match[0] if match else ""

    def value(self, *, item: bool = False) -> Word | None:
        """Read a quoted or plain value; as an `item` of a set it ends at a comma."""
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
            # A backslash is literal (regular expressions have many) except before a quote or a backslash.
            if char == "\\" and self.expression[position + 1 : position + 2] in (quote, "\\"):
                position += 1
                char = self.expression[position]
            text.append(char)
            position += 1
        raise self.error("the quote that begins here has no end", start)

    def _argument(self) -> tuple[str, int]:
        """Read the argument in brackets; brackets and quotes in it (a JSON path) come in pairs."""
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
