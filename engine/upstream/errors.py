"""Failures on the way to a server, each with a code that users of Node and OpenSSL know, and a sentence."""

from __future__ import annotations

import errno
import re
import socket

from mockrec.engine.transport.tls import TlsError

TIMED_OUT = "ETIMEDOUT"
NOT_FOUND = "ENOTFOUND"
RESET = "ECONNRESET"
REFUSED = "ERR_HTTP2_REFUSED"
"""The server has not processed the request, which may be sent again whatever its method is (RFC 9113, 8.7)."""
STREAM_ERROR = "ERR_HTTP2_STREAM_ERROR"
UNSENDABLE = "ERR_HTTP2_INVALID_HEADER_VALUE"
LOOP = "ERR_PASSTHROUGH_LOOP"
PROXY_FAILED = "ERR_PROXY_FAILED"
TLS_FAILED = "EPROTO"
NO_COMMON_PROTOCOL = "passthrough-tls-error:ssl-alert-120"
"""The tag for a server that refuses every protocol that it was offered (RFC 7301, 3.2)."""

_SENTENCES = {
    "ECONNREFUSED": "the connection was refused",
    "ECONNRESET": "the connection was reset",
    "EHOSTUNREACH": "there is no way to the host",
    "ENETUNREACH": "there is no way to the network",
    "EADDRNOTAVAIL": "the address is not available on this machine",
    "ETIMEDOUT": "the connection timed out",
    "EPIPE": "the connection was closed",
}
# RFC 8446, 6 and RFC 5246, 7.2: OpenSSL's name of an alert → its number.
_ALERTS = {
    "unexpected message": 10,
    "bad record mac": 20,
    "decryption failed": 21,
    "record overflow": 22,
    "decompression failure": 30,
    "handshake failure": 40,
    "no certificate": 41,
    "bad certificate": 42,
    "unsupported certificate": 43,
    "certificate revoked": 44,
    "certificate expired": 45,
    "certificate unknown": 46,
    "illegal parameter": 47,
    "unknown ca": 48,
    "access denied": 49,
    "decode error": 50,
    "decrypt error": 51,
    "export restriction": 60,
    "protocol version": 70,
    "insufficient security": 71,
    "internal error": 80,
    "inappropriate fallback": 86,
    "user cancelled": 90,
    "no renegotiation": 100,
    "missing extension": 109,
    "unsupported extension": 110,
    "certificate unobtainable": 111,
    "unrecognized name": 112,
    "bad certificate status response": 113,
    "bad certificate hash value": 114,
    "unknown psk identity": 115,
    "certificate required": 116,
    "no application protocol": 120,
}
_ALERT = re.compile(r"(?:ssl/tls|sslv3|tls|tlsv1|tlsv13)(?: alert)? (.+)")


class UpstreamError(Exception):
    """A server could not be reached, or broke the protocol. The text is a sentence whose subject is the server."""

    def __init__(self, code: str, message: str, *tags: str, raw_head: bytes = b"", closed: bool = False) -> None:
        """`raw_head`: the bytes of a response head that was rejected."""
        super().__init__(message)
        self.code = code
        self.raw_head = raw_head
        self.closed = closed
        """Whether the server has closed the connection in order (FIN), but too early."""
        self.tags = (f"passthrough-error:{code}", *tags)
        """Tags for the exchange."""

    def again(self) -> UpstreamError:
        """A copy to raise elsewhere: an instance that is raised several times collects tracebacks."""
        return UpstreamError(self.code, str(self), *self.tags[1:], raw_head=self.raw_head, closed=self.closed)


def system_error(error: OSError) -> UpstreamError:
    """The error for a failed system call."""
    if isinstance(error, socket.gaierror):
        code = "EAI_AGAIN" if error.errno == socket.EAI_AGAIN else NOT_FOUND
        return UpstreamError(code, "its name cannot be resolved" if code == NOT_FOUND else "no name server answers")
    code = errno.errorcode.get(error.errno or 0, "EIO")
    return UpstreamError(code, _SENTENCES.get(code) or (error.strerror or str(error)).lower())


def alert_number(reason: str) -> int | None:
    """The number of the alert that OpenSSL's reason names, if the reason is a received alert."""
    found = _ALERT.fullmatch(reason)
    return _ALERTS.get(found[1]) if found else None


def tls_error(error: TlsError) -> UpstreamError:
    """The error for TLS that failed, on this side or by an alert of the server."""
    alert = alert_number(error.reason)
    if alert is None:
        return UpstreamError(TLS_FAILED, f"TLS failed: {error.reason}")
    return UpstreamError(
        TLS_FAILED,
        f"TLS failed: {error.reason} (SSL alert number {alert})",
        f"passthrough-tls-error:ssl-alert-{alert}",
    )


def unsendable(error: ValueError) -> UpstreamError:
    """The error for a request that the server's protocol cannot carry."""
    return UpstreamError(UNSENDABLE, f"HTTP/2 cannot carry this request: {error}")
