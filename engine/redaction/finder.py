"""The search for secrets in bytes of any kind, which replaces them by placeholders: `"name": "value"`, `name=value`,
`Name: value`, userinfo in URLs, JWTs, private keys, tokens of known kinds. Everything else stays byte for byte.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable
from functools import partial
from operator import itemgetter
from urllib.parse import unquote_plus, unquote_to_bytes

from mockrec.engine.redaction.edits import Edit, apply, find_edits
from mockrec.engine.redaction.escapes import Unescaped
from mockrec.engine.redaction.head_syntax import basic_credentials, each_cookie, split_scheme
from mockrec.engine.redaction.json_strings import IN_STRING, STRING, Strings, text_of, unescaped
from mockrec.engine.redaction.markup import is_meta, named_value, open_tag
from mockrec.engine.redaction.names import AUTHORIZATION
from mockrec.engine.redaction.patterns import TOKEN, USER, Patterns, RegexMatch
from mockrec.engine.redaction.placeholders import PLACEHOLDER, Placeholders
from mockrec.engine.redaction.policy import ANYWHERE, Policy
from mockrec.engine.redaction.secret_map import SecretMap, bytes_of
from mockrec.formats.text.late_regex import late_regex

_IN_SINGLE = late_regex(rb"([^'\\]*+(?:\\(?:.|\Z)[^'\\]*+)*+)(?:'|\Z)", re.DOTALL)
_BLANKS = late_regex(rb"[ \t]*")
_CDATA = b"<![CDATA["
_DEEPEST = 3
"""How many times a text may be escaped."""
_QUOTED = late_regex(rb"""(\\*)(["'])""")
_TO_AMPERSAND = late_regex(rb"[^&#\s\"'<>\\]*")
_TO_SPACE = late_regex(rb"[^&\s\"'<>\\]*")
_ENDS = b";,.)}]"  # the punctuation after a value: of a sentence, or a closing bracket
_TO_LINE_END = late_regex(rb"[^\r\n]*")
_WORD = late_regex(rb"[^\s\"',}]*")
_TO_QUOTE = late_regex(rb"(?:=\"[^\r\n\"]*\"|[^\r\n\"'])*")
_CONTROL = late_regex(rb"[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LEAST_IN_BYTES = 3
_NO_UTF8 = late_regex("([\ud800-\udfff]+)")
_WORDS_QUOTED = late_regex(rb'"' + IN_STRING, re.DOTALL)


class SecretFinder:
    """Redacts one record or body, and adds the secrets that it replaces to `found`."""

    __slots__ = ("_is_binary", "_patterns", "_placeholders", "_policy", "found", "side")

    def __init__(
        self, policy: Policy, placeholders: Placeholders, patterns: Patterns, found: SecretMap, side: str
    ) -> None:
        """`side` is `request`, `response`, or empty."""
        self._policy = policy
        self._placeholders = placeholders
        self._patterns = patterns
        self.found = found
        self.side = side
        self._is_binary = False

    # ── values ─────────────────────────────────────────────────────────────────────────────────────

    def is_secret(self, place: str, name: str) -> bool:
        """See `Policy.is_secret`."""
        return self._policy.is_secret(place, name, self.side)

    def placeholder(self, value: str, *seen: str) -> str:
        """Return the placeholder of a secret, and remember the secret. `seen` is the form in which it was found, if it
        is another. Placeholders and values that the policy keeps are returned as they are."""
        if not value or PLACEHOLDER.fullmatch(value) or self._policy.keeps_value(value, self.side):
            return seen[0] if seen else value
        placeholder = self._placeholders.of(value)
        self.found.count += 1
        self.found.add((value, *seen), placeholder)
        return placeholder

    def placeholder_for(self, data: bytes, value: str) -> bytes:
        """Return the placeholder of a secret that was found in the form `data`."""
        seen = text_of(data)
        return bytes_of(self.placeholder(value, seen))

    # ── texts ──────────────────────────────────────────────────────────────────────────────────────

    def string(self, text: str) -> str:
        """Redact a text of unknown content."""
        data = bytes_of(text)
        if not (self._policy.texts or self._patterns.any.search(data)):
            return text
        redacted = self.any_bytes(data)
        return text if redacted == data else text_of(redacted)

    def any_bytes(self, data: bytes, *, pairs: bool = True, lines: bool = True) -> bytes:
        """Redact bytes of unknown content. `pairs`: search for `name=value`, which is common in code; `lines`: search
        for `Name: value` too.

        Images and archives contain every short sequence, such as `sid=`, by chance; no text follows it there.
        """
        self._is_binary = b"\0" in data
        for edits in self._passes(pairs=pairs, lines=lines):
            data = apply(data, edits(data))
        return self.escaped(self.patterns(data), pairs=pairs, lines=lines)

    def _passes(self, *, pairs: bool, lines: bool) -> list[Callable[[bytes], list[Edit]]]:
        """Return the searches, in their order."""
        patterns = self._patterns
        passes: list[Callable[[bytes], list[Edit]]] = [
            lambda data: find_edits(data, patterns.part, self._part),
            lambda data: self._json_edits(data, (), frozenset()),
            lambda data: find_edits(data, patterns.quoted, self._quoted_value),
            lambda data: find_edits(data, patterns.element, self._element),
            self._tags,
        ]
        if pairs:
            passes.append(lambda data: find_edits(data, patterns.pair, self._pair_value))
        if lines:
            passes += [lambda data: find_edits(data, patterns.line, self._line), self._explanations]
        return passes

    def escaped(self, data: bytes, *, pairs: bool = True, lines: bool = False, has_plus: bool = False) -> bytes:
        """Redact what is escaped as in URLs, JSON or HTML: a URL in a query, JSON in a form, a name that is escaped to
        hide it. `has_plus`: `+` is a space."""
        for depth in range(_DEEPEST):
            if b"%" not in data and b"\\" not in data and b"&" not in data:
                return data
            text: Unescaped | None = Unescaped.of(data, has_plus=has_plus)
            for _ in range(depth):
                text = text.again() if text is not None else None
            if text is None or not text.is_other:
                return data
            if self._patterns.any.search(text.data) is None:
                continue
            edits: list[Edit] = []
            for one in self._passes(pairs=pairs, lines=lines):
                edits += one(text.data)
            edits += self._tokens(text.data)
            raw = [
                (*text.raw(start, end), placeholder)
                for start, end, placeholder in edits
                if text.data[start:end] != placeholder
            ]
            raw.sort(key=itemgetter(0))
            data = apply(data, raw)
        return data

    def patterns(self, data: bytes) -> bytes:
        """Redact what is a secret without a name: userinfo, tokens, matches of the policy's expressions."""
        data = apply(data, find_edits(data, USER, self._user))
        data = apply(data, [self._whole(token.start(), token.end(), data) for token in TOKEN.finditer(data)])
        for one, expression in self._policy.texts:
            if one.is_about(self.side):
                # RE2 takes no text with bytes that are not UTF-8: what is between them is searched.
                parts = _NO_UTF8.split(text_of(data))
                parts[::2] = [expression.sub(lambda found: self.placeholder(found[0]), part) for part in parts[::2]]
                data = bytes_of("".join(parts))
        return data

    def _tokens(self, data: bytes) -> list[Edit]:
        users = find_edits(data, USER, self._user)
        return users + [self._whole(token.start(), token.end(), data) for token in TOKEN.finditer(data)]

    # ── "name": "value" ────────────────────────────────────────────────────────────────────────────

    def json(self, data: bytes, edits: Iterable[Edit] = (), kept: frozenset[int] = frozenset()) -> bytes:
        """Redact strings under secret names, also in lists, truncated JSON, JSON Lines, and JSON inside strings.

        `edits` are applied too; strings that begin at one of `kept` stay.
        """
        return apply(data, self._json_edits(data, edits, kept))

    def _json_edits(self, data: bytes, edits: Iterable[Edit], kept: frozenset[int]) -> list[Edit]:
        strings = Strings(self._patterns.json, partial(self.is_secret, "json"), self.placeholder_for, kept)
        return sorted((*edits, *strings.edits(data)), key=itemgetter(0))

    # ── name=value ─────────────────────────────────────────────────────────────────────────────────

    def pairs(self, data: bytes, *, form: bool = False) -> bytes:
        """Redact values in queries, forms, options and messages. `form`: the whole text is a form."""
        return apply(data, find_edits(data, self._patterns.pair, self._form_value if form else self._pair_value))

    def _form_value(self, match: RegexMatch, data: bytes) -> Edit | None:
        if not self._names("form", match):
            return None
        end = data.find(b"&", match.end())
        return self._value("form", match.end(), len(data) if end < 0 else end, data)

    def _pair_value(self, match: RegexMatch, data: bytes) -> Edit | None:
        start = match.end()
        is_query = data[match.start() - 1 : match.start()] in (b"?", b"&")
        place = "query" if is_query else ANYWHERE
        if not self._names(place, match):
            return None
        limit = self._text_end(data, match.start(), start)
        if data[start - 2 : start - 1] in (b" ", b"\t") or data[match.start() - 1 : match.start()] in (b"\n", b""):
            start = _BLANKS.match(data, start, limit).end()  # type: ignore[union-attr]
        if is_query:
            found = _TO_AMPERSAND.match(data, start, limit)
            assert found is not None  # it matches the empty string too
            return self._value(place, start, found.end(), data)
        quoted = _QUOTED.match(data, start, limit)
        if quoted is not None:
            end = data.find(quoted[0], quoted.end(), limit)
            return self._value(place, quoted.end(), limit if end < 0 else end, data)
        found = _TO_SPACE.match(data, start, limit)
        assert found is not None
        return self._value(place, start, start + len(found[0].rstrip(_ENDS)), data)

    def _names(self, place: str, match: RegexMatch) -> bool:
        return self.is_secret(place, unquote_plus(text_of(match.group(1))))

    def _value(self, place: str, start: int, end: int, data: bytes) -> Edit | None:
        if self._is_binary and end - start < _LEAST_IN_BYTES:
            return None
        seen = data[start:end]
        value = seen
        if place != ANYWHERE:
            value = value.replace(b"+", b" ")
        return start, end, self.placeholder_for(seen, text_of(unquote_to_bytes(value)))

    # ── Name: value ────────────────────────────────────────────────────────────────────────────────

    def _line(self, match: RegexMatch, data: bytes) -> Edit | None:
        name, start = text_of(match.group(1)).lower(), match.end()
        is_head = name in AUTHORIZATION or name in ("cookie", "set-cookie")
        if not is_head and not self.is_secret("header", name):
            return None
        before = data[match.start() : match.start(1)]
        at_line = before.strip(b" \t") in (b"\n", b"") and data[match.start(1) - 1 : match.start(1)] in (b"\n", b"")
        if data.startswith(b"expected ", start):
            return None  # see `_explanations`
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
        return start, start + len(value), bytes_of(self.header(name, text_of(value)))

    def header(self, name: str, value: str) -> str:
        """Redact the value of a header field; `name` is in lower case."""
        name = name.strip()  # as received: `Authorization : Bearer x`
        if self._policy.keeps("header", name, self.side):
            return value
        if name in AUTHORIZATION:
            return self._authorization(value)
        if name == "cookie":
            return ";".join([self._cookie(crumb) for crumb in value.split(";")])
        if name == "set-cookie":
            return each_cookie(value, self._cookie)
        return self.placeholder(value) if self.is_secret("header", name) else self.string(value)

    def _authorization(self, value: str) -> str:
        scheme, space, secret = split_scheme(value)
        plain = basic_credentials(secret) if scheme.lower() == "basic" else None
        if plain is None:
            return f"{scheme}{space}{self.placeholder(secret)}"
        placeholder = self.placeholder(plain, secret)
        if placeholder != secret:
            # The password may appear elsewhere, with a placeholder of its own.
            password = plain.partition(":")[2]
            if password:
                self.found.add((password,), self._placeholders.of(password))
        return f"{scheme}{space}{placeholder}"

    def _cookie(self, crumb: str) -> str:
        name, equals, value = crumb.partition("=")
        if not equals:
            name, value = "", crumb
        blank = value[: len(value) - len(value.lstrip())]
        bare = value.strip()
        if not bare or not self.is_secret("cookie", name.strip()):
            return crumb
        inner = bare[1:-1] if len(bare) > 1 and bare[0] == bare[-1] == '"' else bare
        return f"{name}{equals}{blank}{self.placeholder(inner, *(() if inner == bare else (bare,)))}"

    def _part(self, match: RegexMatch, data: bytes) -> Edit | None:
        """A field of a multipart form (RFC 7578)."""
        if not self.is_secret("form", text_of(match.group(1) or match.group(2))):
            return None
        end = data.find(b"\n--", match.end() - 1)
        end = len(data) if end < 0 else max(end - (data[end - 1 : end] == b"\r"), match.end())
        return self._whole(match.end(), end, data)

    def _quoted_value(self, match: RegexMatch, data: bytes) -> Edit | None:
        """`'name': 'value'` as in Python, Ruby and PHP, `name: "value"` as in GraphQL."""
        if not self.is_secret("json", text_of(match.group(1) or match.group(2))):
            return None
        quote = data[match.end() - 1 : match.end()]
        string = (_IN_SINGLE if quote == b"'" else STRING).match(data, match.end())
        assert string is not None  # it matches the empty string too
        return string.start(1), string.end(1), self.placeholder_for(string[1], unescaped(string[1]))

    def _element(self, match: RegexMatch, data: bytes) -> Edit | None:
        """`<name>value</name>`, with CDATA or without."""
        start = match.end()
        if data[start - 2 : start - 1] == b"/" or not self.is_secret("json", text_of(match.group(1))):
            return None
        sign = b"<"
        if data.startswith(_CDATA, start):
            start, sign = start + len(_CDATA), b"]]>"
        end = data.find(sign, start)
        value = data[start : len(data) if end < 0 else end]
        start += len(value) - len(value.lstrip())
        value = value.strip()
        return (
            (start, start + len(value), self.placeholder_for(value, html.unescape(text_of(value)))) if value else None
        )

    def _tags(self, data: bytes) -> list[Edit]:
        """`<input name="…" value="…">`, in any order and with any quotes; the last tag may be truncated."""
        edits = find_edits(data, self._patterns.tag, lambda match, _: self._tag(match.group(0), match.start()))
        start = open_tag(data, len(data))
        last = self._tag(data[start:], start) if start < len(data) else None
        return [*edits, last] if last is not None else edits

    def _tag(self, tag: bytes, at: int) -> Edit | None:
        """Return the edit of a tag that begins at `at`."""
        names, is_password, span = named_value(tag)
        if span is None or span[0] == span[1]:
            return None
        place = ANYWHERE if is_meta(tag) else "form"
        if not is_password and not any(self.is_secret(place, html.unescape(text_of(name))) for name in names):
            return None
        value = tag[slice(*span)]
        return at + span[0], at + span[1], self.placeholder_for(value, html.unescape(text_of(value)))

    # ── explanations, URLs, tokens ─────────────────────────────────────────────────────────────────

    def _explanations(self, data: bytes) -> list[Edit]:
        """Values that explanations of rules and of unmatched requests quote."""
        found: list[Edit] = []
        at, search = 0, self._patterns.explanation.search
        while (match := search(data, at)) is not None:
            at = match.end()
            words = text_of(match.group(1)).split(" ")
            name = words[-1].rpartition(".")[2].strip("$[]'")
            if not self.is_secret("cookie" if len(words) > 1 else "header", name) and name.lower() not in AUTHORIZATION:
                continue
            if match.start(2) >= 0:
                found.append((match.start(2), match.end(2), self._explained_value(name, match.group(2))))
                continue
            line = _TO_LINE_END.match(data, at)
            assert line is not None
            found += [
                (quoted.start(1), quoted.end(1), self._explained_value(name, quoted[1]))
                for quoted in _WORDS_QUOTED.finditer(data, at, line.end())
            ]
            at = line.end()
        return found

    def _explained_value(self, name: str, data: bytes) -> bytes:
        value = unescaped(data)
        if name.lower() in AUTHORIZATION:
            return bytes_of(self._authorization(value))
        return self.placeholder_for(data, value)

    def _user(self, match: RegexMatch, data: bytes) -> Edit | None:
        """User name and password have a placeholder each, so that the password has the same one as elsewhere."""
        if self._text_end(data, match.start(), match.start(1), match.end()) < match.end():
            return None
        if self._is_binary and match.end() - match.start(1) < _LEAST_IN_BYTES:
            return None
        parts = match.group(1).split(b":", 1)
        replaced = [self.placeholder_for(part, text_of(unquote_to_bytes(part))) for part in parts]
        return match.start(1), match.end(1), b":".join(replaced)

    def _text_end(self, data: bytes, name: int, value: int, most: int | None = None) -> int:
        """Return the limit of the value that begins at `value`, whose name begins at `name`; `most` at most. In binary
        data, a text ends before the first byte that is not text. `value` itself if the name is there by chance."""
        end = len(data) if most is None else most
        if not self._is_binary:
            return end
        if _CONTROL.search(data, name, value):
            return value
        # Piece by piece, so that the time grows with the text only, not with the data after it.
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
                text = text[: error.start]  # a character continues in the next piece
            if control is not None:
                return start + len(text)
            start += len(text)
            size *= 2
        return end

    def _whole(self, start: int, end: int, data: bytes) -> Edit:
        return start, end, self.placeholder_for(data[start:end], text_of(data[start:end]))
