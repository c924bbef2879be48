"""The expressions that find secrets in bytes: one that quickly rules out most texts, and one for each kind of secret.

All are RE2's: linear in the length of any text, and a hundred times faster than Python's. They find names by their last
words; the policy decides whether a name is secret.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

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
    """The expressions, compiled once for a policy."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        """`names`: secret names in addition to the default list."""
        ends = [*WORDS, *FIELDS, *_pairs()]
        word = f"(?i:{'|'.join([*ends, *map(_utf8, names)])})"
        with_headers = f"(?i:{word}|cookie|authorization)"
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
        self.part = compiled(
            rf'(?i:name)=(?:"([^"\r\n]*{word}[^A-Za-z"]{{0,8}})"|([^";\s]*{word}[^A-Za-z";\s]{{0,8}}))[^\r\n]*'
            r"\r?\n(?:[^\r\n]+\r?\n)*\r?\n"
        )
        """The head of a part of a multipart form, up to its value."""
        self.json = compiled(rf'(\\*)"([^"\\]*{word}[^A-Za-z"\\=:]{{0,8}})(\\*)"\s*:\s*')
        """`"name":`, up to its value: backslashes, name, backslashes."""
        self.quoted = compiled(
            rf"['\"]([^'\"\\\r\n]*{word}[^A-Za-z'\"\\=:]{{0,8}})['\"]\s*(?::\s*[bu]?'|=>\s*['\"])"
            rf'|[(,{{\s]([\w]*{word}[0-9_]{{0,8}})\s*:\s*"'
        )
        """`'name': '`, up to its value, and `(name: "` as in GraphQL."""
        self.element = compiled(rf"<((?:[\w.\-]*:)?[\w.\-]*{word}[0-9_\-]{{0,8}})(?:\s[^<>]*)?>")
        """`<name>`, up to its value."""
        self.tag = compiled(r"<(?i:input|meta|button)[\s/](?:[^<>\"']|\"[^\"]*\"|'[^']*')*>")
        """A tag with a name and a value as attributes; see `markup.py`."""
        self.pair = compiled(rf"((?i:[\w.\-$%\[\]]*){word}{_TAIL.replace('{}', '{}<>')}{{0,8}}?)=")
        """`name=`, up to its value."""
        self.line = compiled(rf"(?m)(?:^[ \t]*|[\s{{,;\"'])((?:[\w.\-]*){with_headers}[0-9_\-]{{0,8}})[ \t]*:[ \t]*")
        """`Name: `, up to its value: a field of a raw head, YAML, a message."""
        self.explanation = compiled(
            rf"((?i:cookie|set-cookie) [^\s:]+|\b[\w.\-$\[\]']*{with_headers}[^A-Za-z\s=:]{{0,8}})"
            r'(?:: expected\b| (?:including )?"((?:[^"\\]|\\.)*)(?:"|\z))'
        )
        """A condition in the explanation of a rule: `header x-api-key "…"`, `cookie sid: expected "…", found "…"`."""


USER: Final = compiled(r'://([^/?#\s"\'<>\\]*)@')
"""The userinfo of a URL."""
TOKEN: Final = Tokens()
"""Finds secrets without a name: tokens, JWTs, private keys, OAuth codes."""
