"""The expressions that find secrets in bytes: one that says quickly that there are none, and those that find each kind.

All are RE2's: linear in the length whatever the text, and a hundred times faster than Python's. Names are found here
by what they end with; whether one is secret is for the policy to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

import re2

from mockrec.engine.redaction.escapes import LETTERS
from mockrec.engine.redaction.names import FIELDS, PAIRS, WORDS
from mockrec.engine.redaction.tokens import Tokens, beginnings, compiled


class RegexMatch(Protocol):
    """What is used of a match of RE2."""

    def start(self, group: int = 0) -> int: ...
    def end(self, group: int = 0) -> int: ...
    def group(self, group: int = 0) -> bytes: ...


ENCODED: Final = r"%(?:25){0,3}(?:3[AaDdEe]|22|27|5[Cc])|\\+u00(?:22|3[AaDdEe])|&(?:quot|apos|gt|#)"
"""What ends a name, escaped."""
_HIDDEN = rf"(?:{LETTERS})[\w.\-$%\[\]\\&#;]*[\"']?\s?(?:[=:]|{ENCODED})"
"""A name with an escaped letter, from that on."""
_SLASH = r"%(?:25){0,3}2[Ff]"
_ENCODED_OTHERS = (
    rf"-----BEGIN(?:\+|%(?:25){{0,3}}20)|%(?:25){{0,3}}3[Aa]{_SLASH}{_SLASH}[^/?#\s\"<>\\&]*%(?:25){{0,3}}40"
)
# What may stand behind a name's last word: digits, brackets, quotes; also `]` of a URL.
_TAIL = r"(?:%5[BbDd]|[^A-Za-z=:&,;{}\n])"

_NAME_END = r"[^A-Za-z\"'<>=:&,;{}\n]{0,8}(?:\\*[\"']|[\s/>])"
"""What stands behind the last word of a name that is an attribute of HTML."""


def _utf8(text: str) -> str:
    """UTF-8 in the form that a pattern over bytes takes."""
    return str(re2.escape(text.encode("utf-8", "surrogatepass")), "latin-1")


def _pairs() -> list[str]:
    """Those with the same second word together: what they have in common at their ends RE2 does not see."""
    firsts: dict[str, list[str]] = {}
    for first, second in PAIRS:
        firsts.setdefault(second, []).append(first)
    return [f"(?:{'|'.join(words)})[^A-Za-z]{{0,2}}{second}" for second, words in firsts.items()]


class Patterns:
    """Compiled once for a policy."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        """`names`: secret ones beyond the default list."""
        ends = [*WORDS, *FIELDS, *_pairs()]
        word = f"(?i:{'|'.join([*ends, *map(_utf8, names)])})"
        with_headers = f"(?i:{word}|cookie|authorization)"
        self.any = compiled(
            rf'{with_headers}{_TAIL}{{0,8}}(?:[=:]|"\s?,\s?\\*"|\s\\*["/]|{ENCODED})'
            rf'|(?i:name)=\\*"?[^"\\\s;]*{word}[^A-Za-z"\\]{{0,8}}\\*"?[^\\\r\n]*(?:\r?\n|(?:\\r)?\\n)'
            rf"|<[\w.\-:]*{word}[0-9_\-]{{0,8}}[\s>]|{_HIDDEN}|{_ENCODED_OTHERS}"
            rf"|(?i:name|property|itemprop|id|type)\s{{0,4}}=\s{{0,4}}\\*[\"']?[^\"'\s<>\\]*{word}{_NAME_END}"
            rf'|(?i:cookie) [^\s:"]+(?:: expected| (?:including )?\\*")|{beginnings()}|://[^/?#\s"<>\\]*@'
            # A field without its colon; a request's target without a scheme; a client that takes us for a SOCKS server.
            r"|(?i:authorization[ \t]+(?:basic|bearer|digest|negotiate|token)[ \t])"
            r'|\b[A-Z]{3,10} (?://)?[^/?#\s@:"]+:[^/?#\s@"]+@|\A\x05[^\x20-\xff]|"\\u0005\\u00'
        )
        """Finds something in every text that holds a secret, seldom in others."""
        self.part = compiled(
            rf'(?i:name)=(?:"([^"\r\n]*{word}[^A-Za-z"]{{0,8}})"|([^";\s]*{word}[^A-Za-z";\s]{{0,8}}))[^\r\n]*'
            r"\r?\n(?:[^\r\n]+\r?\n)*\r?\n"
        )
        """The head of a part of a form, up to its value."""
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
        """A tag that gives a value to a name; see `redact_markup`."""
        self.pair = compiled(rf"((?i:[\w.\-$%\[\]]*){word}{_TAIL.replace('{}', '{}<>')}{{0,8}}?)=")
        """`name=`, up to its value."""
        self.line = compiled(rf"(?m)(?:^[ \t]*|[\s{{,;\"'])((?:[\w.\-]*){with_headers}[0-9_\-]{{0,8}})[ \t]*:[ \t]*")
        """`Name: `, up to its value: a field of a raw head, YAML, a message."""
        self.said = compiled(
            rf"((?i:cookie|set-cookie) [^\s:]+|\b[\w.\-$\[\]']*{with_headers}[^A-Za-z\s=:]{{0,8}})"
            r'(?:: expected\b| (?:including )?"((?:[^"\\]|\\.)*)(?:"|\z))'
        )
        """What rules are explained with: `header x-api-key "…"`, `cookie sid: expected "…", found "…"`."""


USER: Final = compiled(r'://([^/?#\s"\'<>\\]*)@')
"""What stands before the host of a URL."""
TOKEN: Final = Tokens()
"""Tokens that identify themselves, JWTs, private keys, OAuth codes."""
