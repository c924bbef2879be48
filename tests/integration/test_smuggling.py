"""Request smuggling: what a client may say so that two readers see different requests in it.

Behind each case of the table stands a victim, a request of its own. The case is refused, and then neither it nor the
victim reaches anybody; or it is passed on, and then every server sees exactly what the log says, and the victim behind
it. Servers are a strict one of the test, nginx, and the recorder itself with a mocked answer.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from strict_server import Request, Seen, Strict

S = "GET /smuggled HTTP/1.1\r\nHost: {H}\r\n\r\n"
INNER = S.replace("{H}", "a.test")
VICTIM = "GET /victim HTTP/1.1\r\nHost: {H}\r\nConnection: close\r\n\r\n"
P = "POST /first HTTP/1.1\r\nHost: {H}\r\n"
G = "GET /first HTTP/1.1\r\nHost: {H}\r\n"
CHUNKED = P + "Transfer-Encoding: chunked\r\n\r\n"
TE = f"Content-Length: {len(S)}\r\n\r\n0\r\n\r\n" + S
BAD = "HPE_INVALID_HEADER_TOKEN"
LINE = "HPE_INVALID_VERSION"
LENGTH = "HPE_INVALID_CONTENT_LENGTH"
LENGTHS = "HPE_UNEXPECTED_CONTENT_LENGTH"
CODING = "HPE_INVALID_TRANSFER_ENCODING"
CHUNK = "HPE_INVALID_CHUNK_SIZE"
METHOD = "HPE_INVALID_METHOD"
URL = "HPE_INVALID_URL"
HOST = "ERR_INVALID_URL"

GET: list[Request] = [("GET", "/first", b"")]


def post(body: str) -> list[Request]:
    return [("POST", "/first", body.encode("latin-1"))]


# Name → what is sent before the victim, and the code of the refusal or what is passed on.
CASES: dict[str, tuple[str, str | list[Request]]] = {
    # Content-Length and Transfer-Encoding at once (RFC 9112, 6.1)
    "CL.TE": (P + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", CODING),
    "TE.CL": (P + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n" + S + "\r\n0\r\n\r\n", CODING),
    "TE and no CL": (CHUNKED + "5\r\nhello\r\n0\r\n\r\n", post("hello")),
    "TE in capitals": (P + "TRANSFER-ENCODING: CHUNKED\r\n\r\n1\r\na\r\n0\r\n\r\n", post("a")),
    "TE with a tab": (P + "Transfer-Encoding:\tchunked\r\n\r\n1\r\na\r\n0\r\n\r\n", post("a")),
    # Transfer-Encoding that not everybody sees
    "TE.TE": (P + "Transfer-Encoding: chunked\r\nTransfer-encoding: cow\r\n\r\n0\r\n\r\n", CODING),
    "TE twice": (P + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", CODING),
    "TE listed twice": (P + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", CODING),
    "TE not last": (P + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", CODING),
    "TE after gzip": (P + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", CODING),
    "TE identity": (P + "Transfer-Encoding: identity\r\n" + TE, CODING),
    "TE identity alone": (P + "Transfer-Encoding: identity\r\n\r\n", CODING),
    "TE empty": (P + "Transfer-Encoding:\r\n" + TE, CODING),
    "TE with a comma": (P + "Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n", CODING),
    "TE quoted": (P + 'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n', CODING),
    "TE xchunked": (P + "Transfer-Encoding: xchunked\r\n" + TE, CODING),
    "TE with a parameter": (P + "Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n", CODING),
    "TE with a space before the colon": (P + "Transfer-Encoding : chunked\r\n" + TE, BAD),
    "TE with a tab before the colon": (P + "Transfer-Encoding\t: chunked\r\n" + TE, BAD),
    "TE with a space before the name": (P + "X: 1\r\n Transfer-Encoding: chunked\r\n" + TE, BAD),
    "TE with a vertical tab": (P + "Transfer-Encoding:\x0bchunked\r\n" + TE, BAD),
    "TE with a form feed": (P + "Transfer-Encoding: chunked\x0c\r\n" + TE, BAD),
    "TE with a NUL": (P + "Transfer-Encoding: chunked\x00\r\n" + TE, BAD),
    "TE with a NUL in the name": (P + "Transfer\x00-Encoding: chunked\r\n" + TE, BAD),
    "TE with a no-break space": (P + "Transfer-Encoding:\xa0chunked\r\n\r\n0\r\n\r\n", CODING),
    "TE behind a bare LF": (P + "X: 1\nTransfer-Encoding: chunked\r\n" + TE, LINE),
    "TE behind a bare CR": (P + "X: 1\rTransfer-Encoding: chunked\r\n" + TE, BAD),
    "TE folded": (P + "Transfer-Encoding:\r\n chunked\r\n" + TE, BAD),
    "TE with a bare LF": (P + "Transfer-Encoding\n: chunked\r\n" + TE, LINE),
    "TE in HTTP/1.0": ("POST /first HTTP/1.0\r\nHost: {H}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", CODING),
    "TE by another name": (P + "Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", post("0\r\n\r\n")),
    "TE taken away by Connection": (
        P + "Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", post("a")),
    # Content-Length
    "CL twice": (P + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", LENGTHS),
    "CL twice the same": (P + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", LENGTHS),
    "CL twice, one by another case": (P + "Content-Length: 0\r\ncontent-length: 44\r\n\r\n" + S, LENGTHS),
    "CL list": (P + "Content-Length: 5, 5\r\n\r\nhello", LENGTH),
    "CL list that contradicts": (P + "Content-Length: 5, 0\r\n\r\nhello", LENGTH),
    "CL with a sign": (P + "Content-Length: +5\r\n\r\nhello", LENGTH),
    "CL negative": (P + "Content-Length: -1\r\n\r\nhello", LENGTH),
    "CL hexadecimal": (P + "Content-Length: 0x5\r\n\r\nhello", LENGTH),
    "CL with an exponent": (P + "Content-Length: 5e0\r\n\r\nhello", LENGTH),
    "CL with a fraction": (P + "Content-Length: 5.0\r\n\r\nhello", LENGTH),
    "CL with an underscore": (P + "Content-Length: 1_0\r\n\r\nhellohello", LENGTH),
    "CL with spaces": (P + "Content-Length: 5 5\r\n\r\nhello", LENGTH),
    "CL empty": (P + "Content-Length:\r\n\r\n" + S, LENGTH),
    "CL too large for 64 bits": (P + "Content-Length: 18446744073709551621\r\n\r\nhello", LENGTH),
    "CL too large for signed 64 bits": (P + "Content-Length: 9223372036854775813\r\n\r\nhello", LENGTH),
    "CL with leading zeros": (P + "Content-Length: 0005\r\n\r\nhello", post("hello")),
    "CL in other digits": (P + "Content-Length: \xb2\r\n\r\nhe", LENGTH),
    "CL with a no-break space": (P + "Content-Length: 5\xa0\r\n\r\nhello", LENGTH),
    "CL with a space before the colon": (P + "Content-Length : 44\r\n\r\n" + S, BAD),
    "CL folded": (P + "Content-Length:\r\n 44\r\n\r\n" + S, BAD),
    "CL taken away by Connection": (P + "Connection: content-length\r\nContent-Length: 5\r\n\r\nhello", post("hello")),
    "CL by another name": (P + "Content_Length: 44\r\n\r\n", post("")),
    "CL.0": (P + f"Content-Length: {len(INNER)}\r\n\r\n" + INNER, post(INNER)),
    "GET with a body": (G + "Content-Length: 5\r\n\r\nhello", [("GET", "/first", b"hello")]),
    "GET with a request for a body": (
        G + f"Content-Length: {len(INNER)}\r\n\r\n" + INNER, [("GET", "/first", INNER.encode())]),
    "0.CL": (P + "Content-Length: 0\r\nX: y\r\n\r\n", post("")),
    # lines and fields
    "bare LF ends the head": (G.replace("\r\n", "\n") + "\n", LINE),
    "bare LF in a value": (G + "X: a\nContent-Length: 44\r\n\r\n" + S, LINE),
    "bare LF ends the request line": ("GET /first HTTP/1.1\nHost: {H}\r\n\r\n", LINE),
    "bare CR ends the head": (G.replace("\r\n", "\r") + "\r", LINE),
    "bare CR in a value": (G + "X: a\rContent-Length: 44\r\n\r\n" + S, BAD),
    "CR before CRLF": (G + "X: a\r\r\n\r\n", BAD),
    "CRLFs before the request": ("\r\n\r\n" + G + "\r\n", GET),
    "LFs before the request": ("\n\n" + G + "\r\n", METHOD),
    "folded line": (G + "X: a\r\n b: c\r\n\r\n", BAD),
    "folded line with a tab": (G + "X: a\r\n\tb: c\r\n\r\n", BAD),
    "folded first line": ("GET /first HTTP/1.1\r\n Host: {H}\r\nHost: {H}\r\n\r\n", BAD),
    "NUL in a value": (G + "X: a\x00b\r\n\r\n", BAD),
    "NUL in the target": ("GET /fi\x00rst HTTP/1.1\r\nHost: {H}\r\n\r\n", URL),
    "no colon": (G + "Content-Length\r\n\r\n", BAD),
    "no name": (G + ": 5\r\n\r\n", BAD),
    "space in a name": (G + "X Y: 5\r\n\r\n", BAD),
    "letters above ASCII in a name": (G + "X\xe9: 5\r\n\r\n", BAD),
    "letters above ASCII in a value": (G + "X: \xe9\xff\r\n\r\n", GET),
    "tabs around a value": (G + "X: \t a \t\r\n\r\n", GET),
    "a long line": (G + "X: " + "a" * 70_000 + "\r\n\r\n", "HPE_HEADER_OVERFLOW"),
    "a long target": ("GET /" + "a" * 70_000 + " HTTP/1.1\r\nHost: {H}\r\n\r\n", "HPE_HEADER_OVERFLOW"),
    # the request line
    "two spaces": ("GET  /first HTTP/1.1\r\nHost: {H}\r\n\r\n", URL),
    "a space in the target": ("GET /first /smuggled HTTP/1.1\r\nHost: {H}\r\n\r\n", "HPE_INVALID_CONSTANT"),
    "a space at the end": ("GET /first HTTP/1.1 \r\nHost: {H}\r\n\r\n", LINE),
    "a space at the start": (" GET /first HTTP/1.1\r\nHost: {H}\r\n\r\n", METHOD),
    "two versions": ("GET /first HTTP/1.1 HTTP/1.1\r\nHost: {H}\r\n\r\n", LINE),
    "a tab in the line": ("GET\t/first HTTP/1.1\r\nHost: {H}\r\n\r\n", METHOD),
    "a tab in the target": ("GET /fi\trst HTTP/1.1\r\nHost: {H}\r\n\r\n", URL),
    "HTTP/0.9": ("GET /first\r\n", LINE),
    "HTTP/1.2": ("GET /first HTTP/1.2\r\nHost: {H}\r\n\r\n", LINE),
    "HTTP/2.0": ("GET /first HTTP/2.0\r\nHost: {H}\r\n\r\n", LINE),
    "HTTP/1.10": ("GET /first HTTP/1.10\r\nHost: {H}\r\n\r\n", LINE),
    "http/1.1": ("GET /first http/1.1\r\nHost: {H}\r\n\r\n", "HPE_INVALID_CONSTANT"),
    "a method in small letters": ("get /first HTTP/1.1\r\nHost: {H}\r\n\r\n", METHOD),
    "an unknown method": ("SMUG /first HTTP/1.1\r\nHost: {H}\r\n\r\n", [("SMUG", "/first", b"")]),
    "a registered method in other letters": ("Post /first HTTP/1.1\r\nHost: {H}\r\n\r\n", METHOD),
    "a method with a bracket": ("GE(T /first HTTP/1.1\r\nHost: {H}\r\n\r\n", METHOD),
    "the method of HTTP/2": ("PRI /first HTTP/1.1\r\nHost: {H}\r\n\r\n", METHOD),
    "a relative target": ("GET first HTTP/1.1\r\nHost: {H}\r\n\r\n", URL),
    "a raw UTF-8 target": (
        "GET /m\xc3\xbcnchen?\xe6\x9d\xb1 HTTP/1.1\r\nHost: {H}\r\n\r\n", [("GET", "/m\u00fcnchen?\u6771", b"")]),
    "a raw UTF-8 target with a body": (
        "PUT /\xc3\xbc HTTP/1.1\r\nHost: {H}\r\nContent-Length: 5\r\n\r\nhello", [("PUT", "/\u00fc", b"hello")]),
    "a control character in UTF-8": ("GET /a\xc2\x85b HTTP/1.1\r\nHost: {H}\r\n\r\n", URL),
    "a line separator in UTF-8": ("GET /a\xe2\x80\xa8b HTTP/1.1\r\nHost: {H}\r\n\r\n", URL),
    "half a character in UTF-8": ("GET /a\xc3 HTTP/1.1\r\nHost: {H}\r\n\r\n", URL),
    "a target above ASCII": ("GET /fi\xe9rst HTTP/1.1\r\nHost: {H}\r\n\r\n", URL),
    "a fragment": ("GET /first#x HTTP/1.1\r\nHost: {H}\r\n\r\n", GET),
    "a request in the target": ("GET /first%20HTTP/1.1%0d%0a HTTP/1.1\r\nHost: {H}\r\n\r\n",
                                [("GET", "/first%20HTTP/1.1%0d%0a", b"")]),
    # Host (RFC 9112, 3.2)
    "no Host": ("GET /first HTTP/1.1\r\n\r\n", HOST),
    "Host twice": (G + "Host: evil.test\r\n\r\n", HOST),
    "Host twice the same": (G + "Host: {H}\r\n\r\n", HOST),
    "Host with a space": ("GET /first HTTP/1.1\r\nHost: {H} evil.test\r\n\r\n", "PREPROCESSING_FAILED"),
    "Host list": ("GET /first HTTP/1.1\r\nHost: {H}, evil.test\r\n\r\n", "PREPROCESSING_FAILED"),
    "Host with a path": ("GET /first HTTP/1.1\r\nHost: {H}/smuggled\r\n\r\n", "PREPROCESSING_FAILED"),
    "Host with a user": ("GET /first HTTP/1.1\r\nHost: evil.test@{H}\r\n\r\n", HOST),
    "Host with a bad port": ("GET /first HTTP/1.1\r\nHost: {H}x\r\n\r\n", "PREPROCESSING_FAILED"),
    "Host taken away by Connection": (G + "Connection: host\r\n\r\n", GET),
    "absolute target, another Host": ("GET http://{H}/first HTTP/1.1\r\nHost: evil.test\r\n\r\n", GET),
    "absolute target, Host twice": ("GET http://{H}/first HTTP/1.1\r\nHost: {H}\r\nHost: evil.test\r\n\r\n", HOST),
    "absolute target, a user": ("GET http://evil.test@{H}/first HTTP/1.1\r\nHost: {H}\r\n\r\n", GET),
    "absolute target, a backslash": ("GET http://{H}\\@evil.test/first HTTP/1.1\r\nHost: {H}\r\n\r\n", HOST),
    "absolute target, no host": ("GET http:///first HTTP/1.1\r\nHost: {H}\r\n\r\n", HOST),
    "absolute target, two users": ("GET http://a@b@{H}/first HTTP/1.1\r\nHost: {H}\r\n\r\n", HOST),
    "an authority for a target": ("GET {H} HTTP/1.1\r\nHost: {H}\r\n\r\n", URL),
    "absolute target, no Host": (
        "GET http://{H}/first HTTP/1.1\r\n\r\n", [("GET", "/first", b"")]),
    "absolute target, no Host, a body": (
        "POST http://{H}/first HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", post("hello")),
    # chunks (RFC 9112, 7.1)
    "chunk extensions": (CHUNKED + '5;a=b;c="d\\"e"\r\nhello\r\n0;x\r\n\r\n', post("hello")),
    "chunk extension with a bare LF": (CHUNKED + "5;a\n\r\nhello\r\n0\r\n\r\n", CHUNK),
    "chunk extension with a bare CR": (CHUNKED + "5;a\rb\r\nhello\r\n0\r\n\r\n", CHUNK),
    "chunk extension with a NUL": (CHUNKED + "5;a\x00\r\nhello\r\n0\r\n\r\n", CHUNK),
    "a long chunk extension": (CHUNKED + "5;" + "a" * 70_000 + "\r\nhello\r\n0\r\n\r\n", CHUNK),
    "chunk size with zeros": (CHUNKED + "000005\r\nhello\r\n000\r\n\r\n", post("hello")),
    "chunk size too large": (CHUNKED + "10000000000000005\r\nhello\r\n0\r\n\r\n", CHUNK),
    "chunk size with a sign": (CHUNKED + "+5\r\nhello\r\n0\r\n\r\n", CHUNK),
    "chunk size negative": (CHUNKED + "-5\r\nhello\r\n0\r\n\r\n", CHUNK),
    "chunk size 0x": (CHUNKED + "0x5\r\nhello\r\n0\r\n\r\n", CHUNK),
    "chunk size with an underscore": (CHUNKED + "1_0\r\nhellohellohelloo\r\n0\r\n\r\n", CHUNK),
    "chunk size with a space before": (CHUNKED + " 5\r\nhello\r\n0\r\n\r\n", CHUNK),
    "chunk size with a space behind": (CHUNKED + "5 \r\nhello\r\n0\r\n\r\n", CHUNK),
    "chunk size with garbage": (CHUNKED + "5x\r\nhello\r\n0\r\n\r\n", CHUNK),
    "chunk size empty": (CHUNKED + "\r\nhello\r\n0\r\n\r\n", CHUNK),
    "chunk size with a bare LF": (CHUNKED + "5\nhello\r\n0\r\n\r\n", CHUNK),
    "chunk with a bare LF behind": (CHUNKED + "5\r\nhello\n0\r\n\r\n", CHUNK),
    "chunk with a bare CR behind": (CHUNKED + "5\r\nhello\r0\r\n\r\n", CHUNK),
    "chunk with two bytes behind": (CHUNKED + "5\r\nhelloXX0\r\n\r\n", CHUNK),
    "chunk longer than its size": (CHUNKED + "4\r\nhello\r\n0\r\n\r\n", CHUNK),
    "last chunk with a bare LF": (CHUNKED + "0\n\n", CHUNK),
    "trailers with a bare LF": (CHUNKED + "0\r\nX: 1\n\r\n", BAD),
    "trailers folded": (CHUNKED + "0\r\nX: 1\r\n 2\r\n\r\n", BAD),
    "trailers without a colon": (CHUNKED + "0\r\nGET /smuggled HTTP/1.1\r\n\r\n", BAD),
    "trailers": (CHUNKED + "1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n", post("a")),
    "trailers with a coding": (CHUNKED + "1\r\na\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", post("a")),
    "trailers with a length": (CHUNKED + "1\r\na\r\n0\r\nContent-Length: 44\r\nHost: evil.test\r\n\r\n", post("a")),
    # Expect, Upgrade, Connection
    "Expect": (P + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello", post("hello")),
    "Expect without a body": (G + "Expect: 100-continue\r\n\r\n", GET),
    "Expect with a body of nothing": (P + "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n", post("")),
    "Expect obfuscated": (P + "Expect: y 100-continue\r\nContent-Length: 5\r\n\r\nhello", post("hello")),
    "Expect twice": (P + "Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello", post("hello")),
    "Expect chunked": (P + "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", post("a")),
    "h2c": (G + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n", GET),
    "h2c not named": (G + "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n", GET),
    "Upgrade with a body": (
        P + "Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\nhello", post("hello")),
    "HTTP/2 behind a request": (G + "\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [*GET, ("", METHOD, b"")]),
    "a fault behind a request": (G + "\r\n" + G + "A B: c\r\n\r\n", [*GET, ("", BAD, b"")]),
    "Connection: close": (G + "Connection: close\r\n\r\n", [*GET, ("", "end", b"")]),
    "HTTP/1.0": ("GET /first HTTP/1.0\r\nHost: {H}\r\nConnection: keep-alive\r\n\r\n", [*GET, ("", "end", b"")]),
    "CONNECT with a body": ("CONNECT {H} HTTP/1.1\r\nHost: {H}\r\nContent-Length: 5\r\n\r\nhello", LENGTHS),
}  # fmt: skip

_RAW, _UNKNOWN, _NO_HOST = "client-odd:raw-target", "client-odd:unknown-method", "client-odd:no-host"
ODD = {
    "an unknown method": [_UNKNOWN],
    "a raw UTF-8 target": [_RAW],
    "a raw UTF-8 target with a body": [_RAW],
    "absolute target, no Host": [_NO_HOST],
    "absolute target, no Host, a body": [_NO_HOST],
}
"""What is passed on and tagged."""

REFUSED_BY_NGINX = {"Expect twice"}
"""What is unambiguous, and yet more than nginx takes."""


# ── all cases at once ──────────────────────────────────────────────────────────────────────────────


@dataclass
class Played:
    """One case against one target."""

    answers: list[tuple[int, bytes]]
    records: list[dict[str, Any]]
    seen: list[Request] | None
    """What the server has seen, where it tells."""
    problem: str = ""


def answers_in(raw: bytes) -> list[tuple[int, bytes]]:
    """Statuses and bodies of the final answers, and nothing between them."""
    found = []
    while raw:
        head, mark, raw = raw.partition(b"\r\n\r\n")
        assert mark and head.startswith(b"HTTP/1.1 "), head
        status = int(head[9:12])
        length = re.search(rb"(?i)\r\ncontent-length: ([0-9]+)", head)
        size = int(length[1]) if length else 0
        assert status >= 200 or not size
        if status >= 200:
            found.append((status, raw[:size]))
        raw = raw[size:]
    return found


def said_to(port: int, data: bytes) -> tuple[int, bytes]:
    """Everything that is answered, until the end; and our own port."""
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        own: int = sock.getsockname()[1]
        got = b""
        try:
            sock.sendall(data)
            while piece := sock.recv(65536):
                got += piece
        except ConnectionResetError:
            pass
        return own, got


RULES = """\
version: 1
upstream: {timeouts: {head: 5s, bodyIdle: 5s}}
rules:
  - {when: {host: "mocked.test:81"}, then: {reply: {body: mocked}}}
  - {then: passthrough}
"""


@pytest.fixture(scope="module")
def played(
    shared_recorder: Callable[..., Any],
    shared_upstream: Callable[..., Any],
    shared_nginx: Callable[..., int],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[tuple[str, str], Played]:
    """Every case against every target, in one run."""
    run = shared_recorder(RULES)
    witness = Strict()
    server = shared_upstream(serve=witness.serve)
    access: Path = tmp_path_factory.mktemp("access") / "log"
    nginx = shared_nginx(f'access_log {access}; location / {{ return 200 "$request_method $request_uri"; }}')
    hosts = {"strict": server.authority, "nginx": f"127.0.0.1:{nginx}", "mocked": "mocked.test:81"}
    ports: dict[tuple[str, str], tuple[int, bytes, list[Seen]]] = {}
    for name, (raw, _) in CASES.items():
        for target, host in hosts.items():
            before = len(witness.connections)
            own, got = said_to(run.port, (raw + VICTIM).replace("{H}", host).encode("latin-1"))
            ports[name, target] = own, got, witness.connections[before:]
    session = run.stop()
    server.close()
    results: dict[tuple[str, str], Played] = {}
    # Another connection may have the port of an earlier one, so it is the next that had this port.
    of_port: dict[object, dict[str, None]] = {}
    for record in session.records:
        if port := _port(record):
            of_port.setdefault(port, {}).setdefault(record["connectionId"])
    for (name, target), (own, got, connections) in ports.items():
        connection = next(iter(of_port.get(own, {})), None)
        of_port.get(own, {}).pop(connection or "", None)
        ids = {record.get("id") for record in session.records if record.get("connectionId") == connection}
        records = [record for record in session.records if record.get("id") in ids]
        seen: list[Request] | None = None
        problem = ""
        if target == "strict":
            seen = [request for one in connections for request in one.requests]
            problem = "; ".join(one.problem for one in connections)
        results[name, target] = Played(answers_in(got), records, seen, problem)
    # What nginx has answered, in its order; requests that were broken off have another status.
    whole = re.findall(r'"([A-Z]+) (\S+) HTTP/1\.1" 200 ', access.read_text())
    results["", "nginx"] = Played([], [], [(method, target, b"") for method, target in whole])
    return results


def _port(record: dict[str, Any]) -> object:
    return record.get("remotePort") or record.get("request", {}).get("remotePort")


def passed_on(name: str) -> tuple[list[Request], str]:
    """The requests of a case that are passed on, the victim included, and how it ends if not with the victim."""
    _, expected = CASES[name]
    if isinstance(expected, str):
        return [], expected
    requests = [request for request in expected if request[0]]
    ending = next((said for method, said, _ in expected if not method), "")
    return (requests, ending) if ending else ([*requests, ("GET", "/victim", b"")], "")


@pytest.mark.parametrize("target", ["strict", "nginx", "mocked"])
@pytest.mark.parametrize("name", CASES)
def test_refused_or_unambiguous(played: dict[tuple[str, str], Played], name: str, target: str) -> None:
    result = played[name, target]
    requests, ending = passed_on(name)
    assert not result.problem
    errors = [record["errorCode"] for record in result.records if record["type"] == "client-error"]
    assert errors == ([ending] if ending not in ("", "end") else [])
    answered = [record for record in result.records if record["type"] == "response"]
    logged = [record for record in result.records if record["type"] == "request"]
    statuses = [status for status, _ in result.answers]
    if target == "nginx" and name in REFUSED_BY_NGINX:
        statuses[0] = answered[0]["statusCode"] = 200
        result.answers[0] = 200, b"POST /first"
    assert [record["statusCode"] for record in answered] == [200] * len(requests)
    assert statuses[: len(requests)] == [200] * len(requests)
    assert all(status in (400, 431) for status in statuses[len(requests) :]) and len(statuses) <= len(requests) + 1
    assert [(record["method"], _target(record)) for record in logged] == [request[:2] for request in requests]
    assert [_body(record) for record in logged] == [request[2] for request in requests]
    assert [record["tags"] for record in logged[:-1]] == [ODD.get(name, [])] * len(logged[:-1])
    if result.seen is not None:
        assert result.seen == requests
    if target != "mocked":
        told = [" ".join(request[:2]).encode() for request in requests]
        assert [body for _, body in result.answers[: len(requests)]] == told


def _target(record: dict[str, Any]) -> str:
    found: str = record["path"].partition("#")[0]
    return found


def _body(record: dict[str, Any]) -> bytes:
    text: str = record["body"]["text"]
    return text.encode()


def _as_in_nginx(target: str) -> str:
    """What is no ASCII is escaped in nginx's log."""
    return "".join(chr(byte) if byte < 128 else f"\\x{byte:02X}" for byte in target.encode())


def test_nginx_has_seen_nothing_else(played: dict[tuple[str, str], Played]) -> None:
    whole = [
        (method, _as_in_nginx(target), b"")
        for name in CASES
        for method, target, _ in passed_on(name)[0]
        if target == "/victim" or name not in REFUSED_BY_NGINX
    ]
    assert played["", "nginx"].seen == whole
