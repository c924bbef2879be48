"""Bodies and heads in the form the log has them, from what the engine keeps."""

from __future__ import annotations

import base64
from copy import copy
from typing import Any

from mockrec.engine.message.body import MessageBody
from mockrec.engine.recording.body_files import INLINE_BYTES, BodyFiles
from mockrec.engine.recording.body_spill import Spill
from mockrec.engine.redaction.backlog import Backlog, TooMuch
from mockrec.engine.redaction.records import RAW_HEAD
from mockrec.engine.redaction.redactor import Redactor, replaced_body
from mockrec.engine.redaction.secret_map import SecretMap
from mockrec.engine.redaction.secret_scope import SecretScope
from mockrec.engine.wire.content import codings as content
from mockrec.engine.wire.content.streaming import decoded_size
from mockrec.engine.wire.multipart import header_parameter
from mockrec.engine.wire.parts import RawHeaders, header_table
from mockrec.formats.text.charsets import codec_of

EMPTY_BODY: dict[str, Any] = {"size": 0, "text": ""}

_COUNTED = 8 * 1024 * 1024
"""Bytes of a decoded body beyond the limit that are counted: that takes the loop some 10 ms."""
_UTF8_NAMES = frozenset({"", "utf-8", "utf8", "us-ascii", "ascii"})
# Codecs between texts, or for names: no character set of a message is meant.


class Taken:
    """What is in a body at one time. It is taken once: nothing goes to the disk any more."""

    __slots__ = ("kept", "size", "spill")

    def __init__(self, body: MessageBody) -> None:
        self.kept = body.kept
        self.size = body.size
        self.spill = body.spill
        body.spill = body.make_spill = None


class BodyLogger:
    """Makes the log's form of bodies as `record.bodies` and `record.maxBodySize` say."""

    def __init__(self, mode: str, limit: int, redactor: Redactor | None = None, spool: BodyFiles | None = None) -> None:
        """`mode` is `decoded`, `raw` or `both`; `limit` in bytes. Without a `redactor`, secrets stay; without a
        `spool`, long bodies are in the log itself.

        In all methods, `owner` remembers the secrets that are found, and those that it knows are replaced too; `side`
        is `request` or `response`. They raise TooMuch where the redactor has a bound.
        """
        self._mode = mode
        self._redactor = redactor
        self._spool = spool
        self._limit = limit
        self.backlog: Backlog | None = None
        """Where long bodies are redacted, if not at once."""
        self.truncated = 0
        """Bodies that were cut."""

    def unbounded(self, redactor: Redactor) -> BodyLogger:
        """The same with another redactor and a count of its own: for another thread."""
        other = copy(self)
        other._redactor, other.truncated = redactor, 0
        return other

    @property
    def redactor(self) -> Redactor | None:
        """What bodies are redacted by."""
        return self._redactor

    def whole(
        self, data: bytes, headers: dict[str, Any], side: str = "", owner: SecretScope | None = None
    ) -> dict[str, Any]:
        """A body that is in memory as it went over the wire."""
        if not data:
            return EMPTY_BODY
        return self._logged(data, len(data), headers, side, owner)

    def kept(
        self,
        body: MessageBody,
        headers: dict[str, Any],
        side: str = "",
        owner: SecretScope | None = None,
        *,
        incomplete: bool = False,
    ) -> dict[str, Any]:
        """A body of which the first bytes were kept. `incomplete`: its end has not come."""
        return self.taken(Taken(body), headers, side, owner, incomplete=incomplete)

    def taken(
        self,
        body: Taken,
        headers: dict[str, Any],
        side: str = "",
        owner: SecretScope | None = None,
        *,
        incomplete: bool = False,
    ) -> dict[str, Any]:
        """The same for one that may go on meanwhile."""
        truncated = self.truncated
        spilled = (
            body.spill.finish(owner, incomplete=incomplete, redactor=self._redactor) if body.spill is not None else None
        )
        if spilled is not None:
            self.truncated += "truncated" in spilled
            return {**spilled, "incomplete": True} if incomplete else spilled
        try:
            record = self._logged(body.kept, body.size, headers, side, owner, incomplete) if body.size else EMPTY_BODY
        except TooMuch:
            self.truncated = truncated
            raise
        return {**record, "incomplete": True} if incomplete else record

    def spill(self, headers: dict[str, Any], side: str, known: SecretMap | None) -> Spill | None:
        """Where a long body goes while it comes; None where it has to be in memory: to be put into the log, to be kept
        as it was on the wire, or to be looked at as a whole."""
        encoding = headers.get("content-encoding")
        codings = content.codings_of(encoding) if encoding else []
        if self._spool is None or (codings and self._mode != "decoded"):
            return None
        if self._limit <= INLINE_BYTES or (self._redactor is not None and self._redactor.needs_whole):
            return None
        file = self._spool.open()
        if file is None:
            return None
        try:
            return Spill(file, headers, self._limit, self._redactor, side, known, self.backlog)
        except content.UndecodableError:
            file.abandon()
            return None

    def message(self, kept: bytes, size: int, side: str = "", owner: SecretScope | None = None) -> dict[str, Any]:
        """A message of which the first bytes were kept."""
        return self._form(kept[: self._limit], size, "", side, owner)

    def piece(
        self,
        data: bytes,
        side: str = "",
        owner: SecretScope | None = None,
        coding: str = "",
        content_type: str = "",
        before: bytes = b"",
    ) -> dict[str, Any]:
        """A piece of a body as it stood on the wire; `coding`: UTF-16 or UTF-32, where the body began by saying so;
        `content_type`, where secrets are found by it; `before`: what stands before it, is in the log already, and may
        name what is secret."""
        return self._form(data[: self._limit], len(data), content_type, side, owner, coding, before)

    def head(self, data: bytes, owner: SecretScope | None) -> dict[str, Any]:
        """The bytes of a head that was not understood, and what came behind it."""
        return self._form(data[: self._limit], len(data), RAW_HEAD, "request", owner)

    def wire(self, data: bytes, headers: dict[str, Any], side: str, owner: SecretScope | None) -> dict[str, Any]:
        """A whole body as it stood on the wire; decoded where it holds secrets."""
        return self._logged(data, len(data), headers, side, owner, mode="raw") if data else EMPTY_BODY

    def _logged(
        self,
        kept: bytes,
        size: int,
        headers: dict[str, Any],
        side: str,
        owner: SecretScope | None,
        incomplete: bool = False,
        mode: str = "",
    ) -> dict[str, Any]:
        """`kept` may be more than the log keeps: matchers see more of a body."""
        mode = mode or self._mode
        encoding, content_type = headers.get("content-encoding"), headers.get("content-type", "")
        codings = content.codings_of(encoding) if encoding else []
        if not codings:
            return self._form(kept[: self._limit], size, content_type, side, owner)
        if mode == "raw" and self._redactor is None:
            return self._form(kept[: self._limit], size, content_type)
        cut = size > len(kept)
        try:
            data, complete = content.decode(kept, codings, self._limit, whole=not (cut or incomplete))
        except content.UndecodableError:
            if mode == "raw":
                return self._form(kept[: self._limit], size, content_type, side, owner)
            return {**self._form(kept[: self._limit], size, "", side, owner), "undecodable": True}
        decoded = len(data)
        if decoded > self._limit:
            data, complete = data[: self._limit], False
        if not (complete or cut or incomplete):
            most = min(content.longest_of(len(kept)), self._limit + _COUNTED)
            decoded = max(len(data), decoded_size(kept, codings, most))
        truncated = self.truncated
        record = self._form(data, decoded if not (cut or incomplete) else len(data), content_type, side, owner)
        if mode == "raw" and "redacted" not in record:
            self.truncated = truncated
            return self._form(kept[: self._limit], size, content_type)
        record["contentEncoding"] = encoding
        record["encodedSize"] = size
        if not (complete or incomplete):
            self._mark_truncated(record)
        # What stands in the wire bytes behind the end of what was looked at may be a secret as well.
        unseen = self._redactor is not None and "truncated" in record
        if mode == "both" and "redacted" not in record and not unseen:
            record["raw"] = base64.b64encode(kept[: self._limit]).decode("ascii")
        return record

    def _form(
        self,
        kept: bytes,
        size: int,
        content_type: Any = "",
        side: str = "",
        owner: SecretScope | None = None,
        coding: str = "",
        before: bytes = b"",
    ) -> dict[str, Any]:
        truncated = size > len(kept)
        record = _encode(kept, size, content_type, truncated)
        if self._redactor is not None:
            # A text of another charset is looked at as text, and one that is cut up to its last whole character.
            data = record["text"].encode() if "charset" in record or (truncated and "text" in record) else kept
            kind = content_type if isinstance(content_type, str) else ""
            redacted = self._redactor.body(before + data if before else data, kind, side, owner, coding)
            if before:
                redacted = data if redacted == before + data else self._behind(before, redacted, kind, side, owner)
            if redacted is not data:
                record.pop("charset", None)
                record = replaced_body(record, redacted)
        if truncated:
            self._mark_truncated(record)
        if self._spool is not None and len(kept) > INLINE_BYTES:
            return self._beside(record, self._spool)
        return record

    def _behind(self, before: bytes, redacted: bytes, kind: str, side: str, owner: SecretScope | None) -> bytes:
        """What of a redacted text stands behind what is in the log already."""
        assert self._redactor is not None
        told = self._redactor.body(before, kind, side, owner)
        same = next((at for at, (one, other) in enumerate(zip(told, redacted, strict=False)) if one != other), None)
        return redacted[min(len(told), len(redacted)) if same is None else same :]

    def _beside(self, record: dict[str, Any], spool: BodyFiles) -> dict[str, Any]:
        """A long body in a file of its own; where that cannot be written the run is about to end."""
        charset = record.get("charset")
        text = record.get("text")
        data = base64.b64decode(record["base64"]) if text is None else text.encode(charset or "utf-8")
        sha256 = spool.put(data)
        if sha256 is None:
            return record
        told = {key: item for key, item in record.items() if key not in ("size", "text", "base64", "charset")}
        return {"size": record["size"], "file": f"{sha256[:2]}/{sha256}", "sha256": sha256, **told}

    def _mark_truncated(self, record: dict[str, Any]) -> None:
        if "truncated" not in record:
            record["truncated"] = True
            self.truncated += 1


def _encode(data: bytes, size: int, content_type: Any, cut: bool) -> dict[str, Any]:
    """`text` where the bytes are UTF-8 or of another charset that is declared, otherwise `base64`."""
    try:
        return {"size": size, "text": data.decode()}
    except UnicodeDecodeError as error:
        # A cut may fall inside a character; what is before it is text all the same.
        if cut and error.reason == "unexpected end of data" and len(data) - error.start < 4:
            return {"size": size, "text": data[: error.start].decode()}
    charset = header_parameter(content_type, "charset") if isinstance(content_type, str) else None
    text = _converted(data, charset) if charset and charset.lower() not in _UTF8_NAMES else None
    if text is not None:
        return {"size": size, "text": text, "charset": charset}
    return {"size": size, "base64": base64.b64encode(data).decode("ascii")}


def _converted(data: bytes, charset: str) -> str | None:
    """Text whose bytes in `charset` are exactly `data`, or None."""
    codec = codec_of(charset)
    if codec is None:
        return None
    try:
        text = data.decode(codec)
        return text if text.encode(codec) == data else None
    except ValueError:
        return None


def trailer_fields(trailers: RawHeaders) -> dict[str, Any]:
    """`trailers` and `rawTrailers`, where there are any."""
    if not trailers:
        return {}
    return {"trailers": header_table(trailers), "rawTrailers": [list(pair) for pair in trailers]}
