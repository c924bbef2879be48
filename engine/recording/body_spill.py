"""A long body is decoded, redacted, hashed and written to its file while it arrives, and is never whole in memory."""

from __future__ import annotations

import codecs
from functools import partial
from typing import Any

from mockrec.engine.recording.body_files import BodyFile
from mockrec.engine.redaction.backlog import AT_ONCE, Backlog, TooMuch
from mockrec.engine.redaction.holdback import HoldBack
from mockrec.engine.redaction.redactor import Knows, Redactor, SecretScope, learn
from mockrec.engine.redaction.secret_map import SecretMap
from mockrec.engine.wire.multipart import header_parameter
from mockrec.formats.content import codings as content
from mockrec.formats.content.streaming import ContentDecoder

_PIECE = 64 * 1024
"""Bytes of a body without content coding that are processed at once."""
_ENCODED_PIECE = 8 * 1024
"""Bytes of an encoded body that are processed at once: they can become a thousand times as long."""


class BodySpill:
    """The spill file of one body. `feed` takes its bytes on the wire, `finish` returns its log form."""

    def __init__(
        self,
        file: BodyFile,
        headers: dict[str, Any],
        limit: int,
        redactor: Redactor | None,
        side: str,
        known: SecretMap | None,
        backlog: Backlog | None = None,
    ) -> None:
        """`limit`: the bytes that are kept at most, decoded. `known`: the secrets of the exchange so far. `backlog`:
        redacts what takes long; None: everything is redacted at once.

        Raises UndecodableError for an unknown content coding.
        """
        self._file = file
        self._limit = limit
        self._redactor = redactor
        self._side = side
        self._backlog = backlog
        self.waiting = 0
        """Pieces that are being redacted in the thread of the backlog."""
        self.found = SecretScope()
        """The secrets of the exchange so far, and those found in this body."""
        self.found.known = known
        self._holdback = redactor.hold() if redactor is not None else None
        self._encoding = headers.get("content-encoding", "")
        codings = content.codings_of(self._encoding)
        self._decoder = ContentDecoder(codings) if codings else None
        content_type = headers.get("content-type", "")
        self._type = content_type if isinstance(content_type, str) else ""
        # Secrets are searched for in UTF-8: they are not found in text with two or four bytes a letter.
        self._transcoder = _wide_decoder(self._type) if redactor is not None else None
        self._encoded = 0
        self._decoded = 0
        self._kept = 0
        self._is_broken = False
        self._is_redacted = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body, as they were on the wire."""
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
                    self._is_broken = True  # few bytes on the wire must not fill the disk
                    return
                self._decoded += len(piece)  # beyond the limit, bytes are counted but not kept
            if self._kept < self._limit:
                self._write(piece)

    def _write(self, piece: bytes) -> None:
        """Redact and write a decoded piece, as far as the limit allows."""
        room = self._limit - self._kept
        self._kept += len(piece)
        piece = piece[:room]
        if self._transcoder is not None:
            piece = self._transcoder.decode(piece).encode("utf-8", "replace")
            self._is_redacted = True
        if self._holdback is None:
            self._file.write(piece)
        elif self._backlog is not None and self._takes_long(piece, self._holdback):
            self._backlog.put(self, partial(self._redact, piece), self._add_count, len(piece))
        else:
            self._add_count(self._redact(piece))

    def _takes_long(self, piece: bytes, holdback: HoldBack) -> bool:
        assert self._redactor is not None
        if self.waiting or holdback.size > AT_ONCE or holdback.is_coded(piece):
            return True
        return not self._redactor.is_plain(piece, self.found.known)

    def _redact(self, piece: bytes, *, is_last: bool = False) -> int:
        """Write all bytes so far that can be redacted without the next piece. Return how many secrets they held."""
        assert self._holdback is not None
        assert self._redactor is not None
        redactor = self._redactor.unbounded()
        data = self._holdback.feed(piece)
        if is_last:
            data += self._holdback.end()
        if data:
            redacted = redactor.body(data, self._type, self._side, self.found, self._holdback.coding)
            self._is_redacted = self._is_redacted or redacted is not data
            self._file.write(redacted)
        return redactor.count

    def _add_count(self, count: int) -> None:
        if self._redactor is not None:
            self._redactor.count += count

    def finish(
        self, owner: Knows | None, *, incomplete: bool, redactor: Redactor | None = None
    ) -> dict[str, Any] | None:
        """Close the file and return the log form of the body, None if the file could not be written. `incomplete`: its
        end was not received. `owner` remembers the secrets that were found. Raises TooMuch if `redactor` is bounded and
        the rest of the body has to be redacted in the thread of the backlog."""
        if self._holdback is not None:
            if (
                redactor is not None
                and redactor.most is not None
                and (self.waiting or self._holdback.size > redactor.most)
            ):
                raise TooMuch
            count = self._redact(b"", is_last=True)
            if redactor is not None:
                redactor.count += count
        if owner is not None and self.found.known is not None:
            learn(owner, self.found.known)
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
        """Remove the file: the body is not recorded."""
        self._file.abandon()


def _wide_decoder(content_type: str) -> codecs.IncrementalDecoder | None:
    """Return a decoder for a body that its Content-Type declares as UTF-16 or UTF-32; None for other charsets, whose
    bytes can be searched as they are."""
    charset = (header_parameter(content_type, "charset") or "").lower().replace("_", "-")
    if not charset.startswith(("utf-16", "utf-32", "utf16", "utf32")):
        return None
    try:
        return codecs.getincrementaldecoder(charset)("replace")
    except LookupError:
        return None
