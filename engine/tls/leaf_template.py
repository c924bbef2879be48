"""Certificates made from the bytes of one other: DER (X.690, 10) without an object for each field.

The certificates of one authority differ in serial number, validity, subject and subjectAltName, and in the signature.
`cryptography` builds the first, and all others are its bytes with these fields replaced. A property test compares them
with what `cryptography` builds.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

_INTEGER: Final = 0x02
_BIT_STRING: Final = 0x03
_OCTET_STRING: Final = 0x04
_UTF8_STRING: Final = 0x0C
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18
_SEQUENCE: Final = 0x30
_SET: Final = 0x31
_DNS_NAME: Final = 0x82  # GeneralName, RFC 5280, 4.2.1.6
_IP_ADDRESS: Final = 0x87
_EXTENSIONS: Final = 0xA3

_COMMON_NAME: Final = bytes.fromhex("0603550403")  # 2.5.4.3
_SUBJECT_ALT_NAME: Final = bytes.fromhex("0603551d11")  # 2.5.29.17
_CRITICAL: Final = bytes.fromhex("0101ff")
_EMPTY_SUBJECT: Final = bytes.fromhex("3000")
_LAST_UTC_YEAR: Final = 2049  # RFC 5280, 4.1.2.5


class LeafTemplate:
    """What the certificates of one authority and one key have in common."""

    def __init__(self, certificate: bytes) -> None:
        """`certificate`: one of them, in DER. Raises ValueError if its last extension is not subjectAltName."""
        signed, self._algorithm, _ = elements(_content(certificate))
        version, _, algorithm, issuer, _, _, key, extensions = elements(_content(signed))
        self._before_serial = version
        self._before_validity = algorithm + issuer
        self._before_extensions = key
        *common, last = elements(_content(_content(extensions)))
        if not _content(last).startswith(_SUBJECT_ALT_NAME):
            raise ValueError("the last extension is not subjectAltName")
        self._common_extensions = b"".join(common)

    def to_be_signed(self, serial: int, validity: bytes, common_name: str, names: Sequence[bytes]) -> bytes:
        """Return the TBSCertificate (RFC 5280, 4.1.2).

        `validity` and `names` come from the functions below. An empty `common_name` gives an empty subject, in which
        case subjectAltName is critical (4.2.1.6).
        """
        alternative = _der(_OCTET_STRING, _der(_SEQUENCE, b"".join(names)))
        if common_name:
            text = _der(_UTF8_STRING, common_name.encode())
            subject = _der(_SEQUENCE, _der(_SET, _der(_SEQUENCE, _COMMON_NAME + text)))
            last = _der(_SEQUENCE, _SUBJECT_ALT_NAME + alternative)
        else:
            subject = _EMPTY_SUBJECT
            last = _der(_SEQUENCE, _SUBJECT_ALT_NAME + _CRITICAL + alternative)
        return _der(
            _SEQUENCE,
            self._before_serial
            + _der(_INTEGER, serial.to_bytes(serial.bit_length() // 8 + 1))  # its first bit is the sign
            + self._before_validity
            + validity
            + subject
            + self._before_extensions
            + _der(_EXTENSIONS, _der(_SEQUENCE, self._common_extensions + last)),
        )

    def signed(self, to_be_signed: bytes, signature: bytes) -> bytes:
        """Return the certificate."""
        return _der(_SEQUENCE, to_be_signed + self._algorithm + _der(_BIT_STRING, b"\0" + signature))


def dns_name(ascii_name: str) -> bytes:
    """Return a host name as subjectAltName has it."""
    return _der(_DNS_NAME, ascii_name.encode("ascii"))


def ip_address_name(packed: bytes) -> bytes:
    """Return an IP address of 4 or 16 bytes as subjectAltName has it."""
    return _der(_IP_ADDRESS, packed)


def validity(begins: datetime, ends: datetime) -> bytes:
    """Return the field of this name: two times in UTC, without fractions of a second."""
    return _der(_SEQUENCE, _time(begins) + _time(ends))


def _time(time: datetime) -> bytes:
    if time.year <= _LAST_UTC_YEAR:
        return _der(_UTC_TIME, time.strftime("%y%m%d%H%M%SZ").encode())
    return _der(_GENERALIZED_TIME, time.strftime("%Y%m%d%H%M%SZ").encode())


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(length))) + length + content


def elements(data: bytes) -> list[bytes]:
    """Split valid DER into its elements, each with its tag and length."""
    found, at = [], 0
    while at < len(data):
        end = _content_span(data, at)[1]
        found.append(data[at:end])
        at = end
    return found


def _content(element: bytes) -> bytes:
    begin, end = _content_span(element, 0)
    return element[begin:end]


def _content_span(data: bytes, at: int) -> tuple[int, int]:
    """Return where the content of the element at `at` begins and ends. Tags of certificates have one byte."""
    size = data[at + 1]
    begin = at + 2
    if size >= 0x80:
        begin += size & 0x7F
        size = int.from_bytes(data[at + 2 : begin])
    return begin, begin + size
