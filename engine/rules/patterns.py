r"""Regular expressions of a rule file: in RE2's syntax, or in Python's where a rule says so.

RE2 takes time in proportion to the text for every pattern and text; Python's `re` may take exponential time. So a
pattern is RE2's unless it is a `PythonRegex`, which only a helper process searches with (`matching/deferral.py`).

A pattern without look-arounds and back references means the same in both, with two exceptions: in RE2 `\d`, `\w`, `\s`
and `\b` know ASCII only, and `$` without `(?m)` is the very end of the text.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping

from mockrec.formats.text.regex import RegexError, compile_regex, python_fault, regex_fault
from mockrec.formats.text.short_regex import for_short_texts

Search = Callable[[str], bool]
Replacer = Callable[[str, int], str]
"""A text, and the limit of the result in bytes of UTF-8 → the result. Raises ReplacedTooLong."""

QUICK_STEPS = 4_000_000
"""Instructions of a pattern times bytes of a text up to which RE2 takes some milliseconds at most."""


class ReplacedTooLong(ValueError):
    """The result of the replacements would be longer than the limit."""


class PythonRegex(str):
    """A pattern in Python's syntax, where the rule says `syntax: python`; any other text is a pattern of RE2."""

    __slots__ = ()


def check_regex(pattern: str, *, python_allowed: bool = True) -> None:
    """Raise RegexError where a pattern cannot be used; `python_allowed`: whether `syntax: python` can be given."""
    if isinstance(pattern, PythonRegex):
        if fault := python_fault(pattern):
            raise RegexError(f"not a regular expression: {fault}")
        return
    fault = regex_fault(pattern)
    if fault and python_allowed and not python_fault(pattern):
        fault += "; write {regex: …, syntax: python}, which is run by a helper with a time limit (limits.matchTime)"
    if fault:
        raise RegexError(fault)


def searcher(pattern: str) -> Search:
    """A function that returns whether the pattern is found in a text. Raises RegexError.

    The function of a PythonRegex may take any time.
    """
    if isinstance(pattern, PythonRegex):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "Possible nested set" is a note on Python's future, not on the rule file
            search = re.compile(pattern).search
        return lambda text: search(text) is not None
    find = compile_regex(pattern).search
    quick = for_short_texts(pattern, ignore_case=False)

    def found(text: str) -> bool:
        if quick is not None and (answer := quick(text)) is not None:
            return answer
        return find(text.encode("utf-8", "surrogatepass")) is not None

    return found


def quick_length(pattern: str) -> int:
    """Bytes of a text up to which a search for the pattern takes some milliseconds at most."""
    return 0 if isinstance(pattern, PythonRegex) else QUICK_STEPS // max(compile_regex(pattern).programsize, 1)


def replacer(pattern: str, replacement: str) -> Replacer:
    r"""A function that replaces every match of a pattern; the replacement may hold `\1` and `\g<name>` as in Python.

    The function raises ReplacedTooLong. Raises RegexError.
    """
    if isinstance(pattern, PythonRegex):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compiled = re.compile(pattern)
        try:
            compiled.sub(replacement, "")
        except (re.error, IndexError, OverflowError) as error:
            raise RegexError(str(error)) from None
        return lambda text, limit: _python_replaced(compiled, replacement, text, limit)
    expression = compile_regex(pattern, captures=True)
    pieces = _template(replacement, expression.groups, expression.groupindex)

    groups = [piece for piece in pieces if isinstance(piece, int)]
    literal = sum([len(piece) for piece in pieces if isinstance(piece, bytes)])

    def replaced(text: str, limit: int) -> str:
        data = text.encode("utf-8", "surrogatepass")
        result, end, left = [], 0, limit
        for match in expression.finditer(data):
            start, stop = match.span()
            left -= literal + sum([match.end(group) - match.start(group) for group in groups])
            if left < 0:
                raise ReplacedTooLong
            result.append(data[end:start])
            result += [piece if isinstance(piece, bytes) else match.group(piece) or b"" for piece in pieces]
            end = stop
        if not result:
            return text
        result.append(data[end:])
        return b"".join(result).decode("utf-8", "surrogatepass")

    return replaced


def _python_replaced(compiled: re.Pattern[str], replacement: str, text: str, limit: int) -> str:
    left, references = limit, replacement.count("\\")

    def replaced(found: re.Match[str]) -> str:
        nonlocal left
        if len(replacement) + references * (found.end() - found.start()) > left:
            raise ReplacedTooLong
        made = found.expand(replacement)
        left -= len(made)
        return made

    return compiled.sub(replaced, text)


# ── replacements ───────────────────────────────────────────────────────────────────────────────────

_REFERENCE = re.compile(r"\\(?:g<([^>]*)>|(0[0-7]{0,2}|[0-3][0-7]{2})|([1-9][0-9]?)|(.)|$)", re.DOTALL)
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}


def _template(text: str, groups: int, names: Mapping[str, int]) -> list[bytes | int]:
    """A replacement as literal bytes and numbers of groups, parsed as Python's `re` does."""
    pieces: list[bytes | int] = []
    position = 0
    for found in _REFERENCE.finditer(text):
        pieces.append(text[position : found.start()].encode("utf-8", "surrogatepass"))
        position = found.end()
        name, octal, number, other = found.groups()
        if octal is not None:
            pieces.append(chr(int(octal, 8)).encode())
        elif other is not None or found[0] == "\\":
            if not other or (other not in _ESCAPES and other.isascii() and other.isalpha()):
                raise RegexError(f"bad escape {found[0]} at position {found.start()}")
            pieces.append(_ESCAPES.get(other, found[0]).encode("utf-8", "surrogatepass"))
        else:
            pieces.append(_group(name if name is not None else number, groups, names))
    pieces.append(text[position:].encode("utf-8", "surrogatepass"))
    return [piece for piece in pieces if piece != b""]


def _group(name: str, groups: int, names: Mapping[str, int]) -> int:
    if name.isascii() and name.isdigit():
        if int(name) > groups:
            raise RegexError(f"invalid group reference {int(name)}")
        return int(name)
    if name not in names:
        raise RegexError(f"unknown group name {name!r}")
    return names[name]
