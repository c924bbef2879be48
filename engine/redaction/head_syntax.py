"""The syntax of HTTP heads (RFC 9112, 2 to 5), parsed as leniently as any recipient may: folded lines, blanks around
names and colons, bare line feeds and carriage returns, truncated lines. The log keeps heads that are refused for this.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Final

from mockrec.engine.wire.syntax import SCHEME_PATTERN, TOKEN_PATTERN
from mockrec.formats.text.late_regex import late_regex

# A field: blanks, name, blanks, colon or (as in "Authorization Bearer x") none, and a value that continues in lines
# that begin with a blank, unless such a line is a field itself, as the first one after the request line may be.
_TOKEN = TOKEN_PATTERN.encode() + b"+"  # possessive
_FIELD = late_regex(
    rb"(?:^|(?<=[\r\n]))(?P<before>[ \t]*+)(?P<name>" + _TOKEN + rb")(?P<colon>[ \t]*+:[ \t]*+|[ \t]++)"
    rb"(?P<value>[^\r\n]*(?:(?:\r\n|\r|\n)[ \t]++(?!" + _TOKEN + rb"[ \t]*+:)[^\r\n]*)*)"
)
_TARGET_USER = late_regex(rb"^[A-Za-z]{1,20} +(?:" + SCHEME_PATTERN.encode() + rb"://|//)?([^/?#\s@]+)@", re.ASCII)
_COOKIES = late_regex(r"(,[ \t]*+|(?<![\r\n])[\r\n]++[ \t]*+)(?=[^\s;,=]+=)")
_SCHEME = late_regex(r"[A-Za-z][A-Za-z-]{0,15}\Z|[A-Z0-9]{2,8}(?:-[A-Z0-9]{1,8}){1,3}\Z")
# Fields whose value is secret except for a part of it. Only these are searched where the colon is missing.
_HEADS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})


def redacted_head(data: bytes, header: Callable[[str, str], str], placeholder: Callable[[str], str]) -> bytes:
    """Redact a head, or the beginning of one. `header` redacts the value of a field, given its name in lower case;
    `placeholder` replaces a user name or a password.
    """
    if data.startswith(b"\x05"):
        return _socks_password(data, placeholder)
    target = _TARGET_USER.match(data)
    if target is not None:
        userinfo = ":".join([placeholder(part) for part in _text(target[1]).split(":", 1)])
        data = data[: target.start(1)] + _bytes(userinfo) + data[target.end(1) :]
    end = _end_of_head(data)

    def replaced(field: re.Match[bytes]) -> bytes:
        name = _text(field["name"]).lower()
        if b":" not in field["colon"] and name not in _HEADS:
            return field[0]
        blank = field["value"][: len(field["value"]) - len(field["value"].lstrip())]
        value = field["value"][len(blank) :].rstrip()
        if not value:
            return field[0]
        after = field["value"][len(blank) + len(value) :]
        return field["before"] + field["name"] + field["colon"] + blank + _bytes(header(name, _text(value))) + after

    return _FIELD.sub(replaced, data[:end]) + data[end:]


def split_scheme(value: str) -> tuple[str, str, str]:
    """Split an `Authorization` into the scheme, the blanks, and the credentials (RFC 9110, 11.4). The scheme is empty
    if the first word does not look like one: `hunter2 x` is secret as a whole.
    """
    words = value.split(None, 1)
    if len(words) < 2 or not _SCHEME.match(words[0]):
        return "", "", value
    between = value[len(words[0]) : len(value) - len(words[1])]
    return words[0], between, words[1]


def basic_credentials(credentials: str) -> str | None:
    """Return `user:password` of Basic credentials (RFC 7617); None if they are not valid."""
    try:
        plain = base64.b64decode(credentials.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return plain if ":" in plain else None


def each_cookie(value: str, redacted: Callable[[str], str]) -> str:
    """Redact a `Set-Cookie`, or several that are joined by commas or line feeds, as in HAR and HTTP libraries."""
    parts = _COOKIES.split(value)
    for index in range(0, len(parts), 2):
        first, semicolon, attributes = parts[index].partition(";")
        parts[index] = redacted(first) + semicolon + attributes
    return "".join(parts)


def _socks_password(data: bytes, placeholder: Callable[[str], str]) -> bytes:
    """Redact the first bytes of a client that expects a SOCKS server and sends its password without waiting for the
    choice of a method (RFC 1928, 3; RFC 1929, 2)."""
    user_at = 2 + data[1] + 1 if len(data) > 1 else 0
    if not user_at or data[user_at - 1 : user_at] != b"\x01" or len(data) <= user_at:
        return data
    user, password_at = data[user_at + 1 :][: data[user_at]], user_at + 1 + data[user_at]
    pieces = [data[: user_at + 1], _bytes(placeholder(_text(user)))]
    if password_at < len(data):
        end = password_at + 1 + data[password_at]
        password = _bytes(placeholder(_text(data[password_at + 1 : end])))
        pieces += [data[password_at : password_at + 1], password, data[end:]]
    return b"".join(pieces)


def _end_of_head(data: bytes) -> int:
    found = re.search(rb"\r?\n\r?\n", data)
    return found.start() if found else len(data)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
