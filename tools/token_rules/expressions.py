"""Go's regular expressions as trees, taken apart and written again in the form that RE2 takes for bytes.

The trees are those of Python's own parser: `(operator, argument)` pairs, see `re._parser`. It is no public interface,
which is why only this tool uses it: what it makes is committed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

Item = tuple[Any, Any]
"""One item of a tree: operator and argument."""

_BOUNDARIES = (op.AT_BOUNDARY, op.AT_END, op.AT_END_STRING, op.AT_BEGINNING, op.AT_BEGINNING_STRING)
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-/:~@,;=<>\"'&%! ")
_WORD = re.compile(r"\w", re.ASCII)


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of an expression: a set of bytes, repeated, or (`kind` is not `set`) something written as it is."""

    text: str
    """How RE2 takes it, without its repetition."""
    least: int
    most: int | None
    chars: frozenset[str]
    """Every byte that it may match; those of all alternatives together."""
    is_fixed: bool
    """Whether it is the same text in every match, but for case and a choice of a few characters or words."""
    width: int
    """The least number of bytes in one repetition."""

    def written(self, least: int | None = None, most: int | None = -1) -> str:
        """For RE2, with another repetition if one is given (`most` None: without an end)."""
        least = self.least if least is None else least
        most = self.most if most == -1 else most
        if (least, most) == (1, 1):
            return self.text
        if most is None:
            return self.text + {0: "*", 1: "+"}.get(least, f"{{{least},}}")
        if (least, most) == (0, 1):
            return f"{self.text}?"
        return f"{self.text}{{{least}}}" if least == most else f"{self.text}{{{least},{most}}}"


def python_syntax(go: str) -> str:
    """What Go writes in a way of its own: `(?i)` in the middle means the rest of its group; `\\z`, `[:alnum:]`."""
    text = go.replace("[[:alnum:]]", "[a-zA-Z0-9]").replace(r"\z", r"\Z")
    at = text.find("(?i)", 1)
    while at >= 0:
        end = _end_of_group(text, at)
        text = f"{text[:at]}(?i:{text[at + 4 : end]}){text[end:]}"
        at = text.find("(?i)", 1)
    return text


def _end_of_group(text: str, at: int) -> int:
    depth, index, in_set = 0, at, False
    while index < len(text):
        sign = text[index]
        if sign == "\\":
            index += 1
        elif in_set:
            in_set = sign != "]"
        elif sign == "[":
            in_set = True
        elif sign == "(":
            depth += 1
        elif sign == ")":
            depth -= 1
            if depth < 0:
                return index
        index += 1
    return len(text)


def alternatives(expression: str) -> list[list[Unit]]:
    """An expression as sequences, one for each alternative that is not the same text in all tokens. Groups that only
    capture and boundaries at either end are left out. Raises ValueError for what it does not know.
    """
    parsed = _parser.parse(expression, re.ASCII)
    ignore = bool(parsed.state.flags & re.IGNORECASE)
    return [[_unit(item, ignore) for item in one] for one in _spread(_flat(list(parsed), ignore), ignore)]


def _spread(items: list[Any], ignore: bool) -> list[list[Any]]:
    for index, item in enumerate(items):
        inside, (operator, argument) = item[1] if item[0] == "ignoring" else (ignore, item)
        if operator is op.BRANCH and not _unit(item, ignore).is_fixed:
            return [
                one
                for branch in argument[1]
                for one in _spread([*items[:index], *_within(list(branch), inside), *items[index + 1 :]], ignore)
            ]
    return [items]


def _within(items: Sequence[Any], inside: bool) -> list[Any]:
    return [one if one[0] == "ignoring" else ("ignoring", (inside, one)) for one in _flat(items, inside)]


def _flat(items: Sequence[Any], ignore: bool) -> list[Any]:
    flat: list[Any] = []
    for item in items:
        if item[0] is op.AT:
            if item[1] not in _BOUNDARIES:
                raise ValueError(f"{item} is no boundary that is known")
        elif item[0] is op.SUBPATTERN:
            _, added, removed, inner = item[1]
            inside = (ignore or bool(added & re.IGNORECASE)) and not removed & re.IGNORECASE
            flat += [("ignoring", (inside, one)) if one[0] != "ignoring" else one for one in _flat(list(inner), inside)]
        else:
            flat.append(item)
    return flat


def _unit(item: Any, ignore: bool) -> Unit:
    if item[0] == "ignoring":
        ignore, item = item[1]
    operator, argument = item
    if operator in (op.MAX_REPEAT, op.MIN_REPEAT):
        least, most, inner = argument
        one = _joined([_unit(each, ignore) for each in _flat(list(inner), ignore)])
        most = None if most is op.MAXREPEAT else most
        return Unit(one.text, least, most, one.chars, one.is_fixed and least == most == 1, one.width)
    if operator is op.BRANCH:
        branches = [_joined([_unit(each, ignore) for each in _flat(list(one), ignore)]) for one in argument[1]]
        text = "|".join(one.text for one in branches)
        chars = frozenset[str]().union(*(one.chars for one in branches))
        return Unit(
            f"(?:{text})", 1, 1, chars, all(one.is_fixed for one in branches), min(one.width for one in branches)
        )
    chars = _chars(operator, argument, ignore)
    return Unit(_set(chars), 1, 1, chars, len({char.lower() for char in chars}) <= 4, 1)


def _joined(parts: Sequence[Unit]) -> Unit:
    if len(parts) == 1 and parts[0].least == parts[0].most == 1:
        return parts[0]
    text = "".join(one.written() for one in parts)
    chars = frozenset[str]().union(*(one.chars for one in parts))
    fixed = all(one.is_fixed and one.least == one.most == 1 for one in parts)
    width = sum(one.width * one.least for one in parts)
    is_atom = len(parts) == 1 and parts[0].text == text
    return Unit(text if is_atom else f"(?:{text})", 1, 1, chars, fixed, width)


def _chars(operator: Any, argument: Any, ignore: bool) -> frozenset[str]:
    if operator is op.LITERAL:
        found = {chr(argument)}
    elif operator is op.ANY:
        found = {chr(code) for code in range(256)} - {"\n"}
    elif operator is op.NOT_LITERAL:
        found = {chr(code) for code in range(256)} - {chr(argument)}
    elif operator is op.IN:
        found = set()
        negated = False
        for kind, value in argument:
            if kind is op.NEGATE:
                negated = True
            elif kind is op.LITERAL:
                found.add(chr(value))
            elif kind is op.RANGE:
                found |= {chr(code) for code in range(value[0], value[1] + 1)}
            else:
                found |= _category(value)
        if negated:
            found = {chr(code) for code in range(256)} - found
    else:
        raise ValueError(f"{operator} is not known")
    return frozenset(
        found | {char.swapcase() for char in found if char.isascii() and char.isalpha()} if ignore else found
    )


def _category(kind: Any) -> set[str]:
    everything = {chr(code) for code in range(256)}
    expressions = {op.CATEGORY_WORD: r"\w", op.CATEGORY_DIGIT: r"\d", op.CATEGORY_SPACE: r"\s"}
    negated = {op.CATEGORY_NOT_WORD: r"\w", op.CATEGORY_NOT_DIGIT: r"\d", op.CATEGORY_NOT_SPACE: r"\s"}
    inside = re.compile(expressions.get(kind) or negated[kind], re.ASCII)
    found = {char for char in everything if inside.fullmatch(char)}
    return found if kind in expressions else everything - found


def _set(chars: Iterable[str]) -> str:
    """A set of bytes, with ranges of at least four; a single byte without brackets."""
    codes = sorted(map(ord, chars))
    if len(codes) == 1:
        return _escaped(chr(codes[0]))
    runs: list[tuple[int, int]] = []
    for code in codes:
        if runs and runs[-1][1] == code - 1:
            runs[-1] = (runs[-1][0], code)
        else:
            runs.append((code, code))
    text = "".join(
        f"{_inner(first)}-{_inner(last)}" if last - first > 2 else "".join(map(_inner, range(first, last + 1)))
        for first, last in runs
    )
    return f"[{text}]"


def _inner(code: int) -> str:
    sign = chr(code)
    return sign if _WORD.match(sign) or sign in "+/=.~:," else f"\\x{code:02x}" if not 33 <= code < 127 else f"\\{sign}"


def _escaped(sign: str) -> str:
    return sign if sign in _PLAIN else f"\\x{ord(sign):02x}" if not 33 <= ord(sign) < 127 else f"\\{sign}"
