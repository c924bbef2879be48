"""Encodes bodies and unread heads for the log: decoded, redacted, as text or base64, inline or in a file."""

from __future__ import annotations

import base64
from copy import copy
from typing import Any

from mockrec.engine.message.body import MessageBody
from mockrec.engine.recording.body_files import INLINE_BYTES, BodyFiles
from mockrec.engine.recording.body_spill import BodySpill
from mockrec.engine.redaction.backlog import Backlog, TooMuch
from mockrec.engine.redaction.records import RAW_HEAD
from mockrec.engine.redaction.redactor import Redactor, replaced_body
from mockrec.engine.redaction.secret_map import SecretMap
from mockrec.engine.redaction.secret_scope import SecretScope
from mockrec.engine.wire.multipart import header_parameter
from mockrec.formats.content import codings as content
from mockrec.formats.content.streaming import decoded_size
from mockrec.formats.operations.grpc.media import grpc_kind
from mockrec.formats.text.charsets import codec_of

EMPTY_BODY: dict[str, Any] = {"size": 0, "text": ""}

_COUNTED = 8 * 1024 * 1024
"""Bytes beyond the limit for which a body is decoded only to count them: that takes the event loop some 10 ms."""
_UTF8_NAMES = frozenset({"", "utf-8", "utf8", "us-ascii", "ascii"})


class BodySnapshot:
    """A body as it was when its record was built, which may be encoded later. Taken once: the spill file of the body
    is closed with it."""

    __slots__ = ("kept", "size", "spill")

    def __init__(self, body: MessageBody) -> None:
        self.kept = body.kept
        self.size = body.size
        spill = body.spill
        assert spill is None or isinstance(spill, BodySpill)
        self.spill = spill
        body.spill = body.open_spill = None


class BodyEncoder:
    """Makes the log forms of bodies as `record.bodies` and `record.maxBodySize` require."""

    def __init__(self, mode: str, limit: int, redactor: Redactor | None = None, files: BodyFiles | None = None) -> None:
        """`mode` is `decoded`, `raw` or `both`; `limit` in bytes. Without a `redactor`, secrets stay in the log;
        without `files`, long bodies are written into the log itself.

        In all methods, `owner` remembers the secrets that are found, and its earlier ones are replaced too; `side`
        is `request` or `response`. They raise TooMuch if the redactor is bounded and the body is longer.
        """
        self._mode = mode
        self._redactor = redactor
        self._files = files
        self._limit = limit
        self.backlog: Backlog | None = None
        """Redacts long bodies in its thread; None: they are redacted at once."""
        self.truncated = 0
        """How many bodies were truncated."""

    def unbounded(self, redactor: Redactor) -> BodyEncoder:
        """Return a copy with another redactor and a count of its own, for the thread of the backlog."""
        other = copy(self)
        other._redactor, other.truncated = redactor, 0
        return other

    @property
    def redactor(self) -> Redactor | None:
        """The redactor of the bodies."""
        return self._redactor

    def whole(
        self, data: bytes, headers: dict[str, Any], side: str = "", owner: SecretScope | None = None
    ) -> dict[str, Any]:
        """Return the log form of a whole body, given as it was on the wire."""
        if not data:
            return EMPTY_BODY
        return self._logged(data, len(data), headers, side, owner)

    def snapshot(
        self,
        body: BodySnapshot,
        headers: dict[str, Any],
        side: str = "",
        owner: SecretScope | None = None,
        *,
        incomplete: bool = False,
    ) -> dict[str, Any]:
        """Return the log form of a snapshot, whose body may have grown since."""
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

    def spill(self, headers: dict[str, Any], side: str, known: SecretMap | None) -> BodySpill | None:
        """Open a spill file for a long body; None if the body must stay in memory: because it is logged inline, or with
        its content codings (`raw`, `both`), or redacted as a whole."""
        encoding = headers.get("content-encoding")
        codings = content.codings_of(encoding) if encoding else []
        if self._files is None or (codings and self._mode != "decoded"):
            return None
        if self._limit <= INLINE_BYTES or (self._redactor is not None and self._redactor.needs_whole):
            return None
        if self._redactor is not None and grpc_kind(str(headers.get("content-type", ""))) is not None:
            return None  # the lengths of its messages are written anew
        file = self._files.open()
        if file is None:
            return None
        try:
            return BodySpill(file, headers, self._limit, self._redactor, side, known, self.backlog)
        except content.UndecodableError:
            file.abandon()
            return None

    def message(self, kept: bytes, size: int, side: str = "", owner: SecretScope | None = None) -> dict[str, Any]:
        """Return the log form of a WebSocket message of `size` bytes, of which `kept` are the first."""
        return self._form(kept[: self._limit], size, "", side, owner)

    def plain_message(self, data: bytes) -> dict[str, Any] | None:
        """Return what `message` returns for a short message that holds nothing that may be secret; None for another."""
        if len(data) > min(self._limit, INLINE_BYTES):
            return None
        if self._redactor is not None and not self._redactor.leaves(data):
            return None
        return _encode(data, len(data), "", False)

    def chunk(
        self,
        data: bytes,
        side: str = "",
        owner: SecretScope | None = None,
        coding: str = "",
        content_type: str = "",
        before: bytes = b"",
    ) -> dict[str, Any]:
        """Return the log form of a part of a body, as it was on the wire. `coding`: UTF-16 or UTF-32, if the first
        bytes of the body show that it is in one of them; `content_type`, if secrets are found by it; `before`: the
        bytes before the chunk, logged already, which may contain the name of a secret value in the chunk."""
        return self._form(data[: self._limit], len(data), content_type, side, owner, coding, before)

    def head(self, data: bytes, owner: SecretScope | None) -> dict[str, Any]:
        """Return the log form of a head that could not be parsed, with the bytes that were read after it."""
        return self._form(data[: self._limit], len(data), RAW_HEAD, "request", owner)

    def wire(self, data: bytes, headers: dict[str, Any], side: str, owner: SecretScope | None) -> dict[str, Any]:
        """Return the log form of a whole body with its content codings; decoded if it holds secrets."""
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
        """`kept` may be longer than the log's limit, since matchers may need more of a body."""
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
        # The rest of the wire bytes was not searched, and may hold a secret as well.
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
            # Text in another charset is searched as text; truncated text, up to its last whole character.
            data = record["text"].encode() if "charset" in record or (truncated and "text" in record) else kept
            kind = content_type if isinstance(content_type, str) else ""
            redacted = self._redactor.body(before + data if before else data, kind, side, owner, coding)
            if before:
                redacted = data if redacted == before + data else self._after(before, redacted, kind, side, owner)
            if redacted is not data:
                record.pop("charset", None)
                record = replaced_body(record, redacted)
        if truncated:
            self._mark_truncated(record)
        if self._files is not None and len(kept) > INLINE_BYTES:
            return self._in_file(record, self._files)
        return record

    def _after(self, before: bytes, redacted: bytes, kind: str, side: str, owner: SecretScope | None) -> bytes:
        """Return the part of a redacted text that follows `before`, which was logged already."""
        assert self._redactor is not None
        logged = self._redactor.body(before, kind, side, owner)
        different = next(
            (at for at, (one, other) in enumerate(zip(logged, redacted, strict=False)) if one != other), None
        )
        return redacted[min(len(logged), len(redacted)) if different is None else different :]

    def _in_file(self, record: dict[str, Any], files: BodyFiles) -> dict[str, Any]:
        """Move a long body into a file of its own. If that cannot be written, the body stays: the run ends soon."""
        charset = record.get("charset")
        text = record.get("text")
        data = base64.b64decode(record["base64"]) if text is None else text.encode(charset or "utf-8")
        sha256 = files.put(data)
        if sha256 is None:
            return record
        rest = {key: item for key, item in record.items() if key not in ("size", "text", "base64", "charset")}
        return {"size": record["size"], "file": f"{sha256[:2]}/{sha256}", "sha256": sha256, **rest}

    def _mark_truncated(self, record: dict[str, Any]) -> None:
        if "truncated" not in record:
            record["truncated"] = True
            self.truncated += 1


def _encode(data: bytes, size: int, content_type: Any, cut: bool) -> dict[str, Any]:
    """Return `text` if the bytes are UTF-8 or in the charset that the Content-Type declares, otherwise `base64`."""
    try:
        return {"size": size, "text": data.decode()}
    except UnicodeDecodeError as error:
        # The cut may be inside a character; the bytes before that are text.
        if cut and error.reason == "unexpected end of data" and len(data) - error.start < 4:
            return {"size": size, "text": data[: error.start].decode()}
    charset = header_parameter(content_type, "charset") if isinstance(content_type, str) else None
    text = _converted(data, charset) if charset and charset.lower() not in _UTF8_NAMES else None
    if text is not None:
        return {"size": size, "text": text, "charset": charset}
    return {"size": size, "base64": base64.b64encode(data).decode("ascii")}


def _converted(data: bytes, charset: str) -> str | None:
    """Return the text whose bytes in `charset` are exactly `data`; None if there is none."""
    codec = codec_of(charset)
    if codec is None:
        return None
    try:
        text = data.decode(codec)
        return text if text.encode(codec) == data else None
    except ValueError:
        return None
