"""Bodies of other tools' entries → the log's form, in whatever form tools write them.

HAR keeps bodies without their content-coding and charset; what the message's fields name is what they had on the wire.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from mockrec.formats.content.codings import CODINGS, IDENTITIES, MAGIC
from mockrec.formats.har.attached import Attached, AttachedError
from mockrec.formats.har.fields import items, mapping, text
from mockrec.formats.har.imported_forms import (
    boundary_in,
    boundary_of_text,
    is_multipart,
    made_up_boundary,
    multipart,
    urlencoded,
)
from mockrec.formats.har.imported_repairs import EntryNotes
from mockrec.formats.har.imported_values import size_of
from mockrec.formats.schema.body import encode_body
from mockrec.formats.text.charsets import codec_of
from mockrec.formats.text.syntax import BODILESS_STATUSES, TOKEN

Record = dict[str, Any]
Headers = list[list[str]]

_CHARSET = re.compile(r"""charset\s*=\s*["']?([A-Za-z0-9_.:-]+)""", re.IGNORECASE)
_BLANKS = re.compile(r"[\s\ufeff]+")
_URL_SAFE = str.maketrans("-_", "+/")
_TEXTUAL = ("text/", "json", "javascript", "ecmascript", "xml", "x-www-form-urlencoded", "graphql", "csv", "yaml")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BODILESS = BODILESS_STATUSES | {205}
_SHORTEST_UNMARKED = 24
"""Characters: a shorter text may be base64 by chance."""


class BodyReader:
    """Reads the two bodies of one entry."""

    def __init__(self, notes: EntryNotes, attached: Attached, identity: str) -> None:
        """`identity` of the exchange, for what has to be made up."""
        self._notes = notes
        self._attached = attached
        self._identity = identity

    # ── requests ───────────────────────────────────────────────────────────────────────────────────

    def posted(self, request: Mapping[str, Any], headers: Headers) -> tuple[Record, Headers]:
        """The request's body: `_content` (HTTP Toolkit), `text`, an attached file, or what `params` say. And its
        fields, to which the type may have been added that only `postData` names."""
        posted = request.get("postData")
        if isinstance(posted, str):
            self._notes.repaired("body-form", "request.postData")
            posted = {"text": posted}
        posted = mapping(posted)
        headers = self._typed(posted, headers)
        if isinstance(request.get("_content"), dict):
            return self._body(headers, request["_content"], "request._content")
        kept = self._text(posted, "request.postData")
        kind = _field(headers, "content-type")
        if not kept and not isinstance(posted.get("_file"), str) and items(posted.get("params")):
            return self._made_of_params(posted, kind, headers, size_of(request.get("bodySize")) or 0)
        if is_multipart(kind) and not boundary_in(kind) and (boundary := boundary_of_text(kept)):
            headers = self._with_boundary(headers, kind, boundary)
        size = size_of(posted.get("size", request.get("bodySize")))
        return self._body(headers, {**posted, "text": kept, "size": size}, "request.postData")

    def _typed(self, posted: Mapping[str, Any], headers: Headers) -> Headers:
        kind = text(posted.get("mimeType")).strip()
        has_body = posted.get("text") or posted.get("params") or posted.get("_file")
        if not kind or not has_body or _field(headers, "content-type") or not re.fullmatch(r"[!-~]+/[ -~]+", kind):
            return headers
        self._notes.repaired("content-type", "request.postData.mimeType", kind)
        return [*headers, ["Content-Type", kind]]

    def _made_of_params(
        self, posted: Mapping[str, Any], kind: str, headers: Headers, size: int
    ) -> tuple[Record, Headers]:
        self._notes.repaired("form-params", "request.postData.params")
        missing: list[str] = []
        if is_multipart(kind):
            boundary = boundary_in(kind)
            if not boundary:
                boundary = boundary_in(text(posted.get("mimeType"))) or made_up_boundary(self._identity)
                headers = self._with_boundary(headers, kind, boundary)
            data, missing = multipart(posted["params"], boundary)
        else:
            data = urlencoded(posted["params"])
        body = encode_body(data)
        if missing:
            self._notes.lost("uploaded", "request.postData.params", missing[0])
            body |= {"size": max(size, len(data)), "truncated": True}
        return self._coded(body, headers, "request.headers", data)

    def _with_boundary(self, headers: Headers, kind: str, boundary: str) -> Headers:
        self._notes.repaired("boundary", "request.headers", kind)
        quoted = boundary if TOKEN.fullmatch(boundary) else f'"{boundary}"'
        typed = f"{kind.rstrip('; ')}; boundary={quoted}"
        return [[name, typed if name.lower() == "content-type" else value] for name, value in headers]

    # ── responses ──────────────────────────────────────────────────────────────────────────────────

    def answered(
        self, response: Mapping[str, Any], headers: Headers, method: str, status: int
    ) -> tuple[Record, Headers]:
        """The response's body and its fields."""
        content = response.get("content")
        if isinstance(content, str):
            self._notes.repaired("body-form", "response.content")
            content = {"text": content}
        content = dict(mapping(content))
        content["text"] = self._text(content, "response.content")
        size = size_of(content.get("size"))
        if not content["text"] and not isinstance(content.get("_file"), str):
            if method == "HEAD" or status in _BODILESS or status < 200:
                size = 0
            elif not size and "text" not in mapping(response.get("content")):
                size = size or size_of(response.get("bodySize")) or size_of(_field(headers, "content-length")) or 0
        content["size"] = size
        kind = "redirect-body" if status in _REDIRECTS else "no-body"
        return self._body(headers, content, "response.content", missing=kind)

    # ── both ───────────────────────────────────────────────────────────────────────────────────────

    def _text(self, owner: Mapping[str, Any], place: str) -> str:
        value = owner.get("text")
        if value is None and isinstance(owner.get("_textBase64"), str):
            return str(owner["_textBase64"])
        if value is None or isinstance(value, str):
            return value or ""
        self._notes.repaired("body-form", f"{place}.text")
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def _body(
        self, headers: Headers, content: Mapping[str, Any], place: str, *, missing: str = "no-body"
    ) -> tuple[Record, Headers]:
        """A text, an attached file, or how large it was where neither is there."""
        size, kept = size_of(content.get("size")), text(content.get("text"))
        if not kept and isinstance(content.get("_file"), str):
            return self._from_file(content["_file"], size or 0, headers, place)
        if not kept and size:
            self._notes.repaired(missing, place)
            return {"size": size, "text": "", "truncated": True}, headers
        kind = _field(headers, "content-type")
        data = self._bytes(content, kept, size, kind, place)
        body = self._of_text(kept, kind, place) if data is None else encode_body(data)
        return self._coded(body, headers, f"{place.partition('.')[0]}.headers", data or kept)

    def _from_file(self, name: str, size: int, headers: Headers, place: str) -> tuple[Record, Headers]:
        try:
            data = self._attached.read(name)
        except AttachedError as problem:
            self._notes.lost("attached", f"{place}._file", f"{name!r:.60}: {problem}")
            return {"size": size, "text": "", "truncated": True}, headers
        return self._coded(encode_body(data), headers, f"{place.partition('.')[0]}.headers", data)

    def _bytes(
        self, content: Mapping[str, Any], kept: str, size: int | None, content_type: str, place: str
    ) -> bytes | None:
        """The bytes that a text stands for; None where it stands for itself."""
        told = text(content.get("encoding")).strip()
        kind = (text(content.get("mimeType")) or content_type).lower()
        is_text = not kind or any(word in kind for word in _TEXTUAL)
        if told.lower() == "base64" or (kept and not told and content.get("_textBase64") == kept):
            return self._said_to_be_base64(kept, size, told, is_text, place)
        if not is_text and not told and kept[:200].lower().startswith(f"data:{kind.partition(';')[0].strip()};"):
            data, _ = _from_base64(kept)
            if data is not None and ";base64," in kept[:200]:
                self._notes.repaired("unmarked-base64", place)
                return data
        if is_text or told or size is None or size == len(kept):
            if not is_text and size == len(kept) and not kept.isascii() and max(kept) <= "\xff":
                self._notes.repaired("bytes-as-text", place)
                return kept.encode("latin-1")
            return None
        data, is_plain = _from_base64(kept) if len(kept) >= _SHORTEST_UNMARKED else (None, False)
        if data is not None and is_plain and len(data) == size:
            self._notes.repaired("unmarked-base64", place)
            return data
        return None

    def _said_to_be_base64(self, kept: str, size: int | None, told: str, is_text: bool, place: str) -> bytes | None:
        """The bytes, unless it is none after all. Some texts can be read as base64; then the size tells."""
        data, is_plain = _from_base64(kept)
        if data is not None and size not in (None, len(data)):
            has_blanks = not is_plain and " " in kept.strip()
            if has_blanks or (is_text and size == len(kept) and not _is_utf8(data)):
                data = None
        if data is None:
            self._notes.repaired("no-base64", place, kept)
        elif not is_plain or told != "base64":
            self._notes.repaired("base64-form", place)
        return data

    def _of_text(self, kept: str, content_type: str, place: str) -> Record:
        """A text in the charset that its type names."""
        try:
            utf8 = kept.encode()
        except UnicodeEncodeError:
            self._notes.repaired("half-character", place)
            utf8 = kept.encode("utf-8", "replace")
        found = _CHARSET.search(content_type)
        if found is None:
            return encode_body(utf8)
        codec = codec_of(found[1])
        data = utf8
        if codec is not None and codec != "utf-7":  # no browser reads that
            with suppress(ValueError):  # it has no form for a character
                data = kept.encode(codec)
        return encode_body(utf8) if data == utf8 else {"size": len(data), "text": kept, "charset": found[1].lower()}

    def _coded(self, body: Record, headers: Headers, place: str, kept: bytes | str) -> tuple[Record, Headers]:
        """The body with the coding that the tool has undone. One that is not known here could never be applied again:
        the body goes out as it is, so no field may say otherwise."""
        told = [value for name, value in headers if name.lower() == "content-encoding"]
        if not told:
            return body, headers
        coding = ", ".join(told).strip().lower()
        names = [name.strip() for name in coding.split(",")]
        if not kept or all(name in IDENTITIES for name in names):
            return body, headers
        if isinstance(kept, bytes) and kept.startswith(MAGIC.get(names[-1], b"\x1f\x8b")):
            return body, headers  # some tools keep the bytes of the wire all the same
        if len(names) > len(CODINGS) or not all(name in CODINGS or name in IDENTITIES for name in names):
            self._notes.repaired("unknown-coding", place, coding)
            return body, [pair for pair in headers if pair[0].lower() != "content-encoding"]
        body["contentEncoding"] = coding
        return body, headers


def message_bytes(data: str, *, binary: bool, notes: EntryNotes) -> bytes:
    """The content of a WebSocket's message."""
    if not binary:
        return data.encode("utf-8", "replace")
    decoded, is_plain = _from_base64(data)
    if decoded is None:
        notes.repaired("no-base64", "_webSocketMessages", data)
        return data.encode("utf-8", "replace")
    if not is_plain:
        notes.repaired("base64-form", "_webSocketMessages")
    return decoded


def _from_base64(kept: str) -> tuple[bytes | None, bool]:
    """The bytes, or None for what is no base64; and whether it was written as RFC 4648 (4) has it."""
    try:
        return base64.b64decode(kept, validate=True), True
    except (binascii.Error, ValueError):
        pass
    bare = _BLANKS.sub("", kept.partition(";base64,")[2] if kept.startswith("data:") else kept)
    bare = bare.translate(_URL_SAFE).rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True), False
    except (binascii.Error, ValueError):
        return None, False


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _field(headers: Headers, name: str) -> str:
    return next((value for own, value in headers if own.lower() == name), "")
