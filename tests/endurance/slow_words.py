"""Texts made to be slow: a beginning, something repeated, and an end, of words that the code under search looks for.

What makes a scanner slow is nearly always of that form: many beginnings without an end, nested openings, a run that
nearly matches, many small items. Units are numbered where equal items would be counted as one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

SECRETS = (
    *("password", "passwd", "pwd", "passphrase", "secret", "token", "jwt", "session", "sid", "signature", "sig"),
    *("credential", "otp", "csrf", "api_key", "accessKey", "private-key", "client_secret", "authorization"),
    *("code_verifier", "client_assertion", "set-cookie", "cookie", "x-api-key", "refresh_token", "id_token"),
)
"""Names that redaction looks for."""
_TOKENS = (
    *("Bearer ", "Basic ", "Digest ", "eyJ", "AKIA", "ghp_", "xoxb-", "sk_live_", "AIza", "glpat-", "-----BEGIN "),
    *("PRIVATE KEY-----", "-----END PRIVATE KEY-----", "://", "u:p@", "http://", "redacted-0123abcd", "password"),
)
WORDS: dict[str, tuple[str, ...]] = {
    "text": (
        *("a", "b", " ", "\t", "\n", "\r\n", "=", ":", ";", ",", "&", "?", "/", ".", "-", "_", "@", "#", "%", "+", "'"),
        *(
            '"',
            "\\",
            "\\\\",
            '\\"',
            "<",
            ">",
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            "0",
            "1",
            "é",
            "\u2028",
            "\x00",
            "%41",
            "A",
        ),
    ),
    "json": (
        *(
            "[",
            "]",
            "{",
            "}",
            ",",
            ":",
            '"',
            "\\",
            "\\u0061",
            '"a"',
            '"a":',
            '{"a":',
            "[[",
            '{"":',
            "1",
            "1e9",
            "-",
            "0.",
        ),
        *(
            "true",
            "null",
            " ",
            "\n",
            '{"a":1},',
            "[1],",
            '"x",',
            '{"a":[',
            '{"b":{"a":',
            '"%d":1,',
            '{"a":"%d"},',
            "%d,",
        ),
    ),
    "form": ("a", "=", "&", "+", "%", "%41", "%4", ";", "a=1&", "a[]=1&", "%d=1&", "&&", "==", "%25", "%C3%A9", "a.b="),
    "multipart": (
        *(
            "--s",
            "\r\n--s\r\n",
            "--s--",
            "\r\n",
            "\r\n\r\n",
            "\n",
            'content-disposition: form-data; name="a"',
            "a:b\r\n",
        ),
        *("; ", 'filename="', '"', "=", "content-type: text/plain\r\n", "\r\n--", "-", "%d", "\\", '\\"', ";a=", "x"),
    ),
    "head": (
        *("GET", " ", "/", "a", ":", "\r\n", "a: b\r\n", "x%d: y\r\n", "\t", ",", ";", '"', "=", "q=0.", "*", "a=b; "),
        *(
            "Host: a\r\n",
            "Content-Length: 1\r\n",
            "Transfer-Encoding: chunked\r\n",
            "%",
            "%2e",
            "..",
            "/../",
            "//",
            "?",
        ),
    ),
    "chunked": ("1\r\na\r\n", "0", "\r\n", ";", "a=b", "f", "00000000", "1;a\r\nb\r\n", " ", "\t", "1\r\n"),
    "regex": (
        *("a", "b", "(", ")", "[", "]", "*", "+", "?", "|", "^", "$", ".", "{1,9}", "{999}", "\\d", "\\w", "(a", "(?:"),
        *("(?i)", "\\b", "[^a]", "a*", "(a*)*", "(a|b)", "\\", "é"),
    ),
    "filter": (
        *(
            "status",
            "url",
            "body",
            "(",
            ")",
            " and ",
            " or ",
            "not ",
            "==",
            "~",
            "contains ",
            "in ",
            "200",
            "'a'",
            "..",
            ",",
        ),
        *("5xx", "header:a", "json:$.a", " ", "200ms", '"', "\\"),
    ),
    "lines": (
        "a",
        "\n",
        "\r\n",
        "data: ",
        "event: x\n",
        "id: %d\n",
        "\n\n",
        ":",
        " ",
        "line %d\n",
        "2026-01-01T00:00:00Z\n",
    ),
    "websocket": (
        "permessage-deflate",
        ";",
        ",",
        "=",
        '"',
        "a",
        " ",
        "client_max_window_bits",
        "15",
        "permessage-deflate, ",
    ),
    "template": (
        *(
            "{{",
            "}}",
            "{%",
            "%}",
            "{#",
            "#}",
            " a ",
            "|upper",
            "'x'",
            "(",
            ")",
            "[",
            "]",
            "+",
            "~",
            ".a",
            "for i in ",
            "if ",
        ),
        *("endfor", "\n", "{{ 1 }}", "{% if 1 %}"),
    ),
}
WORDS["secret"] = (
    *(f"{name}{glue}" for name in SECRETS for glue in ("=", ": ", '":"', "%3D", "\\u003d")),
    *(*_TOKENS, "&", "\n", "\r\n", '"', "'", " ", "\\", "x", "0", "%d", '{"', '"}', ",", ";", "password=%d&"),
)


@dataclass(frozen=True, slots=True)
class Pump:
    """One text for every size."""

    start: str
    unit: str
    end: str

    def text(self, size: int) -> str:
        """A text of about so many bytes."""
        count = max(1, size // len(self.unit.encode()))
        if "%d" in self.unit:
            return self.start + "".join([self.unit.replace("%d", str(number)) for number in range(count)]) + self.end
        return self.start + self.unit * count + self.end

    def __str__(self) -> str:
        return f"{self.start!r} + {self.unit!r} * n + {self.end!r}"


def plain(words: Sequence[str]) -> Iterator[Pump]:
    """Each word repeated, alone and with an end that does not fit."""
    for word in words:
        yield Pump("", word, "")
        yield Pump("", word, "!")


def random_pump(words: Sequence[str], chance: Random) -> Pump:
    """Any few of them, again and again."""
    unit = "".join(chance.choices(words, k=chance.choice((1, 1, 2, 2, 3, 4))))
    start = "".join(chance.choices(words, k=chance.choice((0, 0, 1, 2))))
    end = "".join(chance.choices(words, k=chance.choice((0, 0, 1, 2))))
    return Pump(start.replace("%d", "1"), unit, end.replace("%d", "1"))
