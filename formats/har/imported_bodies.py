"""Convert bodies of other tools' entries to the log's form, whatever their form in the HAR.

HAR stores bodies without their content coding and charset; the message's fields name those that they had on the wire.
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
from mockrec.formats.har.imported_repairs import EntryRepairs
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
"""Characters of a text that is not declared to be base64: a shorter one may look like base64 by chance."""


class BodyReader:
    """Reads the two bodies of one entry."""

    def __init__(self, repairs: EntryRepairs, attached: Attached, identity: str) -> None:
        """`identity`: id of the exchange, from which a missing boundary is made."""
        self._repairs = repairs
        self._attached = attached
        self._identity = identity

    # ── requests ───────────────────────────────────────────────────────────────────────────────────

    def request_body(self, request: Mapping[str, Any], headers: Headers) -> tuple[Record, Headers]:
        """Return the request's body and its header fields.

        The body is `_content` (HTTP Toolkit), `text`, an attached file, or made of `params`. A type that only
        `postData` names is added to the fields.
        """
        posted = request.get("postData")
        if isinstance(posted, str):
            self._repairs.add("body-form", "request.postData")
            posted = {"text": posted}
        posted = mapping(posted)
        headers = self._with_type(posted, headers)
        if isinstance(request.get("_content"), dict):
            return self._body(headers, request["_content"], "request._content")
        raw = self._text(posted, "request.postData")
        kind = _field(headers, "content-type")
        if not raw and not isinstance(posted.get("_file"), str) and items(posted.get("params")):
            return self._from_params(posted, kind, headers, size_of(request.get("bodySize")) or 0)
        if is_multipart(kind) and not boundary_in(kind) and (boundary := boundary_of_text(raw)):
            headers = self._with_boundary(headers, kind, boundary)
        size = size_of(posted.get("size", request.get("bodySize")))
        return self._body(headers, {**posted, "text": raw, "size": size}, "request.postData")

    def _with_type(self, posted: Mapping[str, Any], headers: Headers) -> Headers:
        kind = text(posted.get("mimeType")).strip()
        has_body = posted.get("text") or posted.get("params") or posted.get("_file")
        if not kind or not has_body or _field(headers, "content-type") or not re.fullmatch(r"[!-~]+/[ -~]+", kind):
            return headers
        self._repairs.add("content-type", "request.postData.mimeType", kind)
        return [*headers, ["Content-Type", kind]]

    def _from_params(self, posted: Mapping[str, Any], kind: str, headers: Headers, size: int) -> tuple[Record, Headers]:
        self._repairs.add("form-params", "request.postData.params")
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
            self._repairs.add_lost("uploaded", "request.postData.params", missing[0])
            body |= {"size": max(size, len(data)), "truncated": True}
        return self._coded(body, headers, "request.headers", data)

    def _with_boundary(self, headers: Headers, kind: str, boundary: str) -> Headers:
        self._repairs.add("boundary", "request.headers", kind)
        quoted = boundary if TOKEN.fullmatch(boundary) else f'"{boundary}"'
        typed = f"{kind.rstrip('; ')}; boundary={quoted}"
        return [[name, typed if name.lower() == "content-type" else value] for name, value in headers]

    # ── responses ──────────────────────────────────────────────────────────────────────────────────

    def response_body(
        self, response: Mapping[str, Any], headers: Headers, method: str, status: int
    ) -> tuple[Record, Headers]:
        """Return the response's body and its header fields."""
        content = response.get("content")
        if isinstance(content, str):
            self._repairs.add("body-form", "response.content")
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
        self._repairs.add("body-form", f"{place}.text")
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def _body(
        self, headers: Headers, content: Mapping[str, Any], place: str, *, missing: str = "no-body"
    ) -> tuple[Record, Headers]:
        """Return a body from a text or an attached file or, if there is neither, only with its size."""
        size, raw = size_of(content.get("size")), text(content.get("text"))
        if not raw and isinstance(content.get("_file"), str):
            return self._from_file(content["_file"], size or 0, headers, place)
        if not raw and size:
            self._repairs.add(missing, place)
            return {"size": size, "text": "", "truncated": True}, headers
        kind = _field(headers, "content-type")
        data = self._bytes(content, raw, size, kind, place)
        body = self._encode_text(raw, kind, place) if data is None else encode_body(data)
        return self._coded(body, headers, f"{place.partition('.')[0]}.headers", data or raw)

    def _from_file(self, name: str, size: int, headers: Headers, place: str) -> tuple[Record, Headers]:
        try:
            data = self._attached.read(name)
        except AttachedError as problem:
            self._repairs.add_lost("attached", f"{place}._file", f"{name!r:.60}: {problem}")
            return {"size": size, "text": "", "truncated": True}, headers
        return self._coded(encode_body(data), headers, f"{place.partition('.')[0]}.headers", data)

    def _bytes(
        self, content: Mapping[str, Any], raw: str, size: int | None, content_type: str, place: str
    ) -> bytes | None:
        """Return the bytes that a text encodes; None if the text itself is the body."""
        encoding = text(content.get("encoding")).strip()
        kind = (text(content.get("mimeType")) or content_type).lower()
        is_text = not kind or any(word in kind for word in _TEXTUAL)
        if encoding.lower() == "base64" or (raw and not encoding and content.get("_textBase64") == raw):
            return self._declared_base64(raw, size, encoding, is_text, place)
        if not is_text and not encoding and raw[:200].lower().startswith(f"data:{kind.partition(';')[0].strip()};"):
            data, _ = _from_base64(raw)
            if data is not None and ";base64," in raw[:200]:
                self._repairs.add("unmarked-base64", place)
                return data
        if is_text or encoding or size is None or size == len(raw):
            if not is_text and size == len(raw) and not raw.isascii() and max(raw) <= "\xff":
                self._repairs.add("bytes-as-text", place)
                return raw.encode("latin-1")
            return None
        data, is_plain = _from_base64(raw) if len(raw) >= _SHORTEST_UNMARKED else (None, False)
        if data is not None and is_plain and len(data) == size:
            self._repairs.add("unmarked-base64", place)
            return data
        return None

    def _declared_base64(self, raw: str, size: int | None, encoding: str, is_text: bool, place: str) -> bytes | None:
        """Decode a text that is declared to be base64; None if it is not. Some texts can be read as base64 by chance;
        then the size decides."""
        data, is_plain = _from_base64(raw)
        if data is not None and size not in (None, len(data)):
            has_blanks = not is_plain and " " in raw.strip()
            if has_blanks or (is_text and size == len(raw) and not _is_utf8(data)):
                data = None
        if data is None:
            self._repairs.add("no-base64", place, raw)
        elif not is_plain or encoding != "base64":
            self._repairs.add("base64-form", place)
        return data

    def _encode_text(self, raw: str, content_type: str, place: str) -> Record:
        """Return the body for a text, in the charset that its type names."""
        try:
            utf8 = raw.encode()
        except UnicodeEncodeError:
            self._repairs.add("half-character", place)
            utf8 = raw.encode("utf-8", "replace")
        found = _CHARSET.search(content_type)
        if found is None:
            return encode_body(utf8)
        codec = codec_of(found[1])
        data = utf8
        if codec is not None and codec != "utf-7":  # no browser reads UTF-7
            with suppress(ValueError):  # the charset lacks a character
                data = raw.encode(codec)
        return encode_body(utf8) if data == utf8 else {"size": len(data), "text": raw, "charset": found[1].lower()}

    def _coded(self, body: Record, headers: Headers, place: str, raw: bytes | str) -> tuple[Record, Headers]:
        """Return the body with the content coding that the tool has removed, and the fields.

        An unknown coding could never be applied again. Such a body is sent as it is, so Content-Encoding is dropped.
        """
        codings = [value for name, value in headers if name.lower() == "content-encoding"]
        if not codings:
            return body, headers
        coding = ", ".join(codings).strip().lower()
        names = [name.strip() for name in coding.split(",")]
        if not raw or all(name in IDENTITIES for name in names):
            return body, headers
        if isinstance(raw, bytes) and raw.startswith(MAGIC.get(names[-1], b"\x1f\x8b")):
            return body, headers  # some tools store the encoded bytes
        if len(names) > len(CODINGS) or not all(name in CODINGS or name in IDENTITIES for name in names):
            self._repairs.add("unknown-coding", place, coding)
            return body, [pair for pair in headers if pair[0].lower() != "content-encoding"]
        body["contentEncoding"] = coding
        return body, headers


def message_bytes(data: str, *, binary: bool, repairs: EntryRepairs) -> bytes:
    """Return the content of a WebSocket message."""
    if not binary:
        return data.encode("utf-8", "replace")
    decoded, is_plain = _from_base64(data)
    if decoded is None:
        repairs.add("no-base64", "_webSocketMessages", data)
        return data.encode("utf-8", "replace")
    if not is_plain:
        repairs.add("base64-form", "_webSocketMessages")
    return decoded


def _from_base64(raw: str) -> tuple[bytes | None, bool]:
    """Decode base64: the bytes (None if it is not base64), and True if it was written exactly as in RFC 4648 (4)."""
    try:
        return base64.b64decode(raw, validate=True), True
    except (binascii.Error, ValueError):
        pass
    bare = _BLANKS.sub("", raw.partition(";base64,")[2] if raw.startswith("data:") else raw)
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
