"""What odd servers say: one raw answer a case, and a server that says it. `tolerances.py` asks for all of them.

The answers are made up after public bug reports (h11 96 and 130, httpx 1363, undici 2678, spdylay 106, attohttpc 91,
zaproxy 1648, tinyproxy 220, httparse 114) and after what the tests of curl and llhttp are about.
"""

from __future__ import annotations

import socket
import socketserver
import threading
from dataclasses import dataclass

OK = b"HTTP/1.1 200 OK\r\n"
TWO = b"Content-Length: 2\r\n\r\nok"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
INNER = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled"


@dataclass(frozen=True)
class Case:
    """One answer, and the field of it that shows how it was read."""

    what: str
    said: bytes
    field: str = ""


GROUPS: dict[str, dict[str, Case]] = {
    "Status line": {
        "plain": Case("conforming", OK + TWO),
        "no-reason": Case("no reason phrase", b"HTTP/1.1 200\r\n" + TWO),
        "reason-control": Case("control character in the reason phrase", b"HTTP/1.1 200 O\x01K\r\n" + TWO),
        "reason-8bit": Case("UTF-8 in the reason phrase", "HTTP/1.1 200 Ünïque\r\n".encode() + TWO),
        "two-blanks": Case("two spaces before the status", b"HTTP/1.1  200 OK\r\n" + TWO),
        "small-letters": Case("`http/1.1`", b"http/1.1 200 OK\r\n" + TWO),
        "minor-2": Case("`HTTP/1.2`", b"HTTP/1.2 200 OK\r\n" + TWO),
        "version-2": Case("`HTTP/2.0` in HTTP/1 syntax", b"HTTP/2.0 200 OK\r\n" + TWO),
        "version-2-short": Case("`HTTP/2` in HTTP/1 syntax", b"HTTP/2 200 OK\r\n" + TWO),
        "version-long": Case("`HTTP/1.4.2015`", b"HTTP/1.4.2015 200 OK\r\n" + TWO),
        "status-099": Case("status 099", b"HTTP/1.1 099 Low\r\n" + TWO),
        "status-600": Case("status 600", b"HTTP/1.1 600 High\r\n" + TWO),
        "status-999": Case("status 999", b"HTTP/1.1 999 Denied\r\n" + TWO),
        "status-2000": Case("status 2000", b"HTTP/1.1 2000 OK\r\n" + TWO),
        "icy": Case("`ICY 200 OK` (Shoutcast)", b"ICY 200 OK\r\n" + TWO),
        "empty-line-first": Case("empty line before the status line", b"\r\n" + OK + TWO),
        "bytes-first": Case("two bytes before the status line", b"xx" + OK + TWO),
        "no-head": Case("no head (HTTP/0.9)", b"ok"),
    },
    "Lines and fields": {
        "lf": Case("lines that end with LF only", OK.replace(b"\r", b"") + b"Content-Length: 2\n\nok"),
        "folded": Case("folded field", OK + b"X-Odd: one\r\n two\r\n" + TWO, "x-odd"),
        "folded-tab": Case("folded field, with a tab", OK + b"X-Odd: one\r\n\ttwo\r\n" + TWO, "x-odd"),
        "folded-framing": Case("folded Content-Length", OK + b"Content-Length:\r\n 2\r\n\r\nok"),
        "folded-looks": Case("folded line that reads `Content-Length: 0`", OK + b"X-Odd: a\r\n Content-Length: 0\r\n" + TWO, "x-odd"),
        "folded-first": Case("first field begins with a space", OK + b" X-Odd: a\r\n" + TWO, "x-odd"),
        "space-colon": Case("space before the colon", OK + b"X-Odd : v\r\n" + TWO, "x-odd"),
        "space-colon-framing": Case("space before the colon of Content-Length", OK + b"Content-Length : 2\r\n\r\nok"),
        "odd-name": Case("name with `@`", OK + b"X@Odd: v\r\n" + TWO, "x@odd"),
        "odd-name-slash": Case("name with `/` and dots", OK + b"get-ban/forum.php: userdata\r\n" + TWO, "get-ban/forum.php"),
        "odd-name-blank": Case("name with a space", OK + b"HTTP 1/1 302: v\r\n" + TWO, "http 1/1 302"),
        "odd-name-8bit": Case("name with non-ASCII letters", OK + b"X-\xe9: v\r\n" + TWO),
        "no-name": Case("empty name", OK + b": v\r\nX-Odd: v\r\n" + TWO, "x-odd"),
        "no-colon": Case("no colon", OK + b"sh\r\nX-Odd: v\r\n" + TWO, "x-odd"),
        "control": Case("control character in a value", OK + b"X-Odd: a\x01b\r\n" + TWO, "x-odd"),
        "nul": Case("NUL in a value", OK + b"X-Odd: a\x00b\r\n" + TWO, "x-odd"),
        "bare-cr": Case("bare CR in a value", OK + b"X-Odd: a\rb\r\n" + TWO, "x-odd"),
        "8bit": Case("UTF-8 in a value", OK + "X-Odd: é\r\n".encode() + TWO, "x-odd"),
        "empty-value": Case("empty value", OK + b"X-Odd:\r\n" + TWO, "x-odd"),
        "repeated": Case("repeated field", OK + b"X-Odd: a\r\nX-Odd: b\r\n" + TWO, "x-odd"),
        "long-64k": Case("value of 64 KiB", OK + b"X-Odd: " + b"a" * 65_536 + b"\r\n" + TWO),
        "long-256k": Case("value of 256 KiB", OK + b"X-Odd: " + b"a" * 262_144 + b"\r\n" + TWO),
        "many-500": Case("500 fields", OK + b"".join(b"X-%d: v\r\n" % at for at in range(500)) + TWO),
    },
    "Length": {
        "length-twice": Case("the same length twice", OK + b"Content-Length: 2\r\n" + TWO),
        "length-differs": Case("two different lengths", OK + b"Content-Length: 0\r\n" + TWO),
        "length-list": Case("`2, 2`", OK + b"Content-Length: 2, 2\r\n\r\nok"),
        "length-plus": Case("`+2`", OK + b"Content-Length: +2\r\n\r\nok"),
        "length-zero": Case("`02`", OK + b"Content-Length: 02\r\n\r\nok"),
        "length-empty": Case("empty length", OK + b"Content-Length:\r\n\r\nok"),
        "length-longer": Case("more bytes than announced", OK + TWO + b"more"),
        "length-shorter": Case("fewer bytes than announced", OK + b"Content-Length: 9\r\n\r\nok"),
        "until-close": Case("no length: body until the connection closes", OK + b"\r\nok"),
        "two-answers": Case("two responses at once", OK + TWO + INNER),
        "204-body": Case("204 with a body", b"HTTP/1.1 204 No\r\n" + TWO),
        "304-body": Case("304 with a body", b"HTTP/1.1 304 Not\r\n" + TWO),
    },
    "Transfer-Encoding": {
        "both": Case("together with Content-Length", OK + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        "identity": Case("`identity`", OK + b"Transfer-Encoding: identity\r\n" + TWO),
        "gzip-chunked": Case("`gzip, chunked`", OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        "capitals": Case("`Chunked`", OK + b"Transfer-Encoding: Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        "chunked-twice": Case("`chunked, chunked`", OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        "chunked-1.0": Case("chunked in HTTP/1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        "chunk-pad": Case("whitespace after a chunk size", CHUNKED + b"2  \r\nok\r\n0\r\n\r\n"),
        "chunk-pad-before": Case("space before a chunk size", CHUNKED + b" 2\r\nok\r\n0\r\n\r\n"),
        "chunk-lf": Case("LF only everywhere", CHUNKED + b"2\nok\n0\n\n"),
        "chunk-lf-last": Case("LF only after the last chunk", CHUNKED + b"2\r\nok\r\n0\n\n"),
        "chunk-lf-extension": Case("LF only after an extension", CHUNKED + b"2;a\nok\r\n0\r\n\r\n"),
        "chunk-extension": Case("chunk extension", CHUNKED + b"2;a=b\r\nok\r\n0\r\n\r\n"),
        "chunk-huge": Case("chunk size above 64 bits", CHUNKED + b"10000000000000002\r\nok\r\n0\r\n\r\n"),
        "chunk-garbage": Case("`2x` as chunk size", CHUNKED + b"2x\r\nok\r\n0\r\n\r\n"),
        "chunk-no-last": Case("no last chunk", CHUNKED + b"2\r\nok\r\n"),
        "chunk-no-crlf": Case("no empty line after the last chunk", CHUNKED + b"2\r\nok\r\n0\r\n"),
        "trailers": Case("trailer", CHUNKED + b"2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"),
        "trailers-folded": Case("folded trailer", CHUNKED + b"2\r\nok\r\n0\r\nX-Sum: 1\r\n 2\r\n\r\n"),
        "trailers-odd": Case("space before the colon of a trailer", CHUNKED + b"2\r\nok\r\n0\r\nX-Sum : 1\r\n\r\n"),
    },
    "Order and content": {
        "1xx-storm": Case("fifty 103 responses before the final one", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 50 + OK + TWO),
        "101": Case("unrequested 101", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nok"),
        "gzip-lie": Case("`Content-Encoding: gzip` with a plain body", OK + b"Content-Encoding: gzip\r\n" + TWO),
        "unknown-coding": Case("`Content-Encoding: utf-8`", OK + b"Content-Encoding: utf-8\r\n" + TWO),
        "location-raw": Case("UTF-8 in Location", "HTTP/1.1 200 OK\r\nLocation: /münchen\r\n".encode() + TWO, "location"),
        "cut-head": Case("truncated head", OK + b"Content-Le"),
        "nothing": Case("connection closed without a response", b""),
    },
}  # fmt: skip
CASES = {name: case for group in GROUPS.values() for name, case in group.items()}


class _Handler(socketserver.BaseRequestHandler):
    request: socket.socket
    server: OddServer

    def handle(self) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = self.request.recv(65_536)
            if not piece:
                return
            head += piece
        target = head.split(b" ", 2)[1].decode("latin-1")
        self.request.sendall(self.server.answer(target.partition("?")[0].lstrip("/"), head))
        self.request.shutdown(socket.SHUT_WR)


class OddServer(socketserver.ThreadingTCPServer):
    """Answers `/NAME` with the bytes of that case, and ends the connection."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, pages: dict[str, bytes] | None = None) -> None:
        """`pages`: further answers by name."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages = pages or {}
        self.port: int = self.server_address[1]
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, name: str, head: bytes) -> bytes:
        """What is said to a request for a name."""
        if name in self.pages:
            return self.pages[name]
        case = CASES.get(name)
        return case.said if case is not None else b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that does not like an answer leaves."""

    def stop(self) -> None:
        """End it."""
        self.shutdown()
        self.server_close()
