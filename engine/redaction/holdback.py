"""Streaming redaction: a body is cut only where no secret is cut. A tail that may be the beginning of a secret is held
back for the next piece. UTF-16 and UTF-32 are cut between characters and searched as UTF-8."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Collection
from typing import Any, Final

from mockrec.engine.redaction.markup import open_tag
from mockrec.engine.redaction.patterns import RegexMatch
from mockrec.engine.redaction.wide_text import DECISIVE_BYTES, coding_of, encoded, is_undecided
from mockrec.formats.text.late_regex import late_regex

MOST_HELD: Final = 1024 * 1024
"""Bytes that are held back at most: a longer value is released in parts."""
_NAME = 4096
"""Bytes after the last separator that may be the beginning of a name or token; longer ones are not searched for."""
_SEPARATORS = (b"\n", b"&", b",", b"}", b">")
_OPENING = late_regex(rb'\s*(?:(\\*)"|(\[)|)')
_LIST = late_regex(rb"[^\]]*\]")
_WORD = late_regex(rb'[^\r\n&",;}\]]*[\r\n&",;}\]]')
_LINE = late_regex(rb"[^\n]*\n")
_STRING = late_regex(rb'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_TOKEN = late_regex(rb"[A-Za-z0-9_.=/+-]*[^A-Za-z0-9_.=/+-]")
_KEY_END = b"PRIVATE KEY-----"
_BACKSLASH = ord("\\")
_RUN = late_regex(rb"[A-Za-z0-9_.~=/+%\\-]+\Z")
_PLAIN_RUN = late_regex(rb"[A-Za-z]?[a-z]{0,11}|[0-9]{1,6}")
"""A run of letters or digits that may be released at the end: no token is recognised by a run as short as this."""
_USER = late_regex(rb"[^\s\"'<>@]*[:@%][^\s\"'<>]*\Z")
"""The beginning of what may be a user and a password, which are recognised only by the `@` after them."""
_CUT_CHARACTER = late_regex(rb"(?:[\xc2-\xf4]|[\xe0-\xf4][\x80-\xbf]|[\xf0-\xf4][\x80-\xbf]{2})\Z")
_MOST_KNOWN: Final = 500
"""Known secrets with which the end of a text is compared; with more, nothing is released early."""


class HoldBack:
    """Holds back the end of a body in pieces until it can be redacted on its own."""

    __slots__ = ("_any", "_coding", "_decoder", "_early", "_fresh", "_held", "_known", "_rest", "_size", "before")

    def __init__(self, any_secret: Any, known: Callable[[], Collection[str]] = tuple) -> None:
        """`any_secret`: the expression that matches in every text with a secret; `known` returns the secrets of the
        session."""
        self._any = any_secret
        self._known = known
        self.before = b""
        """The text before the last released piece, if that was released early: the two have to be searched together."""
        self._early = b""
        """The text before `_held` that was released early."""
        self._held = b""
        """Held back, and searched already."""
        self._fresh: list[bytes] = []
        """Pieces received since that search."""
        self._size = 0
        self._coding: str | None = None
        self._decoder: codecs.IncrementalDecoder | None = None
        self._rest = b""
        """The first bytes, while they are too few to detect the coding."""

    @property
    def coding(self) -> str:
        """The coding of the released pieces: UTF-16, UTF-32, or empty."""
        return self._coding or ""

    def feed(self, data: bytes) -> bytes:
        """Take the next piece; return what of all pieces so far can be redacted on its own."""
        if self._coding != "":
            return self._feed_coded(data)
        return self._feed(data)

    def _feed_coded(self, data: bytes) -> bytes:
        if self._coding is None:
            data, self._rest = self._rest + data, b""
            if is_undecided(data):
                self._rest = data
                return b""
            self._coding = coding_of(data, is_whole=False)
            if not self._coding:
                return self._feed(data)
            self._decoder = codecs.getincrementaldecoder(self._coding)("surrogatepass")
        if self._decoder is None:
            return data
        before = self._decoder.getstate()[0]
        try:
            text = self._decoder.decode(data)
        except UnicodeDecodeError as error:
            # The position in `error` includes the bytes that the decoder had buffered.
            data = before + data
            text = data[: error.start].decode(self.coding, "surrogatepass")
            self._decoder = None
            return (
                self._in_coding(self._feed(text.encode("utf-8", "surrogatepass")) + self._end()) + data[error.start :]
            )
        return self._in_coding(self._feed(text.encode("utf-8", "surrogatepass")))

    def _in_coding(self, text: bytes) -> bytes:
        return encoded(text, self.coding) if self._coding else text

    def _feed(self, data: bytes) -> bytes:
        self._fresh.append(data)
        self._size += len(data)
        # The held text is searched again only when it has doubled: small pieces cost two searches of the whole at most.
        if self._size < len(self._held) and len(self._held) + self._size <= MOST_HELD:
            return b""
        held = self._end()
        cut = max(0, self._cut(self.before + held) - len(self.before))
        self._held = held[cut:]
        self._early = b"" if cut else self.before
        return held[:cut]

    def release(self, known: Collection[str] = ()) -> bytes:
        """Release early, because no piece has arrived for a while: return everything but what may be the beginning of a
        secret. `known`: the secrets of the exchange.

        A name that is released early is searched again with the value that follows it (`before`).
        """
        if self._coding != "":
            return b""  # too few bytes to detect the coding, or UTF-16 or UTF-32
        held = self._end()
        text, start = self.before + held, len(self.before)
        cut, safe = self._early_cut(text, (*self._known(), *known))
        cut = max(cut, start)
        self._held = text[cut:]
        self._early = text[max(safe, cut - _NAME) : cut]
        return text[start:cut]

    def _early_cut(self, text: bytes, known: Collection[str]) -> tuple[int, int]:
        """Return where a text may be cut in the middle of a line, and where the part before the cut begins that has to
        be searched again with what follows."""
        if len(known) > _MOST_KNOWN:
            return 0, 0
        run = _RUN.search(text)
        cut = len(text) if run is None or _PLAIN_RUN.fullmatch(run[0]) else run.start()
        user = _USER.search(text, max(0, len(text) - _NAME))
        cut = cut if user is None else min(cut, user.start())
        ends, safe = _Ends(text), 0
        for match in self._any.finditer(text):
            end = ends.of(match)
            if not 0 <= end <= cut:
                cut = min(cut, match.start())
                break
            safe = end
        secrets = [value.encode("utf-8", "surrogatepass") for value in known]
        begun = max((_overlap(text[:cut], secret) for secret in secrets), default=0)
        half = _CUT_CHARACTER.search(text[:cut])
        cut -= max(begun, 0 if half is None else len(half[0]))
        cut = open_tag(text, cut)
        return cut, min(safe, cut)

    def is_coded(self, data: bytes) -> bool:
        """Return whether the next piece is, or may be, in UTF-16 or UTF-32, which the expressions do not search."""
        if self._coding is None:
            begin = (self._rest + data)[:DECISIVE_BYTES]
            return len(begin) < DECISIVE_BYTES or coding_of(begin, is_whole=False) != ""
        return self._coding != ""

    @property
    def size(self) -> int:
        """Bytes that are held back."""
        return len(self._held) + self._size + len(self._rest)

    def end(self) -> bytes:
        """The body is complete: return the rest."""
        rest, self._rest = self._rest, b""
        if self._decoder is not None:
            rest += self._decoder.getstate()[0]  # a part of a character
            self._decoder.reset()
        return self._in_coding(self._end()) + rest

    def _end(self) -> bytes:
        held = b"".join((self._held, *self._fresh))
        self._held, self._fresh, self._size = b"", [], 0
        self.before, self._early = self._early, b""
        return held

    def _cut(self, held: bytes) -> int:
        near = max(0, len(held) - _NAME)
        cut = max(held.rfind(separator, near) + 1 for separator in _SEPARATORS) or near
        if len(held) > MOST_HELD:
            return cut
        cut = open_tag(held, cut)
        ends = _Ends(held)
        for match in self._any.finditer(held):
            if match.start() >= cut:
                break
            if not 0 <= ends.of(match) <= cut:
                # The name may begin before the match.
                before = max(held.rfind(separator, 0, match.start()) + 1 for separator in _SEPARATORS)
                return open_tag(held, before)
        return cut


def _overlap(text: bytes, secret: bytes) -> int:
    """Return the number of bytes at the end of a text that are the beginning of a secret."""
    for size in range(min(len(secret) - 1, len(text)), 0, -1):
        if text.endswith(secret[:size]):
            return size
    return 0


class _Ends:
    """Finds where values end, in a text that is searched from left to right. An end that many values share is searched
    once: a value that begins before the end of another value of its kind ends there as well."""

    def __init__(self, held: bytes) -> None:
        self._held = held
        self._known: dict[object, int] = {}

    def of(self, match: RegexMatch) -> int:
        """Return where the value that belongs to a match ends; -1 if its end has not arrived."""
        found, held, at = match.group(0), self._held, match.end()
        if found.startswith(b"-----BEGIN"):
            own = held.find(_KEY_END, match.start())
            end = self._found(_KEY_END, own + 1) if own >= 0 else -1
            return end + len(_KEY_END) if end >= 0 else -1
        if found.endswith(b"\n"):
            end = self._found(b"\n--", at)
            return end + 3 if end >= 0 else -1
        if found.endswith(b"@"):
            return at
        if found[-1:] in (b"=", b":", b'"', b"/"):
            is_line = found.endswith(b":") and b'"' not in found  # a field of a head ends with its line
            return self._value_end(at, _LINE if is_line else _WORD)
        return self._matched(_TOKEN, at)

    def _value_end(self, start: int, bare: re.Pattern[bytes]) -> int:
        """Return where the value that begins at `start` ends; `bare` matches one without quotes."""
        opening = _OPENING.match(self._held, start)
        assert opening is not None  # it matches the empty string too
        start = opening.end()
        if opening[1]:  # JSON in a JSON string
            quote = opening[1] + b'"'
            end = self._found(quote, start)
            return end + len(quote) if end >= 0 else -1
        return self._matched(_STRING if opening[1] is not None else _LIST if opening[2] else bare, start)

    def _matched(self, kind: re.Pattern[bytes], start: int) -> int:
        known = self._known.get(kind, 0)
        if known < 0 or known > start:
            return known
        closed = kind.match(self._held, start)
        end = self._known[kind] = closed.end() if closed is not None else -1
        return end

    def _found(self, sign: bytes, start: int) -> int:
        """Return where `sign` is next, ignoring those that follow a backslash."""
        known = self._known.get(sign, 0)
        if known < 0 or known > start:
            return known
        end = self._held.find(sign, start)
        while end > 0 and self._held[end - 1] == _BACKSLASH:
            end = self._held.find(sign, end + 1)
        self._known[sign] = end
        return end
