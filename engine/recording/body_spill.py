"""A long body on its way to the folder beside the log: decoded, redacted, hashed and written as it comes, so that none
of it has to be held in memory."""

from __future__ import annotations

from functools import partial
from typing import Any

from mockrec.engine.recording.body_coding import utf8_of
from mockrec.engine.recording.body_files import SpooledFile
from mockrec.engine.redaction.backlog import AT_ONCE, Backlog, TooMuch
from mockrec.engine.redaction.holdback import HoldBack
from mockrec.engine.redaction.redactor import Redactor
from mockrec.engine.redaction.secret_map import SecretMap
from mockrec.engine.redaction.secret_scope import SecretScope
from mockrec.engine.wire.content import codings as content
from mockrec.engine.wire.content.streaming import ContentDecoder

_PIECE = 64 * 1024
"""Bytes of the wire that are gone through at once,"""
_ENCODED_PIECE = 8 * 1024
"""and of what is encoded: some of it becomes a thousand times as long."""


class Spill:
    """One body. `feed` takes the bytes of the wire, `finish` gives the form that the log has."""

    def __init__(
        self,
        file: SpooledFile,
        headers: dict[str, Any],
        limit: int,
        redactor: Redactor | None,
        side: str,
        known: SecretMap | None,
        backlog: Backlog | None = None,
    ) -> None:
        """`limit`: how many bytes are kept; `known`: the secrets that the exchange holds so far; `backlog`: where what
        may hold secrets is redacted, if not at once.

        Raises UndecodableError for a coding that is not known.
        """
        self._file = file
        self._limit = limit
        self._redactor = redactor
        self._side = side
        self._backlog = backlog
        self.waiting = 0
        self.found = SecretScope()
        self.found.known = known
        self._hold = redactor.hold() if redactor is not None else None
        self._encoding = headers.get("content-encoding", "")
        codings = content.codings_of(self._encoding)
        self._decoder = ContentDecoder(codings) if codings else None
        content_type = headers.get("content-type", "")
        self._type = content_type if isinstance(content_type, str) else ""
        # Nobody finds a secret in two bytes a letter.
        self._transcoder = utf8_of(self._type) if redactor is not None else None
        self._encoded = 0
        self._decoded = 0
        self._kept = 0
        self._is_broken = False
        self._is_redacted = False

    def feed(self, data: bytes) -> None:
        """The next bytes of the wire."""
        self._encoded += len(data)
        step = _PIECE if self._decoder is None else _ENCODED_PIECE
        for start in range(0, len(data), step):
            if self._is_broken or (self._kept >= self._limit and self._decoder is None):
                return
            piece = data[start : start + step]
            if self._decoder is not None:
                try:
                    piece = self._decoder.feed(piece)
                except content.UndecodableError:
                    self._is_broken = True
                    return
                if self._decoded + len(piece) > content.longest_of(self._encoded):
                    self._is_broken = True  # a few bytes of the wire must not fill the disk
                    return
                self._decoded += len(piece)  # what is over the limit is counted, and not kept
            if self._kept < self._limit:
                self._take(piece)

    def _take(self, piece: bytes) -> None:
        room = self._limit - self._kept
        self._kept += len(piece)
        piece = piece[:room]
        if self._transcoder is not None:
            piece = self._transcoder.decode(piece).encode("utf-8", "replace")
            self._is_redacted = True
        if self._hold is None:
            self._file.write(piece)
        elif self._backlog is not None and self._takes_long(piece, self._hold):
            self._backlog.put(self, partial(self._redact, piece), self._count, len(piece))
        else:
            self._count(self._redact(piece))

    def _takes_long(self, piece: bytes, hold: HoldBack) -> bool:
        assert self._redactor is not None
        if self.waiting or hold.size > AT_ONCE or hold.is_coded(piece):
            return True
        return not self._redactor.is_plain(piece, self.found.known)

    def _redact(self, piece: bytes, *, is_last: bool = False) -> int:
        """Write what of everything so far can be looked at on its own; how many secrets that held."""
        assert self._hold is not None
        assert self._redactor is not None
        redactor = self._redactor.unbounded()
        data = self._hold.feed(piece)
        if is_last:
            data += self._hold.end()
        if data:
            redacted = redactor.body(data, self._type, self._side, self.found, self._hold.coding)
            self._is_redacted = self._is_redacted or redacted is not data
            self._file.write(redacted)
        return redactor.count

    def _count(self, count: int) -> None:
        if self._redactor is not None:
            self._redactor.count += count

    def finish(
        self, owner: SecretScope | None, *, incomplete: bool, redactor: Redactor | None = None
    ) -> dict[str, Any] | None:
        """What the log says of it, None if the file could not be kept; `owner` remembers what was found. Raises TooMuch
        while the rest of it is redacted elsewhere, or has to be."""
        if self._hold is not None:
            if redactor is not None and redactor.most is not None and (self.waiting or self._hold.size > redactor.most):
                raise TooMuch
            count = self._redact(b"", is_last=True)
            if redactor is not None:
                redactor.count += count
        if owner is not None and self.found.known is not None:
            owner.remember(self.found.known)
        sha256 = self._file.finish()
        if sha256 is None:
            return None
        cut = self._decoded > self._limit or self._is_broken
        record: dict[str, Any] = {
            "size": self._encoded if self._decoder is None else self._decoded,
            "file": f"{sha256[:2]}/{sha256}",
            "sha256": sha256,
        }
        if self._decoder is not None:
            record["contentEncoding"] = self._encoding
            record["encodedSize"] = self._encoded
            cut = cut or not (self._decoder.complete or incomplete)
        else:
            cut = self._encoded > self._limit
        if cut:
            record["truncated"] = True
        if self._is_redacted:
            record["redacted"] = True
        return record

    def abandon(self) -> None:
        """Nobody wants it."""
        self._file.abandon()
