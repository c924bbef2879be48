"""The syntax of HTTP heads (RFC 9112, 2 to 5), read as widely as any recipient may: folded lines, blanks around names
and colons, bare line feeds and carriage returns, lines that are cut. What is refused for it is kept for the log.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from mockrec.engine.wire.syntax import SCHEME_PATTERN, TOKEN_PATTERN

# A field: blanks, name, blanks, colon or (as in "Authorization Bearer x") none, and a value that goes on in lines that
# begin with a blank unless such a line is a field itself, as the first one behind the request line may be.
_TOKEN = TOKEN_PATTERN.encode() + b"+"  # possessive
_FIELD = re.compile(
    rb"(?:^|(?<=[\r\n]))(?P<before>[ \t]*+)(?P<name>" + _TOKEN + rb")(?P<colon>[ \t]*+:[ \t]*+|[ \t]++)"
    rb"(?P<value>[^\r\n]*(?:(?:\r\n|\r|\n)[ \t]++(?!" + _TOKEN + rb"[ \t]*+:)[^\r\n]*)*)"
)
_TARGET_USER = re.compile(rb"^[A-Za-z]{1,20} +(?:" + SCHEME_PATTERN.encode() + rb"://|//)?([^/?#\s@]+)@", re.ASCII)
_COOKIES = re.compile(r"(,[ \t]*+|(?<![\r\n])[\r\n]++[ \t]*+)(?=[^\s;,=]+=)")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z-]{0,15}\Z|[A-Z0-9]{2,8}(?:-[A-Z0-9]{1,8}){1,3}\Z")
# Their fields are of those that are secret but for a part of them; without a colon, only they are looked at.
_HEADS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})


def redacted_head(data: bytes, header: Callable[[str, str], str], mark: Callable[[str], str]) -> bytes:
    """A head, or its beginning, with the values of secret fields replaced. `header` replaces what is secret in the
    value of a field, given its name in lower case; `mark` a user name or password.
    """
    if data.startswith(b"\x05"):
        return _socks_password(data, mark)
    target = _TARGET_USER.match(data)
    if target is not None:
        marked = ":".join([mark(part) for part in _text(target[1]).split(":", 1)])
        data = data[: target.start(1)] + _bytes(marked) + data[target.end(1) :]
    end = _end_of_head(data)

    def replaced(field: re.Match[bytes]) -> bytes:
        name = _text(field["name"]).lower()
        if b":" not in field["colon"] and name not in _HEADS:
            return field[0]
        blank = field["value"][: len(field["value"]) - len(field["value"].lstrip())]
        value = field["value"][len(blank) :].rstrip()
        if not value:
            return field[0]
        behind = field["value"][len(blank) + len(value) :]
        return field["before"] + field["name"] + field["colon"] + blank + _bytes(header(name, _text(value))) + behind

    return _FIELD.sub(replaced, data[:end]) + data[end:]


def split_scheme(value: str) -> tuple[str, str, str]:
    """The scheme of an `Authorization`, what is between, and the credentials (RFC 9110, 11.4); no scheme if the first
    word does not look like one: `hunter2 x` is all secret.
    """
    words = value.split(None, 1)
    if len(words) < 2 or not _SCHEME.match(words[0]):
        return "", "", value
    between = value[len(words[0]) : len(value) - len(words[1])]
    return words[0], between, words[1]


def each_cookie(value: str, redacted: Callable[[str], str]) -> str:
    """A `Set-Cookie`, or several that were joined by commas or line feeds, as HAR and HTTP libraries do."""
    parts = _COOKIES.split(value)
    for index in range(0, len(parts), 2):
        first, semicolon, attributes = parts[index].partition(";")
        parts[index] = redacted(first) + semicolon + attributes
    return "".join(parts)


def _socks_password(data: bytes, mark: Callable[[str], str]) -> bytes:
    """What a client that takes us for a SOCKS server sends without waiting (RFC 1928, 3; RFC 1929, 2)."""
    user_at = 2 + data[1] + 1 if len(data) > 1 else 0
    if not user_at or data[user_at - 1 : user_at] != b"\x01" or len(data) <= user_at:
        return data
    user, password_at = data[user_at + 1 :][: data[user_at]], user_at + 1 + data[user_at]
    pieces = [data[: user_at + 1], _bytes(mark(_text(user)))]
    if password_at < len(data):
        behind = password_at + 1 + data[password_at]
        password = _bytes(mark(_text(data[password_at + 1 : behind])))
        pieces += [data[password_at : password_at + 1], password, data[behind:]]
    return b"".join(pieces)


def _end_of_head(data: bytes) -> int:
    found = re.search(rb"\r?\n\r?\n", data)
    return found.start() if found else len(data)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
