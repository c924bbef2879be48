"""The expressions that find secrets in bytes: one that quickly rules out most texts, and one for each kind of secret.

All are RE2's: linear in the length of any text, and a hundred times faster than Python's. They find names by their last
words; the policy decides whether a name is secret.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any, Final, Protocol

import re2

from mockrec.engine.redaction.escapes import LETTERS
from mockrec.engine.redaction.names import FIELDS, PAIRS, WORDS
from mockrec.engine.redaction.tokens import Tokens, beginnings, compiled


class RegexMatch(Protocol):
    """The interface of RE2's matches, as far as it is used."""

    def start(self, group: int = 0) -> int: ...
    def end(self, group: int = 0) -> int: ...
    def group(self, group: int = 0) -> bytes: ...


ENCODED: Final = r"%(?:25){0,3}(?:3[AaDdEe]|22|27|5[Cc])|\\+u00(?:22|3[AaDdEe])|&(?:quot|apos|gt|#)"
"""An escaped character that ends a name."""
_HIDDEN = rf"(?:{LETTERS})[\w.\-$%\[\]\\&#;]*[\"']?\s?(?:[=:]|{ENCODED})"
"""A name with an escaped letter, from that letter on."""
_SLASH = r"%(?:25){0,3}2[Ff]"
_ENCODED_OTHERS = (
    rf"-----BEGIN(?:\+|%(?:25){{0,3}}20)|%(?:25){{0,3}}3[Aa]{_SLASH}{_SLASH}[^/?#\s\"<>\\&]*%(?:25){{0,3}}40"
)
# Characters that may follow the last word of a name: digits, brackets, quotes; also an escaped `]` of a URL.
_TAIL = r"(?:%5[BbDd]|[^A-Za-z=:&,;{}\n])"

_NAME_END = r"[^A-Za-z\"'<>=:&,;{}\n]{0,8}(?:\\*[\"']|[\s/>])"
"""The characters after the last word of a name that is the value of an HTML attribute."""


def _utf8(text: str) -> str:
    """Return a text in UTF-8, escaped for a pattern over bytes."""
    return str(re2.escape(text.encode("utf-8", "surrogatepass")), "latin-1")


def _pairs() -> list[str]:
    """Return patterns of the pairs, grouped by the second word: RE2 does not factor out common endings."""
    firsts: dict[str, list[str]] = {}
    for first, second in PAIRS:
        firsts.setdefault(second, []).append(first)
    return [f"(?:{'|'.join(words)})[^A-Za-z]{{0,2}}{second}" for second, words in firsts.items()]


class Patterns:
    """The expressions for a policy. All but `any`, which sees every text, are compiled when they are first used."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        """`names`: secret names in addition to the default list."""
        ends = [*WORDS, *FIELDS, *_pairs()]
        self._word = word = f"(?i:{'|'.join([*ends, *map(_utf8, names)])})"
        self._with_headers = with_headers = f"(?i:{word}|cookie|authorization)"
        self.any = compiled(
            rf'{with_headers}{_TAIL}{{0,8}}(?:[=:]|"\s?,\s?\\*"|\s\\*["/]|{ENCODED})'
            rf'|(?i:name)=\\*"?[^"\\\s;]*{word}[^A-Za-z"\\]{{0,8}}\\*"?[^\\\r\n]*(?:\r?\n|(?:\\r)?\\n)'
            rf"|<[\w.\-:]*{word}[0-9_\-]{{0,8}}[\s>]|{_HIDDEN}|{_ENCODED_OTHERS}"
            rf"|(?i:name|property|itemprop|id|type)\s{{0,4}}=\s{{0,4}}\\*[\"']?[^\"'\s<>\\]*{word}{_NAME_END}"
            rf'|(?i:cookie) [^\s:"]+(?:: expected| (?:including )?\\*")|{beginnings()}|://[^/?#\s"<>\\]*@'
            # A field without its colon; a request target without a scheme; a client that expects a SOCKS server.
            r"|(?i:authorization[ \t]+(?:basic|bearer|digest|negotiate|token)[ \t])"
            r'|\b[A-Z]{3,10} (?://)?[^/?#\s@:"]+:[^/?#\s@"]+@|\A\x05[^\x20-\xff]|"\\u0005\\u00'
        )
        """Matches in every text that contains a secret, and seldom in others."""

    @cached_property
    def part(self) -> Any:
        """The head of a part of a multipart form, up to its value."""
        return compiled(
            rf'(?i:name)=(?:"([^"\r\n]*{self._word}[^A-Za-z"]{{0,8}})"|([^";\s]*{self._word}[^A-Za-z";\s]{{0,8}}))[^\r\n]*'
            r"\r?\n(?:[^\r\n]+\r?\n)*\r?\n"
        )

    @cached_property
    def json(self) -> Any:
        """`"name":`, up to its value: backslashes, name, backslashes."""
        return compiled(rf'(\\*)"([^"\\]*{self._word}[^A-Za-z"\\=:]{{0,8}})(\\*)"\s*:\s*')

    @cached_property
    def quoted(self) -> Any:
        """`'name': '`, up to its value, and `(name: "` as in GraphQL."""
        return compiled(
            rf"['\"]([^'\"\\\r\n]*{self._word}[^A-Za-z'\"\\=:]{{0,8}})['\"]\s*(?::\s*[bu]?'|=>\s*['\"])"
            rf'|[(,{{\s]([\w]*{self._word}[0-9_]{{0,8}})\s*:\s*"'
        )

    @cached_property
    def element(self) -> Any:
        """`<name>`, up to its value."""
        return compiled(rf"<((?:[\w.\-]*:)?[\w.\-]*{self._word}[0-9_\-]{{0,8}})(?:\s[^<>]*)?>")

    @cached_property
    def tag(self) -> Any:
        """A tag with a name and a value as attributes; see `markup.py`."""
        return compiled(r"<(?i:input|meta|button)[\s/](?:[^<>\"']|\"[^\"]*\"|'[^']*')*>")

    @cached_property
    def pair(self) -> Any:
        """`name=`, up to its value."""
        return compiled(rf"((?i:[\w.\-$%\[\]]*){self._word}{_TAIL.replace('{}', '{}<>')}{{0,8}}?)=")

    @cached_property
    def line(self) -> Any:
        """`Name: `, up to its value: a field of a raw head, YAML, a message."""
        return compiled(rf"(?m)(?:^[ \t]*|[\s{{,;\"'])((?:[\w.\-]*){self._with_headers}[0-9_\-]{{0,8}})[ \t]*:[ \t]*")

    @cached_property
    def explanation(self) -> Any:
        """A condition in the explanation of a rule: `header x-api-key "…"`, `cookie sid: expected "…", found "…"`."""
        return compiled(
            rf"((?i:cookie|set-cookie) [^\s:]+|\b[\w.\-$\[\]']*{self._with_headers}[^A-Za-z\s=:]{{0,8}})"
            r'(?:: expected\b| (?:including )?"((?:[^"\\]|\\.)*)(?:"|\z))'
        )


USER: Final = compiled(r'://([^/?#\s"\'<>\\]*)@')
"""The userinfo of a URL."""
TOKEN: Final = Tokens()
"""Finds secrets without a name: tokens, JWTs, private keys, OAuth codes."""
