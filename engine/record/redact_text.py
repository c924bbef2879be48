"""Finds secrets in text of any kind, as bytes, and puts marks in their place: `"name": "value"`, `name=value`,
`Name: value`, userinfo in URLs, JWTs, private keys, known tokens. What is not secret stays byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from urllib.parse import unquote_plus, unquote_to_bytes

import orjson

from mockrec.engine.record.redact_head import each_cookie, split_scheme
from mockrec.engine.record.redact_marks import MARK, Known, Marks
from mockrec.engine.record.redact_names import AUTHORIZATION
from mockrec.engine.record.redact_patterns import TOKEN, USER, Match, Patterns
from mockrec.engine.record.redact_selectors import ANYWHERE, Policy

_LIST_TOKEN = re.compile(rb'"((?:[^"\\]|\\.|\\\Z)*)("|\Z)|[\[\]{}]', re.DOTALL)
_STRING = re.compile(rb'((?:[^"\\]|\\.|\\\Z)*)("|\Z)', re.DOTALL)
_QUOTED = re.compile(rb"""(\\*)(["'])""")
_TO_AMPERSAND = re.compile(rb"[^&#\s\"'<>\\]*")
_TO_SPACE = re.compile(rb"[^&\s\"'<>\\]*?(?=[;,.)}\]]*(?:[&\s\"'<>\\]|\Z))")
_TO_LINE_END = re.compile(rb"[^\r\n]*")
_WORD = re.compile(rb"[^\s\"',}]*")
_TO_QUOTE = re.compile(rb"(?:=\"[^\r\n\"]*\"|[^\r\n\"'])*")
_CONTROL = re.compile(rb"[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LEAST_IN_BYTES = 3
_WORDS_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)("|\Z)')

Edit = tuple[int, int, bytes]
"""From, to, and what stands there instead."""


class Finder:
    """Redacts texts; what it replaces is told to `known`. One is made for each thing that is redacted."""

    __slots__ = ("_is_binary", "_marks", "_patterns", "_policy", "known", "side")

    def __init__(self, policy: Policy, marks: Marks, patterns: Patterns, known: Known, side: str) -> None:
        """`side` is `request`, `response`, or empty."""
        self._policy = policy
        self._marks = marks
        self._patterns = patterns
        self.known = known
        self.side = side
        self._is_binary = False

    # ── values ─────────────────────────────────────────────────────────────────────────────────────

    def is_secret(self, place: str, name: str) -> bool:
        """See `Policy.is_secret`."""
        return self._policy.is_secret(place, name, self.side)

    def mark(self, value: str, *seen: str) -> str:
        """What stands for a secret; `seen` is how it stood there, where that is another form."""
        if not value or MARK.fullmatch(value) or self._policy.keeps_value(value, self.side):
            return seen[0] if seen else value
        mark = self._marks.mark(value)
        self.known.count += 1
        self.known.add((value, *seen), mark)
        return mark

    def _marked(self, data: bytes, value: str) -> bytes:
        seen = _text(data)
        return _bytes(self.mark(value, seen))

    # ── texts ──────────────────────────────────────────────────────────────────────────────────────

    def string(self, text: str) -> str:
        """A text of which nothing is known."""
        data = _bytes(text)
        if not (self._policy.texts or self._patterns.any.search(data)):
            return text
        redacted = self.free(data)
        return text if redacted == data else _text(redacted)

    def free(self, data: bytes, *, pairs: bool = True, lines: bool = True) -> bytes:
        """`pairs`: whether `name=value` is looked for, which code is full of; `lines`: `Name: value` too.

        Images and archives hold everything that is short, `sid=` as well, by chance; what follows then is no text.
        """
        self._is_binary = b"\0" in data
        data = _edited(data, self._patterns.part.finditer(data), self._part)
        data = self.json(data)
        if pairs:
            data = self.pairs(data)
        if lines:
            data = _edited(data, self._patterns.line.finditer(data), self._line)
            data = self._said(data)
        return self.patterns(data)

    def patterns(self, data: bytes) -> bytes:
        """What is a secret wherever it stands."""
        data = _edited(data, USER.finditer(data), self._user)
        data = _apply(data, [self._whole(token.start(), token.end(), data) for token in TOKEN.finditer(data)])
        for one, expression in self._policy.texts:
            if one.of(self.side):
                text = expression.sub(lambda found: self.mark(found[0]), _text(data))
                data = _bytes(text)
        return data

    # ── "name": "value" ────────────────────────────────────────────────────────────────────────────

    def json(self, data: bytes, edits: Iterable[Edit] = (), kept: frozenset[int] = frozenset()) -> bytes:
        """Strings under secret names, also in lists; in JSON that is cut, in lines of JSON, in JSON inside strings.

        `edits` are made as well; strings that begin at `kept` stay.
        """
        found: dict[int, Edit] = {}
        for match in self._patterns.json.finditer(data):
            for edit in self._json_value(match, data, kept):
                found[edit[0]] = edit
        for edit in edits:
            found[edit[0]] = edit
        return _apply(data, [found[start] for start in sorted(found)])

    def _json_value(self, match: Match, data: bytes, kept: frozenset[int]) -> list[Edit]:
        slashes, start = match.group(1), match.end()
        if match.group(3) != slashes or not self.is_secret("json", _text(match.group(2))):
            return []
        if slashes:
            return self._escaped_value(slashes, start, data)
        if data[start : start + 1] == b'"':
            return [] if start + 1 in kept else self._json_string(start + 1, data)
        return self._json_list(start, data, kept) if data[start : start + 1] == b"[" else []

    def _json_string(self, start: int, data: bytes) -> list[Edit]:
        found = _STRING.match(data, start)
        assert found is not None  # it matches nothing, too
        return [(start, found.end(1), self._marked(found[1], unescaped(found[1])))]

    def _json_list(self, start: int, data: bytes, kept: frozenset[int]) -> list[Edit]:
        edits: list[Edit] = []
        depth = inside = 0
        for token in _LIST_TOKEN.finditer(data, start):
            sign = token[0]
            if sign in (b"[", b"]"):
                depth += 1 if sign == b"[" else -1
                if depth == 0:
                    break
            elif sign in (b"{", b"}"):
                inside += 1 if sign == b"{" else -1
            elif not inside and token.start(1) not in kept:
                edits.append((token.start(1), token.end(1), self._marked(token[1], unescaped(token[1]))))
        return edits

    def _escaped_value(self, slashes: bytes, start: int, data: bytes) -> list[Edit]:
        """JSON in a string of JSON: each of its quotes stands behind so many backslashes."""
        quote = slashes + b'"'
        if not data.startswith(quote, start):
            return []
        start += len(quote)
        end = data.find(quote, start)
        while end > 0 and data[end - 1 : end] == b"\\":
            end = data.find(quote, end + 1)
        end = len(data) if end < 0 else end
        value = _text(data[start:end])
        for _ in range(len(slashes).bit_length() + 1):
            value = unescaped(_bytes(value))
        return [(start, end, self._marked(data[start:end], value))]

    # ── name=value ─────────────────────────────────────────────────────────────────────────────────

    def pairs(self, data: bytes, *, form: bool = False) -> bytes:
        """Values of queries, forms, options and messages. `form`: nothing else is in it."""
        return _edited(data, self._patterns.pair.finditer(data), self._form_value if form else self._pair_value)

    def _form_value(self, match: Match, data: bytes) -> Edit | None:
        end = data.find(b"&", match.end())
        return self._value("form", match, match.end(), len(data) if end < 0 else end, data)

    def _pair_value(self, match: Match, data: bytes) -> Edit | None:
        start = match.end()
        if data[match.start() - 1 : match.start()] in (b"?", b"&"):
            found = _TO_AMPERSAND.match(data, start)
            assert found is not None
            return self._value("query", match, start, found.end(), data)
        quoted = _QUOTED.match(data, start)
        if quoted is not None:
            end = data.find(quoted[0], quoted.end())
            return self._value(ANYWHERE, match, quoted.end(), len(data) if end < 0 else end, data)
        found = _TO_SPACE.match(data, start)
        return self._value(ANYWHERE, match, start, found.end() if found else len(data), data)

    def _value(self, place: str, match: Match, start: int, end: int, data: bytes) -> Edit | None:
        end = self._end_of_value(data, match.start(), start, end)
        if end < 0 or not self.is_secret(place, unquote_plus(_text(match.group(1)))):
            return None
        seen = data[start:end]
        value = seen
        if place != ANYWHERE:
            value = value.replace(b"+", b" ")
        return start, end, self._marked(seen, _text(unquote_to_bytes(value)))

    # ── Name: value ────────────────────────────────────────────────────────────────────────────────

    def _line(self, match: Match, data: bytes) -> Edit | None:
        name, start = _text(match.group(1)).lower(), match.end()
        is_head = name in AUTHORIZATION or name in ("cookie", "set-cookie")
        if not is_head and not self.is_secret("header", name):
            return None
        before = data[match.start() : match.start(1)]
        at_line = before.strip(b" \t") in (b"\n", b"") and data[match.start(1) - 1 : match.start(1)] in (b"\n", b"")
        if data.startswith(b"expected ", start):
            return None  # see `_said`
        quoted = _QUOTED.match(data, start)
        if quoted is not None:
            start, end = quoted.end(), data.find(quoted[0], quoted.end())
            end = len(data) if end < 0 else end
        else:
            found = (_TO_LINE_END if at_line else _TO_QUOTE if is_head else _WORD).match(data, start)
            assert found is not None
            end = found.end()
        end = self._end_of_value(data, match.start(), start, end)
        if end < 0:
            return None
        value = data[start:end].rstrip()
        return start, start + len(value), _bytes(self.header(name, _text(value)))

    def header(self, name: str, value: str) -> str:
        """The value of a header field; `name` in lower case."""
        name = name.strip()  # as it was sent: `Authorization : Bearer x`
        if self._policy.keeps("header", name, self.side):
            return value
        if name in AUTHORIZATION:
            return self._authorization(value)
        if name == "cookie":
            return ";".join([self._cookie(crumb) for crumb in value.split(";")])
        if name == "set-cookie":
            return each_cookie(value, self._cookie)
        return self.mark(value) if self.is_secret("header", name) else self.string(value)

    def _authorization(self, value: str) -> str:
        scheme, space, secret = split_scheme(value)
        plain = basic(secret) if scheme.lower() == "basic" else None
        if plain is None:
            return f"{scheme}{space}{self.mark(secret)}"
        mark = self.mark(plain, secret)
        if mark != secret:
            # The parts may be seen elsewhere, and have marks of their own there.
            password = plain.partition(":")[2]
            if password:
                self.known.add((password,), self._marks.mark(password))
        return f"{scheme}{space}{mark}"

    def _cookie(self, crumb: str) -> str:
        name, equals, value = crumb.partition("=")
        if not equals:
            name, value = "", crumb
        blank = value[: len(value) - len(value.lstrip())]
        bare = value.strip()
        if not bare or not self.is_secret("cookie", name.strip()):
            return crumb
        inner = bare[1:-1] if len(bare) > 1 and bare[0] == bare[-1] == '"' else bare
        return f"{name}{equals}{blank}{self.mark(inner, *(() if inner == bare else (bare,)))}"

    def _part(self, match: Match, data: bytes) -> Edit | None:
        """A field of a form in parts (RFC 7578)."""
        if not self.is_secret("form", _text(match.group(1))):
            return None
        end = data.find(b"\r\n--", match.end())
        return self._whole(match.end(), len(data) if end < 0 else end, data)

    # ── others ─────────────────────────────────────────────────────────────────────────────────────

    def _said(self, data: bytes) -> bytes:
        """What explanations of rules and of misses quote."""

        def edits(match: Match) -> list[Edit]:
            words = _text(match.group(1)).split(" ")
            name = words[-1].rpartition(".")[2].strip("$[]'")
            if not self.is_secret("cookie" if len(words) > 1 else "header", name) and name.lower() not in AUTHORIZATION:
                return []
            if match.start(2) >= 0:
                return [(match.start(2), match.end(2), self._said_value(name, match.group(2)))]
            line = _TO_LINE_END.match(data, match.end())
            quoted = _WORDS_QUOTED.finditer(data, match.end(), line.end() if line else len(data))
            return [(one.start(1), one.end(1), self._said_value(name, one[1])) for one in quoted]

        return _apply(data, [edit for match in self._patterns.said.finditer(data) for edit in edits(match)])

    def _said_value(self, name: str, data: bytes) -> bytes:
        value = unescaped(data)
        if name.lower() in AUTHORIZATION:
            return _bytes(self._authorization(value))
        return self._marked(data, value)

    def _user(self, match: Match, data: bytes) -> Edit | None:
        """Name and password each have their own mark, so that the password's is that of other places."""
        if self._end_of_value(data, match.start(), match.start(1), match.end()) != match.end():
            return None
        parts = match.group(1).split(b":", 1)
        marked = [self._marked(part, _text(unquote_to_bytes(part))) for part in parts]
        return match.start(1), match.end(1), b":".join(marked)

    def _end_of_value(self, data: bytes, name: int, value: int, end: int) -> int:
        """Where a value ends that is named from `name` on, or -1 where name and value are there by chance."""
        if not self._is_binary:
            return end
        control = _CONTROL.search(data, name, end)
        end = control.start() if control else end
        try:
            data[value:end].decode()
        except UnicodeDecodeError as error:
            end = value + error.start
        return end if end - value >= _LEAST_IN_BYTES else -1

    def _whole(self, start: int, end: int, data: bytes) -> Edit:
        return start, end, self._marked(data[start:end], _text(data[start:end]))


def basic(secret: str) -> str | None:
    """`user:password` of Basic authentication (RFC 7617)."""
    import base64
    import binascii

    try:
        plain = base64.b64decode(secret.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return plain if ":" in plain else None


def unescaped(data: bytes) -> str:
    """The value of a string of JSON, without its quotes; as it is where it is none."""
    if b"\\" not in data:
        return _text(data)
    try:
        return str(orjson.loads(b'"' + data + b'"'))
    except orjson.JSONDecodeError:
        return _text(data)


def _edited(data: bytes, matches: Iterable[Match], edit: Callable[[Match, bytes], Edit | None]) -> bytes:
    edits = [edit(match, data) for match in matches]
    return _apply(data, [one for one in edits if one is not None])


def _apply(data: bytes, edits: Iterable[Edit]) -> bytes:
    """`edits` in the order of their beginnings; one that begins in another one is left out."""
    pieces: list[bytes] = []
    at = 0
    for start, end, mark in edits:
        if start >= at:
            pieces += (data[at:start], mark)
            at = end
    if not at:
        return data
    pieces.append(data[at:])
    return b"".join(pieces)


def _text(data: bytes) -> str:
    """Any bytes as text, and back by `_bytes`."""
    return data.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a surrogate pair
        return text.encode("utf-8", "surrogatepass")
