"""Connections that are dropped in every state, and connections that do nothing."""

from __future__ import annotations

import socket
import ssl
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from h2.config import H2Configuration
from h2.connection import H2Connection
from program import Program, most_growth, want

UPGRADE = (
    b"GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
CONNECT = b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n"


def _said(*pieces: bytes, answer: bytes = b"") -> Callable[[socket.socket], None]:
    """Sends pieces, and waits for an answer to begin as it has to."""

    def act(sock: socket.socket) -> None:
        for piece in pieces:
            sock.sendall(piece)
        if answer:
            got = sock.recv(65536)
            want(got.startswith(answer), f"expected {answer!r}, got {got[:80]!r}")

    return act


def _secured(sock: socket.socket) -> None:
    """TLS, and a request through it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="a.test")
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            sock.sendall(outgoing.read())
            incoming.write(sock.recv(65536))
    tls.write(b"GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n")
    sock.sendall(outgoing.read())


def _streams(path: str, *, ended: bool) -> Callable[[socket.socket], None]:
    """Some streams of HTTP/2."""

    def act(sock: socket.socket) -> None:
        client = H2Connection(H2Configuration())
        client.initiate_connection()
        head = [(":method", "POST"), (":path", path), (":scheme", "http"), (":authority", "a")]
        for stream in (1, 3, 5):
            client.send_headers(stream, head, end_stream=ended)
            if not ended:
                client.send_data(stream, b"a part")
        sock.sendall(client.data_to_send())
        sock.recv(65536)

    return act


def _half_closed(sock: socket.socket) -> None:
    sock.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    sock.shutdown(socket.SHUT_WR)


STATES: dict[str, Callable[[socket.socket], None]] = {
    "before a byte": _said(),
    "in the TLS hello": _said(HELLO),
    "in a request over TLS": _secured,
    "after CONNECT": _said(CONNECT, answer=b"HTTP/1.1 200"),
    "in TLS inside CONNECT": _said(CONNECT, HELLO),
    "in the head": _said(b"GET /hello HTTP/1.1\r\nHo"),
    "in the body": _said(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nsome"),
    "in a chunk": _said(b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"),
    "before the answer": _said(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"),
    "in the answer": _said(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n", answer=b"HTTP/1.1 200"),
    "between requests": _said(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", answer=b"HTTP/1.1 200"),
    "in bodies of HTTP/2": _streams("/upload", ended=False),
    "before answers of HTTP/2": _streams("/slow", ended=True),
    "in answers of HTTP/2": _streams("/large", ended=True),
    "in a WebSocket": _said(UPGRADE, answer=b"HTTP/1.1 101"),
    "in a frame": _said(UPGRADE, b"\x81\xfe\x00\x80\1\2\3\4abc", answer=b"HTTP/1.1 101"),
    "half-closed": _half_closed,
}
"""What a client does before it drops its connection."""


def _reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def dropped(folder: Path, *, smoke: bool) -> str:
    """Ten thousand connections, closed and reset in turn in every state; served well in between."""
    total = 10 * len(STATES) if smoke else 10_200
    with Program(folder) as program:
        program.get()
        before, descriptors, seen = 0.0, program.descriptors, 1
        for number in range(total):
            act = list(STATES.values())[number % len(STATES)]
            sock = program.connect()
            try:
                act(sock)
                if number // len(STATES) % 2:
                    _reset(sock)
            finally:
                sock.close()
            if number % 100 == 99:
                want(program.get().endswith(b"hello"), "others are not served")
                seen += 1
            if number == total // 10:
                before = program.memory
        program.wait_until(lambda: program.descriptors <= descriptors, "descriptors are left over")
        grown = program.memory - before
        counts = program.stop()
    between = sum(1 for number in range(total) if list(STATES)[number % len(STATES)] == "between requests")
    opened = counts["request-initiated"] + counts["websocket-request"]
    ended = counts["response"] + counts["abort"] + counts["websocket-close"]
    want(opened == ended, f"{opened} exchanges have begun, {ended} ended: {counts}")
    want(counts["response"] >= seen + between, f"clients saw {seen + between} whole answers, the log has {counts}")
    want(grown < most_growth(20, smoke), f"memory has grown by {grown:.0f} MB")
    return f"{total} connections dropped in {len(STATES)} states, {opened} exchanges, each with one end; memory {grown:+.1f} MB"


def idle(folder: Path, *, smoke: bool) -> str:
    """Two thousand connections that have asked once and do nothing; others are served meanwhile."""
    total = 100 if smoke else 2_000
    with Program(folder) as program:
        program.get()
        before, descriptors = program.memory, program.descriptors
        held = []
        for _ in range(total):
            sock = program.connect()
            sock.sendall(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            held.append(sock)
        answers = Counter(sock.recv(65536)[:12] for sock in held)
        each = (program.memory - before) * 1024 / total
        want(program.get().endswith(b"hello"), "others are not served")
        for sock in held:
            sock.close()
        program.wait_until(lambda: program.descriptors <= descriptors, "descriptors are left over")
        counts = program.stop()
    want(answers == {b"HTTP/1.1 200": total}, f"answers: {answers}")
    want(counts["response"] == total + 2, f"the log has {counts}")
    want(smoke or each < 40, f"each takes {each:.0f} KB")
    return f"{total} idle connections, {each:.1f} KB each"
