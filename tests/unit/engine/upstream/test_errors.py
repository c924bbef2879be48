"""What is said when a server cannot be reached: codes, sentences and tags."""

from __future__ import annotations

import errno
import socket

import pytest

from mockrec.engine.transport.tls import TlsError
from mockrec.engine.upstream.errors import UpstreamError, alert_number, system_error, tls_error


@pytest.mark.parametrize(
    ("number", "code", "text"),
    [
        (errno.ECONNREFUSED, "ECONNREFUSED", "the connection was refused"),
        (errno.ECONNRESET, "ECONNRESET", "the connection was reset"),
        (errno.EHOSTUNREACH, "EHOSTUNREACH", "there is no way to the host"),
        (errno.ENETUNREACH, "ENETUNREACH", "there is no way to the network"),
        (errno.EADDRNOTAVAIL, "EADDRNOTAVAIL", "the address is not available on this machine"),
        (errno.ETIMEDOUT, "ETIMEDOUT", "the connection timed out"),
        (errno.EPIPE, "EPIPE", "the connection was closed"),
        (errno.EMFILE, "EMFILE", "too many open files"),
    ],
)
def test_what_the_system_says_has_its_code_and_a_sentence(number: int, code: str, text: str) -> None:
    error = system_error(OSError(number, "Too many open files"))
    assert (error.code, str(error), error.tags) == (code, text, (f"passthrough-error:{code}",))


@pytest.mark.parametrize("given", [OSError("Something Odd"), OSError(999_999, "Something Odd")])
def test_what_has_no_code_is_an_io_error(given: OSError) -> None:
    error = system_error(given)
    assert (error.code, str(error)) == ("EIO", "something odd")


@pytest.mark.parametrize(
    ("number", "code", "text"),
    [
        (socket.EAI_NONAME, "ENOTFOUND", "its name cannot be resolved"),
        (socket.EAI_FAIL, "ENOTFOUND", "its name cannot be resolved"),
        (socket.EAI_AGAIN, "EAI_AGAIN", "no name server answers"),
    ],
)
def test_names_that_cannot_be_resolved(number: int, code: str, text: str) -> None:
    error = system_error(socket.gaierror(number, "whatever"))
    assert (error.code, str(error)) == (code, text)


def test_an_error_has_its_own_tag_first() -> None:
    assert UpstreamError("X", "text", "a", "b").tags == ("passthrough-error:X", "a", "b")


# RFC 8446, 6 and older ones. SSLv3's alerts have been renamed twice: OpenSSL 3.0, 3.2 and 4.
OLDEST = {
    10: "unexpected message",
    20: "bad record mac",
    30: "decompression failure",
    40: "handshake failure",
    41: "no certificate",
    42: "bad certificate",
    43: "unsupported certificate",
    44: "certificate revoked",
    45: "certificate expired",
    46: "certificate unknown",
    47: "illegal parameter",
}
LATER = {
    21: "tlsv1 alert decryption failed",
    22: "tlsv1 alert record overflow",
    48: "tlsv1 alert unknown ca",
    49: "tlsv1 alert access denied",
    50: "tlsv1 alert decode error",
    51: "tlsv1 alert decrypt error",
    60: "tlsv1 alert export restriction",
    70: "tlsv1 alert protocol version",
    71: "tlsv1 alert insufficient security",
    80: "tlsv1 alert internal error",
    86: "tlsv1 alert inappropriate fallback",
    90: "tlsv1 alert user cancelled",
    100: "tlsv1 alert no renegotiation",
    109: "tlsv13 alert missing extension",
    110: "tlsv1 unsupported extension",
    111: "tlsv1 certificate unobtainable",
    112: "tlsv1 unrecognized name",
    113: "tlsv1 bad certificate status response",
    114: "tlsv1 bad certificate hash value",
    115: "tlsv1 alert unknown psk identity",
    116: "tlsv13 alert certificate required",
    120: "tlsv1 alert no application protocol",
}


@pytest.mark.parametrize("prefix", ["sslv3 alert", "ssl/tls alert", "tls alert"])
@pytest.mark.parametrize(("number", "words"), OLDEST.items())
def test_alerts_of_the_oldest_kind(prefix: str, number: int, words: str) -> None:
    assert alert_number(f"{prefix} {words}") == number


@pytest.mark.parametrize(("number", "reason"), LATER.items())
def test_alerts_of_later_kinds(number: int, reason: str) -> None:
    assert alert_number(reason) == number


@pytest.mark.parametrize(
    "reason",
    ["", "no shared cipher", "wrong version number", "tlsv1 alert", "tlsv1 alert something new", "bad record mac"],
)
def test_what_no_server_has_said_is_no_alert(reason: str) -> None:
    assert alert_number(reason) is None


def test_an_alert_is_told_with_its_number() -> None:
    error = tls_error(TlsError("tlsv1 alert unknown ca"))
    assert (error.code, str(error)) == ("EPROTO", "TLS failed: tlsv1 alert unknown ca (SSL alert number 48)")
    assert error.tags == ("passthrough-error:EPROTO", "passthrough-tls-error:ssl-alert-48")


def test_our_own_judgement_has_no_alert() -> None:
    error = tls_error(TlsError("wrong version number"))
    assert (error.code, str(error)) == ("EPROTO", "TLS failed: wrong version number")
    assert error.tags == ("passthrough-error:EPROTO",)
