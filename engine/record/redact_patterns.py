"""The expressions that find secrets in bytes: one that says quickly that there are none, and those that find each kind.

All are RE2's: linear in the length whatever the text, and a hundred times faster than Python's. Names are found here
by what they end with; whether one is secret is for the policy to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Protocol

import re2

from mockrec.engine.record.redact_escapes import LETTERS
from mockrec.engine.record.redact_names import PAIRS, WORDS


class Match(Protocol):
    """What is used of a match of RE2."""

    def start(self, group: int = 0) -> int: ...
    def end(self, group: int = 0) -> int: ...
    def group(self, group: int = 0) -> bytes: ...


_TOKENS: Final = (
    r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*){0,3}",  # JWT: JWS and JWE
    r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z0-9 ]{0,30}PRIVATE KEY-----|\z)",
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",  # AWS
    r"\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}",
    r"\bglpat-[A-Za-z0-9_.-]{16,}",
    r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",  # Slack
    r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{10,}|\bwhsec_[A-Za-z0-9+/=]{16,}",  # Stripe
    r"\bsk-[A-Za-z0-9_-]{20,}",  # OpenAI, Anthropic
    r"\bAIza[0-9A-Za-z_-]{35}|\bya29\.[0-9A-Za-z_-]{20,}",  # Google
    r"\bnpm_[A-Za-z0-9]{30,}|\bpypi-[A-Za-z0-9_-]{50,}",
    r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",  # SendGrid
    r"\bhf_[A-Za-z0-9]{30,}|\bdop_v1_[a-f0-9]{60,}|\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{30,}",
)
_TOKEN_BEGINNINGS: Final = (
    r"eyJ[A-Za-z0-9_-]{5,}\.|-----BEGIN [A-Z0-9 ]{0,30}PRIVATE|\b(?:AKIA|ASIA)[0-9A-Z]{16}|\bgh[pousr]_|\bgithub_pat_"
    r"|\bglpat-|\bxox[abeoprs]-|\b[sr]k_(?:live|test)_|\bwhsec_|\bsk-[A-Za-z0-9_-]{20}|\bAIza|\bya29\.|\bnpm_|\bpypi-"
    r"|\bSG\.[A-Za-z0-9_-]{16}|\bhf_|\bdop_v1_|\bshp(?:at|ca|pa|ss)_"
)
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


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # bytes
    options.max_mem = 32 * 1024 * 1024
    return re2.compile(pattern.encode("latin-1"), options)


def _utf8(text: str) -> str:
    """UTF-8 in the form that a pattern over bytes takes."""
    return str(re2.escape(text.encode("utf-8", "surrogatepass")), "latin-1")


class Patterns:
    """Compiled once for a policy."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        """`names`: secret ones beyond the default list."""
        ends = [*WORDS, *(f"{first}[^A-Za-z]{{0,2}}{second}" for first, second in PAIRS)]
        word = f"(?i:{'|'.join([*ends, *map(_utf8, names)])})"
        with_headers = f"(?i:{word}|cookie|authorization)"
        self.any = _compiled(
            rf'{with_headers}{_TAIL}{{0,8}}(?:[=:]|"\s?,\s?\\*"|\s\\*["/]|{ENCODED})'
            rf'|(?i:name)=\\*"?[^"\\\s;]*{word}[^A-Za-z"\\]{{0,8}}\\*"?[^\\\r\n]*(?:\r?\n|(?:\\r)?\\n)'
            rf"|<[\w.\-:]*{word}[0-9_\-]{{0,8}}[\s>]|{_HIDDEN}|{_ENCODED_OTHERS}"
            rf'|(?i:cookie) [^\s:"]+(?:: expected| (?:including )?\\*")|{_TOKEN_BEGINNINGS}|://[^/?#\s"<>\\]*@'
        )
        """Finds something in every text that holds a secret, seldom in others."""
        self.part = _compiled(
            rf'(?i:name)=(?:"([^"\r\n]*{word}[^A-Za-z"]{{0,8}})"|([^";\s]*{word}[^A-Za-z";\s]{{0,8}}))[^\r\n]*'
            r"\r?\n(?:[^\r\n]+\r?\n)*\r?\n"
        )
        """The head of a part of a form, up to its value."""
        self.json = _compiled(rf'(\\*)"([^"\\]*{word}[^A-Za-z"\\=:]{{0,8}})(\\*)"\s*:\s*')
        """`"name":`, up to its value: backslashes, name, backslashes."""
        self.quoted = _compiled(rf"['\"]([^'\"\\\r\n]*{word}[^A-Za-z'\"\\=:]{{0,8}})['\"]\s*(?::\s*[bu]?'|=>\s*['\"])")
        """`'name': '`, up to its value."""
        self.element = _compiled(rf"<((?:[\w.\-]*:)?[\w.\-]*{word}[0-9_\-]{{0,8}})(?:\s[^<>]*)?>")
        """`<name>`, up to its value."""
        self.pair = _compiled(rf"((?i:[\w.\-$%\[\]]*){word}{_TAIL.replace('{}', '{}<>')}{{0,8}}?)=")
        """`name=`, up to its value."""
        self.line = _compiled(rf"(?m)(?:^|[\s{{,;\"'])((?:[\w.\-]*){with_headers}[0-9_\-]{{0,8}})[ \t]*:[ \t]*")
        """`Name: `, up to its value: a field of a raw head, YAML, a message."""
        self.said = _compiled(
            rf"((?i:cookie|set-cookie) [^\s:]+|\b[\w.\-$\[\]']*{with_headers}[^A-Za-z\s=:]{{0,8}})"
            r'(?:: expected\b| (?:including )?"((?:[^"\\]|\\.)*)(?:"|\z))'
        )
        """What rules are explained with: `header x-api-key "…"`, `cookie sid: expected "…", found "…"`."""


USER: Final = _compiled(r'://([^/?#\s"\'<>\\]*)@')
"""What stands before the host of a URL."""
TOKEN: Final = _compiled("|".join(_TOKENS))
"""JWTs, private keys, and tokens that are known by how they begin."""
