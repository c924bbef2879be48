"""The first message of a TLS client, its ClientHello (RFC 8446, 4.1.2; RFC 5246, 7.4.1.2): read, never answered.

The message may be cut anywhere, by packets and by TLS records (RFC 8446, 5.1), and its size is bounded. Only its
outer structure must be valid: an extension with malformed contents is read as one without values, because the TLS
library, which receives the same bytes, reports the fault. Hellos in SSL 2.0 format (RFC 5246, E.2) are not read.

The lists have what was sent, in wire order and with GREASE (RFC 8701). The fingerprints leave GREASE out:

* JA3: MD5 of `version,ciphers,extensions,groups,point formats`, the numbers decimal and joined with `-`
  (https://github.com/salesforce/ja3).
* JA4: https://github.com/FoxIO-LLC/ja4/blob/main/technical_details/JA4.md. Shortened forms exist; this is the whole
  one. The version is the highest that is not GREASE in supported_versions, so a client that sends the
  extension without TLS 1.3 is not `13`. A first protocol that does not begin and end with an ASCII letter or
  digit gives the first and the last digit of its hex form. Counts stop at 99. Without ciphers, or without
  extensions other than SNI and ALPN, the hash is twelve zeros.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from struct import Struct, unpack
from typing import Final

import msgspec
from msgspec.structs import replace

HELLO_LIMIT = 0x10000
"""Bytes, record headers included, within which a hello must end."""
RECORD_COUNT_LIMIT = 1024
"""Records that a hello may be split into: they are read again for every packet, which must stay cheap."""

_HANDSHAKE_RECORD = b"\x16\x03"  # ContentType handshake, then the major version that SSL 3.0 and all of TLS share
_RECORD_SIZE_LIMIT = 0x4000
_CLIENT_HELLO = 1
_MESSAGE_BEGIN: Final = 9
"""Where the body of a message begins in the first record: after the headers of both."""

SERVER_NAME = 0
SUPPORTED_GROUPS = 10
POINT_FORMATS = 11
SIGNATURE_ALGORITHMS = 13
ALPN = 16
SUPPORTED_VERSIONS = 43
_READ: Final = frozenset({SERVER_NAME, SUPPORTED_GROUPS, POINT_FORMATS, SIGNATURE_ALGORITHMS, ALPN, SUPPORTED_VERSIONS})
"""The types of the extensions whose contents are read."""
_EXTENSION: Final = Struct(">HH")
"""Type and length of an extension (RFC 8446, 4.2)."""

_HOST_NAME = re.compile(rb"[!-~]+")  # RFC 6066, 3: ASCII; names in other scripts come as A-labels
_VERSION_NAMES = {0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10", 0x0300: "s3", 0x0002: "s2"}
_NO_HASH = "0" * 12


class ClientHello(msgspec.Struct, frozen=True):
    """A complete ClientHello (RFC 8446, 4.1.2). A list whose extension is absent or malformed is empty."""

    version: int
    """`legacy_version`: 0x0303 for TLS 1.2 and all later versions."""
    ciphers: tuple[int, ...]
    extensions: tuple[int, ...]
    """The types of the extensions (RFC 8446, 4.2)."""
    server_name: str | None
    """The SNI host name as sent (RFC 6066, 3)."""
    alpn: tuple[str, ...]
    """The protocols offered (RFC 7301, 3.1), decoded as latin-1."""
    versions: tuple[int, ...]
    """supported_versions (RFC 8446, 4.2.1)."""
    groups: tuple[int, ...]
    """supported_groups (RFC 8446, 4.2.7)."""
    point_formats: tuple[int, ...]
    """ec_point_formats (RFC 8422, 5.1.2)."""
    signature_algorithms: tuple[int, ...]
    """signature_algorithms (RFC 8446, 4.2.3)."""

    @property
    def ja3_text(self) -> str:
        """The text whose hash is JA3."""
        lists = (self.ciphers, self.extensions, self.groups, self.point_formats)
        return ",".join([str(self.version), *("-".join(map(str, _without_grease(numbers))) for numbers in lists)])

    @property
    def ja3(self) -> str:
        """The JA3 fingerprint: 32 hexadecimal digits."""
        return self.fingerprints[0]

    @property
    def ja4(self) -> str:
        """The JA4 fingerprint: 36 characters, such as `t13d1516h2_8daaf6152771_e5627efa2ab1`."""
        return self.fingerprints[1]

    @property
    def fingerprints(self) -> tuple[str, str]:
        """JA3 and JA4. Those of a client are the same for all servers, so they are looked up without the name."""
        return _fingerprints(self if self.server_name is None else replace(self, server_name=None))

    def _make_ja3(self) -> str:
        return hashlib.md5(self.ja3_text.encode("ascii"), usedforsecurity=False).hexdigest()

    def _make_ja4(self) -> str:
        ciphers = _without_grease(self.ciphers)
        extensions = _without_grease(self.extensions)
        hashed = [number for number in extensions if number not in (SERVER_NAME, ALPN)]
        algorithms = _without_grease(self.signature_algorithms)
        tail = "_" + _hex_list(algorithms) if algorithms else ""
        return (
            f"t{self._ja4_version()}{'d' if SERVER_NAME in extensions else 'i'}"
            f"{min(len(ciphers), 99):02}{min(len(extensions), 99):02}{self._ja4_alpn()}"
            f"_{_ja4_hash(_hex_list(sorted(ciphers))) if ciphers else _NO_HASH}"
            f"_{_ja4_hash(_hex_list(sorted(hashed)) + tail) if hashed else _NO_HASH}"
        )

    def _ja4_version(self) -> str:
        if SUPPORTED_VERSIONS not in self.extensions:
            return _VERSION_NAMES.get(self.version, "00")
        return _VERSION_NAMES.get(max(_without_grease(self.versions), default=0), "00")

    def _ja4_alpn(self) -> str:
        for name in self.alpn:
            raw = name.encode("latin-1")
            if len(raw) == 2 and _is_grease(int.from_bytes(raw)):
                continue
            ends = name[0] + name[-1]
            return ends if ends.isascii() and ends.isalnum() else raw.hex()[0] + raw.hex()[-1]
        return "00"


@lru_cache(maxsize=256)
def _fingerprints(hello: ClientHello) -> tuple[str, str]:
    """JA3 and JA4; cached, because a client sends the same hello again and again."""
    return hello._make_ja3(), hello._make_ja4()


class NeedMore(msgspec.Struct, frozen=True):
    """The bytes may be the start of a ClientHello; read again once there are `size` bytes in all."""

    size: int


class NotTls(msgspec.Struct, frozen=True):
    """The bytes are no ClientHello, whatever follows: they are another protocol, malformed, or over a limit."""

    reason: str


def read_client_hello(buffer: bytes | bytearray) -> ClientHello | NeedMore | NotTls:
    """Read the ClientHello that the bytes of a connection begin with (RFC 8446, 5.1 and 4.1.2).

    Bytes after it are ignored, and a result other than `NeedMore` stays the same for more bytes.
    """
    end = _end_in_one_record(buffer)
    if end:
        return _read_message(bytes(buffer[_MESSAGE_BEGIN:end]))
    pieces: list[bytes | bytearray] = []
    have = 0
    size = 0  # of the message; 0 until its four-byte header is complete
    at = 0
    for _ in range(RECORD_COUNT_LIMIT):
        header = buffer[at : at + 5]
        if at + 5 > HELLO_LIMIT:
            return NotTls("too long")
        if not _HANDSHAKE_RECORD.startswith(header[:2]):
            return NotTls("not a handshake record")
        if len(header) < 5:
            return NeedMore(at + 5)
        at += 5
        length = int.from_bytes(header[3:])
        if not 0 < length <= _RECORD_SIZE_LIMIT:
            return NotTls("bad record length")
        stop = at + length
        while at < stop:
            until = min(stop, at + (size or 4) - have)
            if until > HELLO_LIMIT:
                return NotTls("too long")
            piece = buffer[at:until]
            if not have and piece and piece[0] != _CLIENT_HELLO:
                return NotTls("not a ClientHello")
            if at + len(piece) < until:
                return NeedMore(until)
            pieces.append(piece)
            have += len(piece)
            at = until
            if not size and have == 4:
                size = 4 + int.from_bytes(b"".join(pieces)[1:])
                if size > HELLO_LIMIT:
                    return NotTls("too long")
            if have == size:
                return _read_message(b"".join(pieces)[4:])
    return NotTls("too many records")


def _end_in_one_record(buffer: bytes | bytearray) -> int:
    """Return where the message ends if the first record has all of it, as most have; 0 for anything else."""
    if len(buffer) < _MESSAGE_BEGIN or buffer[5] != _CLIENT_HELLO or not buffer.startswith(_HANDSHAKE_RECORD):
        return 0
    length = buffer[3] << 8 | buffer[4]
    end = _MESSAGE_BEGIN + int.from_bytes(buffer[6:_MESSAGE_BEGIN])
    return end if end <= 5 + length and end <= len(buffer) and length <= _RECORD_SIZE_LIMIT else 0


class _Malformed(Exception):
    """A length that exceeds the bytes, or does not fit the items. Caught in this file."""


class _Reader:
    """Reads vectors (RFC 8446, 3.4), one after another."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def ended(self) -> bool:
        return self._at == len(self._data)

    def take(self, count: int) -> bytes:
        data = self._data[self._at : self._at + count]
        if len(data) < count:
            raise _Malformed
        self._at += count
        return data

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width))

    def vector(self, width: int) -> bytes:
        """Read opaque bytes after a length of `width` bytes."""
        data, begin = self._data, self._at + width
        end = begin + int.from_bytes(data[self._at : begin])
        if begin > len(data) or end > len(data):
            raise _Malformed
        self._at = end
        return data[begin:end]


def _read_message(body: bytes) -> ClientHello | NotTls:
    try:
        reader = _Reader(body)
        version = reader.number(2)
        reader.take(32)  # random
        reader.vector(1)  # legacy_session_id
        ciphers = _numbers(reader.vector(2))
        reader.vector(1)  # legacy_compression_methods
        types, contents = _read_extensions(reader)
    except _Malformed:
        return NotTls("malformed ClientHello")
    return ClientHello(
        version=version,
        ciphers=ciphers,
        extensions=types,
        server_name=_read_server_name(contents.get(SERVER_NAME, b"")),
        alpn=_read_alpn(contents.get(ALPN, b"")),
        versions=_read_numbers(contents.get(SUPPORTED_VERSIONS, b""), length_width=1),
        groups=_read_numbers(contents.get(SUPPORTED_GROUPS, b"")),
        point_formats=_read_numbers(contents.get(POINT_FORMATS, b""), length_width=1, width=1),
        signature_algorithms=_read_numbers(contents.get(SIGNATURE_ALGORITHMS, b"")),
    )


def _read_extensions(reader: _Reader) -> tuple[tuple[int, ...], dict[int, bytes]]:
    """Return the types in wire order, and the contents that are read, by type: the first of each, because none may be
    repeated."""
    types: list[int] = []
    contents: dict[int, bytes] = {}
    if not reader.ended():  # RFC 5246, 7.4.1.2: the whole block may be absent
        block = reader.vector(2)
        if not reader.ended():
            raise _Malformed
        at, end = 0, len(block)
        while at < end:
            if at + 4 > end:
                raise _Malformed
            kind, size = _EXTENSION.unpack_from(block, at)
            begin = at + 4
            at = begin + size
            if at > end:
                raise _Malformed
            types.append(kind)
            if kind in _READ and kind not in contents:
                contents[kind] = block[begin:at]
    return tuple(types), contents


def _read_server_name(content: bytes) -> str | None:
    """RFC 6066, 3: a list of (type, name); type 0 is a host name."""
    try:
        names = _Reader(_whole_vector(content, 2))
        while not names.ended():
            kind, name = names.number(1), names.vector(2)
            if kind == 0:
                return name.decode("ascii") if _HOST_NAME.fullmatch(name) else None
    except _Malformed:
        pass
    return None


def _read_alpn(content: bytes) -> tuple[str, ...]:
    """RFC 7301, 3.1: a list of names, none of them empty."""
    protocols: list[str] = []
    try:
        names = _Reader(_whole_vector(content, 2))
        while not names.ended():
            protocols.append(names.vector(1).decode("latin-1"))
    except _Malformed:
        return ()
    return tuple(protocols) if all(protocols) else ()


def _read_numbers(content: bytes, *, length_width: int = 2, width: int = 2) -> tuple[int, ...]:
    if not content:
        return ()  # at once: most hellos lack an extension
    try:
        return _numbers(_whole_vector(content, length_width), width)
    except _Malformed:
        return ()


def _whole_vector(content: bytes, width: int) -> bytes:
    if len(content) < width or int.from_bytes(content[:width]) != len(content) - width:
        raise _Malformed
    return content[width:]


def _numbers(data: bytes, width: int = 2) -> tuple[int, ...]:
    """Return numbers of one or two bytes."""
    if width == 1:
        return tuple(data)
    if len(data) % 2:
        raise _Malformed
    return unpack(f">{len(data) // 2}H", data)


def _is_grease(number: int) -> bool:
    """RFC 8701, 2: 0x0a0a, 0x1a1a … 0xfafa. No point format (one byte) is among them."""
    return number & 0x0F0F == 0x0A0A and number >> 8 == number & 0xFF


def _without_grease(numbers: Iterable[int]) -> list[int]:
    return [number for number in numbers if not _is_grease(number)]


def _hex_list(numbers: Iterable[int]) -> str:
    return ",".join(f"{number:04x}" for number in numbers)


def _ja4_hash(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:12]
