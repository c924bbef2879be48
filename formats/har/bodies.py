"""Convert bodies between the log's form and the HAR's: `content`, `postData`, `_content`, messages.

Text is written as text, other bytes as base64 where readers expect that. `text` is always present: without it, readers
show the word "undefined", or fail.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from mockrec.formats.har.fields import form_parameters, mapping, text, whole
from mockrec.formats.schema.body import encode_body
from mockrec.formats.text.charsets import codec_of

Record = dict[str, Any]

EMPTY: Record = {"size": 0, "text": ""}
_FORM = "application/x-www-form-urlencoded"


def wire_size(body: Mapping[str, Any]) -> int:
    """Return the size of a body on the wire, in bytes."""
    return whole(body.get("encodedSize"), whole(body.get("size")))


def content(body: Mapping[str, Any], mime_type: str, folder: str) -> Record:
    """Return `content` for the body of a response."""
    size = whole(body.get("size"), 0)
    if mime_type.lower().startswith("text/event-stream"):
        # Always UTF-8, whatever the type says (HTML, 9.2.4), and developer tools show events of the bare type only.
        mime_type = "text/event-stream"
    made: Record = {"size": size, "mimeType": mime_type or "x-unknown"}
    if whole(body.get("encodedSize")) >= 0:
        made["compression"] = size - body["encodedSize"]
    stored = _bytes(body, folder)
    charset = body.get("charset")
    if isinstance(charset, str) and "encoding" not in stored and not stored["text"].isascii():
        data = _in_charset(stored["text"], charset)
        if data is not None:
            # Players send a text as UTF-8, although its type names another charset.
            stored = {"text": base64.b64encode(data).decode("ascii"), "encoding": "base64", "_charset": charset}
    for key, comment in _COMMENTS.items():
        if body.get(key) is True:
            made["comment"] = comment
    return {**made, **stored}


_COMMENTS = {
    "truncated": "cut off: no more of the body was recorded",
    "incomplete": "cut off: the exchange ended in the middle of the body",
}


def _in_charset(stored: str, charset: str) -> bytes | None:
    """Encode a text in a charset; None if that cannot be reversed."""
    codec = codec_of(charset)
    if codec is None:
        return None
    try:
        data = stored.encode(codec)
        return data if data.decode(codec) == stored else None
    except ValueError:
        return None


def post_data(body: Mapping[str, Any], mime_type: str, folder: str) -> Record:
    """Return `postData` for the body of a request or, if it is not text, `_content`.

    Players would send base64 in `postData` as it stands, and with an empty text Playwright finds no entry for a request
    with a body. HTTP Toolkit refuses the whole file for a `_content` without an encoding.
    """
    made: Record = {"mimeType": mime_type or "application/octet-stream", "text": ""}
    stored = _bytes(body, folder)
    if "_file" in stored:
        whole_body = {"size": whole(body.get("size"), 0), **stored, "encoding": "base64"}
        return {"postData": {**made, "_file": stored["_file"]}, "_content": whole_body}
    if "encoding" in stored:
        return {"_content": {"size": whole(body.get("size"), 0), **stored}}
    made["text"] = stored["text"]
    if mime_type.partition(";")[0].strip().lower() == _FORM:
        params = form_parameters(stored["text"])
        if params is not None:
            made["params"] = params
    return {"postData": made}


def _bytes(body: Mapping[str, Any], folder: str) -> Record:
    if isinstance(body.get("text"), str):
        return {"text": body["text"]}
    if isinstance(body.get("base64"), str):
        return {"text": body["base64"], "encoding": "base64"}
    if isinstance(body.get("file"), str):
        # The name that Playwright reads, relative to the HAR.
        return {"text": "", "_file": f"{folder}/{body['file']}"}
    return {"text": ""}


def predicted_body(made: Any) -> Record:
    """Return a body in the log's form, from `content` or `_content`."""
    stored = mapping(made)
    if isinstance(stored.get("_file"), str):
        name = "/".join(stored["_file"].split("/")[-2:])
        return {"size": stored.get("size", 0), "file": name, "sha256": name[3:]}
    charset = stored.get("_charset")
    if isinstance(charset, str) and stored.get("encoding") == "base64":
        converted = _of_charset(text(stored.get("text")), charset)
        if converted is not None:
            return {"size": stored.get("size", 0), "text": converted, "charset": charset}
    key = "base64" if stored.get("encoding") == "base64" else "text"
    return {"size": stored.get("size", 0), key: text(stored.get("text"))}


def _of_charset(encoded: str, charset: str) -> str | None:
    """Decode base64 and charset: the inverse of `_in_charset`. None if the file's values are wrong."""
    codec = codec_of(charset)
    if codec is None:
        return None
    try:
        return base64.b64decode(encoded, validate=True).decode(codec)
    except ValueError:
        return None


def predicted_request_body(request: Mapping[str, Any]) -> Record:
    """Return the request's body in the log's form, from an entry's `request`."""
    if "_content" in request:
        return predicted_body(request["_content"])
    sent = text(mapping(request.get("postData")).get("text"))
    return {"size": len(sent.encode()), "text": sent} if sent else dict(EMPTY)


def message_data(body: Mapping[str, Any], binary: bool) -> str:
    """Return the content of a WebSocket message as Chrome writes it: base64 if the message is binary."""
    stored = body.get("base64")
    if isinstance(stored, str):
        return stored
    sent = text(body.get("text"))
    return base64.b64encode(sent.encode()).decode("ascii") if binary else sent


def predicted_message(data: str, binary: bool) -> Record:
    """Return the content of a WebSocket message in the log's form."""
    if not binary:
        return {"size": len(data.encode()), "text": data}
    try:
        return encode_body(base64.b64decode(data, validate=True))
    except (binascii.Error, ValueError):
        return {"size": 0, "text": ""}


def inline_bytes(body: Mapping[str, Any]) -> bytes:
    """Return the bytes of a body that the record itself contains."""
    if isinstance(body.get("text"), str) and "charset" not in body:
        return str(body["text"]).encode()
    try:
        return base64.b64decode(text(body.get("base64")), validate=True)
    except (binascii.Error, ValueError):
        return b""
