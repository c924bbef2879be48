"""Drives an echo of WebSocket messages: 16 connections, each with a few messages on their way at any time.

The frames are made once and answers are counted by their bytes, so that the loader takes little of the machine
that it shares with the server. A first answer of each connection is looked at byte for byte.
"""

from __future__ import annotations

import os
import selectors
import socket
import time

from bench import Bench, BenchError
from load import CONNECTIONS, Load

IN_FLIGHT = 8
_TEXT = b'{"id": 123456, "text": "hello"}'
_MASKED, _FIN_TEXT = 0x80, 0x81
_SECONDS = 20.0
_UPGRADE = (
    "GET /echo HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def _frame(key: bytes) -> bytes:
    """As a client sends it (RFC 6455, 5.2)."""
    masked = bytes(byte ^ key[at % 4] for at, byte in enumerate(_TEXT))
    return bytes((_FIN_TEXT, _MASKED | len(_TEXT))) + key + masked


_SAID = b"".join(_frame(os.urandom(4)) for _ in range(IN_FLIGHT))
_ECHO = bytes((_FIN_TEXT, len(_TEXT))) + _TEXT


class _Talk:
    """One connection."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), _SECONDS)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall(_UPGRADE.format(port=port).encode())
        head = b""
        while b"\r\n\r\n" not in head:
            data = self.sock.recv(65536)
            if not data:
                break
            head += data
        if not head.startswith(b"HTTP/1.1 101 ") or b"sec-websocket-extensions" in head.lower():
            raise BenchError(f"no plain WebSocket: {head[:300]!r}")
        self.sock.sendall(_frame(b"\1\2\3\4"))
        echo = b""
        while len(echo) < len(_ECHO) and (data := self.sock.recv(65536)):
            echo += data
        if echo != _ECHO:
            raise BenchError(f"no echo: {echo[:100]!r}")
        self.due = 0
        """Bytes that must still come."""

    def say(self) -> None:
        self.sock.sendall(_SAID)
        self.due = len(_ECHO) * IN_FLIGHT


def drive_echo(bench: Bench, port: int, *, seconds: float) -> Load:
    """Messages that have come back, and how many a second."""
    talks = [_Talk(port) for _ in range(2 if bench.smoke else CONNECTIONS)]
    messages = 0
    with selectors.DefaultSelector() as selector:
        for talk in talks:
            selector.register(talk.sock, selectors.EVENT_READ, talk)
        started = time.perf_counter()
        for talk in talks:
            talk.say()
        going = len(talks)
        while going:
            ready = selector.select(_SECONDS)
            if not ready:
                raise BenchError("no message has come back")
            for key, _ in ready:
                talk = key.data
                data = talk.sock.recv(65536)
                if not data:
                    raise BenchError("the server has ended a WebSocket")
                talk.due -= len(data)
                if talk.due:
                    continue
                messages += IN_FLIGHT
                if time.perf_counter() - started < seconds:
                    talk.say()
                else:
                    going -= 1
        taken = time.perf_counter() - started
    for talk in talks:
        talk.sock.close()
    return Load(messages + len(talks), messages / taken)
