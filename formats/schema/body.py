"""Bodies in the log: bytes ⇄ the form `{"size", "text" | "base64" | "file", …}`.

All bodies, the `content` of WebSocket messages and of body data, and `rawHead` have this form.
"""

from __future__ import annotations

import base64
import binascii
import builtins
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from mockrec.formats.schema.errors import RecordError, SessionError
from mockrec.formats.text.charsets import codec_of
from mockrec.formats.text.json import parse

FILE_NAME = re.compile(r"([0-9a-f]{2})/\1[0-9a-f]{62}")
"""The only form of `file`: two hex digits of the hash, a slash, the whole hash (SHA-256)."""

# Attribute → JSON name, in the order in which they are written.
_NAMES = {
    "size": "size",
    "inline_text": "text",
    "inline_base64": "base64",
    "file": "file",
    "sha256": "sha256",
    "content_encoding": "contentEncoding",
    "encoded_size": "encodedSize",
    "charset": "charset",
    "raw_base64": "raw",
    "truncated": "truncated",
    "redacted": "redacted",
    "undecodable": "undecodable",
    "incomplete": "incomplete",
}
_KEYS = frozenset(_NAMES.values())


def names_of_keys() -> dict[str, str]:
    """Attribute → key of the log, in the order in which the keys are written."""
    return dict(_NAMES)


def encode_body(data: bytes) -> dict[str, Any]:
    """`{"size", "text"}` if the bytes are valid UTF-8, otherwise `{"size", "base64"}`."""
    try:
        return {"size": len(data), "text": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"size": len(data), "base64": base64.b64encode(data).decode("ascii")}


@dataclass(kw_only=True)
class Body:
    """One body. Use `bytes`, `text`, `json()` and `form()`; the other attributes say how it was recorded."""

    size: int
    """Bytes of the whole body after content decoding, also if only a part was recorded."""
    inline_text: str | None = None
    """The record's `text`: the recorded bytes are valid UTF-8, or were converted from `charset`."""
    inline_base64: str | None = None
    """The record's `base64`: any other bytes."""
    file: str | None = None
    """Name in the session's `.bodies` folder, if the body is in a file next to the log."""
    sha256: str | None = None
    """Hash of the recorded bytes, 64 lower-case hex digits."""
    content_encoding: str | None = None
    """The `Content-Encoding` that was decoded, for example `gzip`."""
    encoded_size: int | None = None
    """Bytes on the wire, before content decoding."""
    charset: str | None = None
    """The declared charset from which `text` was converted, if that is not UTF-8."""
    raw_base64: str | None = None
    """The bytes on the wire, in sessions recorded with `bodies: both`."""
    truncated: bool = False
    """Only the beginning was recorded."""
    redacted: bool = False
    """Secrets in it were replaced by marks."""
    undecodable: bool = False
    """The content encoding could not be decoded: these are the bytes on the wire."""
    incomplete: bool = False
    """The exchange ended before the end of the body."""
    folder: Path | None = field(default=None, repr=False, compare=False)
    """The folder of `file`; None if the session has no such folder."""
    extra: dict[str, Any] = field(default_factory=dict, repr=False)
    """Keys that this version does not know."""

    @classmethod
    def from_record(cls, record: Mapping[str, Any], folder: Path | None = None) -> Body:
        """Read the log's form. Raises `RecordError` if `size` is missing."""
        if "size" not in record:
            raise RecordError("a body has no size")
        body = cls(size=record["size"], folder=folder)
        for name, key in _NAMES.items():
            if key in record:
                setattr(body, name, record[key])
        body.extra = {key: value for key, value in record.items() if key not in _KEYS}
        return body

    def to_record(self) -> dict[str, Any]:
        """The log's form. Attributes that are None or False are left out."""
        record: dict[str, Any] = {"size": self.size}
        for name, key in _NAMES.items():
            value = getattr(self, name)
            if value is not None and value is not False:
                record[key] = value
        return record | self.extra

    @property
    def bytes(self) -> builtins.bytes:
        """The recorded bytes, exactly.

        Raises `SessionError` if they are in a file that is missing, refused or has another hash, or if the record holds
        text or base64 that cannot be converted back to bytes.
        """
        if self.inline_text is not None:
            charset = _text(self.charset or "utf-8", "charset")
            codec = codec_of(charset)
            if codec is None:
                raise SessionError("body", f"its text is in the charset {charset!r}, which is not known")
            try:
                return _text(self.inline_text, "text").encode(codec)
            except ValueError as error:  # it has no form for a character
                raise SessionError("body", f"its text is not {charset}: {error}") from None
        if self.inline_base64 is not None:
            return _from_base64(self.inline_base64)
        if self.file is not None:
            return self._read_file()
        return b""

    @property
    def raw(self) -> builtins.bytes | None:
        """The bytes on the wire, if the session has them in addition to the decoded ones."""
        return None if self.raw_base64 is None else _from_base64(self.raw_base64)

    @property
    def text(self) -> str | None:
        """The recorded bytes as text; None if they are not UTF-8. Raises `SessionError` as `bytes` does."""
        if self.inline_text is not None:
            return _text(self.inline_text, "text")
        if self.file is None:
            return None
        try:
            return self.bytes.decode("utf-8")
        except UnicodeDecodeError:
            return None

    def json(self) -> Any:
        """The body as JSON. Raises `ValueError` if it is no JSON, also if it was truncated."""
        text = self.text
        if text is None:
            raise ValueError("the body is not text")
        return parse(text)

    def form(self) -> dict[str, list[str]]:
        """The fields of `application/x-www-form-urlencoded`, each with all its values in order."""
        return parse_qs(self.text or "", keep_blank_values=True)

    def check_file(self) -> int:
        """Check the hash of `file` in fixed memory, and return its size. Raises `SessionError` as `bytes` does."""
        with self._open_file() as file:
            size = os.fstat(file.fileno()).st_size
            if hashlib.file_digest(file, "sha256").hexdigest() != Path(file.name).name:
                raise SessionError(file.name, "the content is not what its hash says")
        return size

    def _read_file(self) -> builtins.bytes:
        with self._open_file() as file:
            data = file.read()
        if hashlib.sha256(data).hexdigest() != Path(file.name).name:
            raise SessionError(file.name, "the content is not what its hash says")
        return data

    def _open_file(self) -> BufferedReader:
        name = _text(self.file or "", "file")
        if not FILE_NAME.fullmatch(name):
            raise SessionError(name, "refused: a body's file is named by two hex digits, '/', and its hash")
        if self.folder is None:
            raise SessionError(name, "the folder with the session's bodies is not known")
        return own_file(self.folder, name).open("rb")


def _text(value: Any, key: str) -> str:
    """The value of a body's key if it is a string. Raises `SessionError` otherwise."""
    if not isinstance(value, str):
        raise SessionError("body", f"its {key} is no text")
    return value


def own_file(folder: Path, name: str) -> Path:
    """The path of a body file, if it can be opened and is in the folder: links may lead out of it.

    Raises `SessionError`.
    """
    path = folder / name
    try:
        real = path.resolve()
        if not real.is_relative_to(folder.resolve()):
            raise SessionError(name, f"refused: it leads out of {folder}")
        if path.exists() and not path.is_file():
            raise SessionError(name, "refused: it is no file")  # opening a named pipe could block for ever
        path.open("rb").close()
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        raise SessionError(str(path), getattr(error, "strerror", None) or str(error)) from None
    return path


def _from_base64(value: Any) -> builtins.bytes:
    text = _text(value, "base64")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SessionError("body", f"its base64 is damaged: {error}") from None
