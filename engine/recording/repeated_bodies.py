"""The encoded log forms of bodies that come again: fixtures that a test posts each time, pages that a server repeats.

Searching 100 KiB for secrets and encoding them as JSON text takes longer than sending them. A body that equals an
earlier one needs neither: comparing the two takes a hundredth of that.
"""

from __future__ import annotations

from typing import Any, Final

from mockrec.engine.bounded_cache import comes_again
from mockrec.engine.message.body import MessageBody
from mockrec.engine.recording.body_encoder import BodyEncoder
from mockrec.engine.recording.body_files import INLINE_BYTES
from mockrec.engine.redaction.backlog import TooMuch
from mockrec.engine.redaction.secret_map import SecretMap
from mockrec.engine.redaction.secret_scope import DetachedScope
from mockrec.formats.files.jsonl import encode_value

_ENDS: Final = 48
"""Bytes at either end of a body by which it is looked up, so that a new one is recognised without reading all of it."""
_MOST_SEEN: Final = 4096
_MOST_BYTES: Final = 8 * 1024 * 1024
"""Of all bodies and their log forms together."""
_LARGEST: Final = 1024 * 1024
"""Bytes of a body and its log form: a control character takes six bytes there."""
_OF_ONE_EXCHANGE: Final = frozenset({"redacted", "truncated", "file"})
"""Fields of log forms that are made for each exchange: secrets are remembered and counted, files are written."""

_Key = tuple[str, int, str, bytes, bytes]


class RepeatedBodies:
    """The bodies of one recording that came at least twice, as long as they hold no secret."""

    def __init__(self, bodies: BodyEncoder) -> None:
        self._bodies = bodies
        self._seen: set[int] = set()
        """The hashes of keys, so that a body that comes once is not kept."""
        self._kept: dict[_Key, tuple[bytes, bytes | None]] = {}
        """Each body with its encoded log form; None if bodies with this key are not kept."""
        self._size = 0
        """Bytes of all that."""
        self._session = _session_of(bodies)

    def of(self, body: MessageBody, headers: dict[str, Any], side: str) -> bytes | None:
        """Return what `text` returns for a complete body; None also for one of which only a part is kept."""
        if body.spill is not None or body.truncated or not 0 < body.size <= INLINE_BYTES:
            return None
        data = body.kept
        return self.text(data, headers, side) if len(data) == body.size else None

    def text(self, data: bytes, headers: dict[str, Any], side: str) -> bytes | None:
        """Return the encoded log form of a whole body of an exchange that knows no secret; None if the body comes for
        the first time, has a content coding, or needs a log form of its own."""
        content_type = headers.get("content-type", "")
        # A compressed body may take as long as all others together, and if it cannot be kept, it is decoded in vain.
        if len(data) > INLINE_BYTES or "content-encoding" in headers or not isinstance(content_type, str):
            return None
        if self._session is not _session_of(self._bodies):
            self._forget()
        key = side, len(data), content_type, data[:_ENDS], data[-_ENDS:]
        kept = self._kept.get(key)
        if kept is None:
            if not comes_again(self._seen, key, _MOST_SEEN):
                return None
        elif kept[1] is None or kept[0] == data:
            return kept[1]
        text = self._made(data, headers, side)
        self._keep(key, data, text)
        return text

    def _forget(self) -> None:
        """Forget all bodies: other values are secret than when they were searched."""
        self._session = _session_of(self._bodies)
        self._kept.clear()
        self._size = 0

    def _made(self, data: bytes, headers: dict[str, Any], side: str) -> bytes | None:
        """Return the encoded log form of a body that holds no secret; None for another, which changes no count."""
        bodies, redactor = self._bodies, self._bodies.redactor
        truncated, count = bodies.truncated, 0 if redactor is None else redactor.count
        found = DetachedScope()
        try:
            form = bodies.whole(data, headers, side, found)
            if found.known is None and _OF_ONE_EXCHANGE.isdisjoint(form):
                return encode_value(form)
        except TooMuch:
            pass
        bodies.truncated = truncated
        if redactor is not None:
            redactor.count = count
        return None

    def _keep(self, key: _Key, data: bytes, text: bytes | None) -> None:
        if text is None or len(data) + len(text) > _LARGEST:
            data, text = b"", None
        earlier = self._kept.pop(key, None)
        if earlier is not None:
            self._size -= _size(key, *earlier)
        self._size += _size(key, data, text)
        self._kept[key] = data, text
        while self._size > _MOST_BYTES:
            oldest = next(iter(self._kept))
            self._size -= _size(oldest, *self._kept.pop(oldest))


def _session_of(bodies: BodyEncoder) -> SecretMap | None:
    """Return what is secret in the whole session."""
    return None if bodies.redactor is None else bodies.redactor.session


def _size(key: _Key, data: bytes, text: bytes | None) -> int:
    return 512 + len(key[2]) + len(data) + len(text or b"")
