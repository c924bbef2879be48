"""Finds secrets in text of any kind, as bytes, and puts marks in their place: `"name": "value"`, `name=value`,
`Name: value`, userinfo in URLs, JWTs, private keys, known tokens. What is not secret stays byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from operator import itemgetter
from urllib.parse import unquote_plus, unquote_to_bytes

import orjson

from mockrec.engine.record.redact_edits import Edit, apply, edited
from mockrec.engine.record.redact_known import Known, bytes_of
from mockrec.engine.record.redact_marks import MARK, Marks
from mockrec.engine.record.redact_names import AUTHORIZATION
from mockrec.engine.record.redact_patterns import TOKEN, USER, Match, Patterns
from mockrec.engine.record.redact_selectors import ANYWHERE, Policy

_IN_STRING = rb'([^"\\]*+(?:\\(?:.|\Z)[^"\\]*+)*+)(?:"|\Z)'
_LIST_TOKEN = re.compile(rb'"' + _IN_STRING + rb"|[\[\]{}]", re.DOTALL)
_STRING = re.compile(_IN_STRING, re.DOTALL)
_COLON = re.compile(rb"\s*:")
_QUOTED = re.compile(rb"""(\\*)(["'])""")
_TO_AMPERSAND = re.compile(rb"[^&#\s\"'<>\\]*")
_TO_SPACE = re.compile(rb"[^&\s\"'<>\\]*")
_ENDS = b";,.)}]"  # of a sentence, or of what a value stands in
_TO_LINE_END = re.compile(rb"[^\r\n]*")
_WORD = re.compile(rb"[^\s\"',}]*")
_TO_QUOTE = re.compile(rb"[^\r\n\"']*")
_CONTROL = re.compile(rb"[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LEAST_IN_BYTES = 3
_LIST, _OBJECT, _QUOTE = b'[{"'
_WORDS_QUOTED = re.compile(rb'"' + _IN_STRING, re.DOTALL)


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
        return bytes_of(self.mark(value, seen))

    # ── texts ──────────────────────────────────────────────────────────────────────────────────────

    def string(self, text: str) -> str:
        """A text of which nothing is known."""
        data = bytes_of(text)
        if not (self._policy.texts or self._patterns.any.search(data)):
            return text
        redacted = self.free(data)
        return text if redacted == data else _text(redacted)

    def free(self, data: bytes, *, pairs: bool = True, lines: bool = True) -> bytes:
        """`pairs`: whether `name=value` is looked for, which code is full of; `lines`: `Name: value` too.

        Images and archives hold everything that is short, `sid=` as well, by chance; what follows then is no text.
        """
        self._is_binary = b"\0" in data
        data = edited(data, self._patterns.part, self._part)
        data = self.json(data)
        if pairs:
            data = self.pairs(data)
        if lines:
            data = edited(data, self._patterns.line, self._line)
            data = self._said(data)
        return self.patterns(data)

    def patterns(self, data: bytes) -> bytes:
        """What is a secret wherever it stands."""
        data = edited(data, USER, self._user)
        data = edited(data, TOKEN, lambda found, data: self._whole(found.start(), found.end(), data))
        for one, expression in self._policy.texts:
            if one.of(self.side):
                text = expression.sub(lambda found: self.mark(found[0]), _text(data))
                data = bytes_of(text)
        return data

    # ── "name": "value" ────────────────────────────────────────────────────────────────────────────

    def json(self, data: bytes, edits: Iterable[Edit] = (), kept: frozenset[int] = frozenset()) -> bytes:
        """Strings under secret names, also in lists; in JSON that is cut, in lines of JSON, in JSON inside strings.

        `edits` are made as well; strings that begin at `kept` stay.
        """
        found: list[Edit] = list(edits)
        at, search = 0, self._patterns.json.search
        while (match := search(data, at)) is not None:
            at = self._json_value(match, data, kept, found)
        found.sort(key=itemgetter(0))
        return apply(data, found)

    def _json_value(self, match: Match, data: bytes, kept: frozenset[int], found: list[Edit]) -> int:
        """Add the edits of one value; where to go on."""
        slashes, start = match.group(1), match.end()
        if match.group(3) != slashes or not self.is_secret("json", _text(match.group(2))):
            return start
        if slashes:
            return self._escaped_value(slashes, start, data, found)
        opening = data[start : start + 1]
        if opening == b"[":
            return self._json_list(start, data, kept, found)
        if opening != b'"' or start + 1 in kept:
            return start
        string = _STRING.match(data, start + 1)
        assert string is not None  # it matches nothing, too
        found.append(self._json_string(string))
        return string.end()

    def _json_string(self, string: re.Match[bytes]) -> Edit:
        return string.start(1), string.end(1), self._marked(string[1], unescaped(string[1]))

    def _json_list(self, start: int, data: bytes, kept: frozenset[int], found: list[Edit]) -> int:
        """A list of secrets, up to its end, and what else is secret in it: objects in it have names of their own."""
        is_secret: list[bool] = []
        """For each list and object around, whether its strings are."""
        is_named = True
        """Whether the value that comes next has a secret name."""
        for token in _LIST_TOKEN.finditer(data, start):
            sign = data[token.start()]
            if sign == _LIST:
                is_secret.append(is_named or is_secret[-1])
                is_named = False
            elif sign == _OBJECT:
                is_secret.append(False)
                is_named = False
            elif sign != _QUOTE:
                is_secret.pop()
                if not is_secret:
                    return token.end()
            elif is_secret[-1]:
                if token.start(1) not in kept:
                    found.append(self._json_string(token))
            elif _COLON.match(data, token.end()):
                is_named = self.is_secret("json", unescaped(token[1]))
            elif is_named:
                is_named = False
                if token.start(1) not in kept:
                    found.append(self._json_string(token))
        return len(data)

    def _escaped_value(self, slashes: bytes, start: int, data: bytes, found: list[Edit]) -> int:
        """JSON in a string of JSON: each of its quotes stands behind so many backslashes."""
        quote = slashes + b'"'
        if not data.startswith(quote, start):
            return start
        start += len(quote)
        end = data.find(quote, start)
        while end > 0 and data[end - 1 : end] == b"\\":
            end = data.find(quote, end + 1)
        end = len(data) if end < 0 else end
        value = _text(data[start:end])
        for _ in range(len(slashes).bit_length() + 1):
            value = unescaped(bytes_of(value))
        found.append((start, end, self._marked(data[start:end], value)))
        return end

    # ── name=value ─────────────────────────────────────────────────────────────────────────────────

    def pairs(self, data: bytes, *, form: bool = False) -> bytes:
        """Values of queries, forms, options and messages. `form`: nothing else is in it."""
        return edited(data, self._patterns.pair, self._form_value if form else self._pair_value)

    def _form_value(self, match: Match, data: bytes) -> Edit | None:
        if not self._names("form", match):
            return None
        end = data.find(b"&", match.end())
        return self._value("form", match.end(), len(data) if end < 0 else end, data)

    def _pair_value(self, match: Match, data: bytes) -> Edit | None:
        start = match.end()
        is_query = data[match.start() - 1 : match.start()] in (b"?", b"&")
        place = "query" if is_query else ANYWHERE
        if not self._names(place, match):
            return None
        limit = self._text_end(data, match.start(), start)
        if is_query:
            found = _TO_AMPERSAND.match(data, start, limit)
            assert found is not None  # it matches nothing, too
            return self._value(place, start, found.end(), data)
        quoted = _QUOTED.match(data, start, limit)
        if quoted is not None:
            end = data.find(quoted[0], quoted.end(), limit)
            return self._value(place, quoted.end(), limit if end < 0 else end, data)
        found = _TO_SPACE.match(data, start, limit)
        assert found is not None
        return self._value(place, start, start + len(found[0].rstrip(_ENDS)), data)

    def _names(self, place: str, match: Match) -> bool:
        return self.is_secret(place, unquote_plus(_text(match.group(1))))

    def _value(self, place: str, start: int, end: int, data: bytes) -> Edit | None:
        if self._is_binary and end - start < _LEAST_IN_BYTES:
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
        at_line = before in (b"\n", b"") and data[match.start(1) - 1 : match.start(1)] in (b"\n", b"")
        if data.startswith(b"expected ", start):
            return None  # see `_said`
        limit = self._text_end(data, match.start(), start)
        quoted = _QUOTED.match(data, start, limit)
        if quoted is not None:
            start, end = quoted.end(), data.find(quoted[0], quoted.end(), limit)
            end = limit if end < 0 else end
        else:
            found = (_TO_LINE_END if at_line else _TO_QUOTE if is_head else _WORD).match(data, start, limit)
            assert found is not None
            end = found.end()
        if self._is_binary and end - start < _LEAST_IN_BYTES:
            return None
        value = data[start:end].rstrip()
        return start, start + len(value), bytes_of(self.header(name, _text(value)))

    def header(self, name: str, value: str) -> str:
        """The value of a header field; `name` in lower case."""
        if self._policy.keeps("header", name, self.side):
            return value
        if name in AUTHORIZATION:
            return self._authorization(value)
        if name == "cookie":
            return ";".join([self._cookie(crumb) for crumb in value.split(";")])
        if name == "set-cookie":
            first, semicolon, attributes = value.partition(";")
            return self._cookie(first) + semicolon + attributes
        return self.mark(value) if self.is_secret("header", name) else self.string(value)

    def _authorization(self, value: str) -> str:
        scheme, space, secret = value.partition(" ")
        if not secret.strip():
            return self.mark(value)
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

        found: list[Edit] = []
        at, search = 0, self._patterns.said.search
        while (match := search(data, at)) is not None:
            at = match.end()
            words = _text(match.group(1)).split(" ")
            name = words[-1].rpartition(".")[2].strip("$[]'")
            if not self.is_secret("cookie" if len(words) > 1 else "header", name) and name.lower() not in AUTHORIZATION:
                continue
            if match.start(2) >= 0:
                found.append((match.start(2), match.end(2), self._said_value(name, match.group(2))))
                continue
            line = _TO_LINE_END.match(data, at)
            assert line is not None
            found += [
                (quoted.start(1), quoted.end(1), self._said_value(name, quoted[1]))
                for quoted in _WORDS_QUOTED.finditer(data, at, line.end())
            ]
            at = line.end()
        return apply(data, found)

    def _said_value(self, name: str, data: bytes) -> bytes:
        value = unescaped(data)
        if name.lower() in AUTHORIZATION:
            return bytes_of(self._authorization(value))
        return self._marked(data, value)

    def _user(self, match: Match, data: bytes) -> Edit | None:
        """Name and password each have their own mark, so that the password's is that of other places."""
        if self._text_end(data, match.start(), match.start(1), match.end()) < match.end():
            return None
        if self._is_binary and match.end() - match.start(1) < _LEAST_IN_BYTES:
            return None
        parts = match.group(1).split(b":", 1)
        marked = [self._marked(part, _text(unquote_to_bytes(part))) for part in parts]
        return match.start(1), match.end(1), b":".join(marked)

    def _text_end(self, data: bytes, name: int, value: int, most: int | None = None) -> int:
        """Where a value ends at the latest that is named from `name` on, before `most`: among bytes that are no text, a
        text ends with the first of them. `value` itself where name and value are there by chance."""
        end = len(data) if most is None else most
        if not self._is_binary:
            return end
        if _CONTROL.search(data, name, value):
            return value
        # Piece by piece, so that it takes no longer than the text is.
        start, size = value, 64
        while start < end:
            piece = data[start : min(end, start + size)]
            control = _CONTROL.search(piece)
            text = piece if control is None else piece[: control.start()]
            try:
                text.decode()
            except UnicodeDecodeError as error:
                if control is not None or error.end < len(text) or start + len(text) == end:
                    return start + error.start
                text = text[: error.start]  # a character goes on in the next piece
            if control is not None:
                return start + len(text)
            start += len(text)
            size *= 2
        return end

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


def _text(data: bytes) -> str:
    """Any bytes as text, and back by `_bytes`."""
    return data.decode("utf-8", "surrogateescape")
