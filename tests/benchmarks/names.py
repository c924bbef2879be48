"""New TLS names: each connection asks for a host that the server has not seen, as a test suite's first requests do.

Several processes, because a client's half of a handshake costs about as much as the server's.
"""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from bench import Bench, BenchError
from load import Load
from OpenSSL import SSL

CLIENTS = 4


def drive_names(bench: Bench, port: int, *, seconds: float) -> Load:
    """Return how many new names were served, and how many a second: connect, shake hands, GET /hello, close."""
    argv = [sys.executable, Path(__file__), str(port), str(seconds)]
    clients = [
        subprocess.Popen([*argv, str(number)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for number in range(1 if bench.smoke else CLIENTS)
    ]
    count, rate = 0, 0.0
    for client in clients:
        out, errors = client.communicate()
        if client.returncode != 0:
            raise BenchError(f"a TLS client failed: {errors.decode(errors='replace').strip()[-300:]}")
        own, taken = out.split()
        count, rate = count + int(own), rate + int(own) / float(taken)
    return Load(count, rate)


def _client(port: int, seconds: float, number: int) -> tuple[int, float]:
    """Return the number of names and the seconds that they took."""
    # pyOpenSSL brings a current OpenSSL; that of the interpreter may take twice the time for its half.
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_verify(SSL.VERIFY_NONE)
    started = time.perf_counter()
    mark = f"{os.getpid()}-{number}"
    for count in itertools.count(1):
        _ask(context, port, f"n{count}-{mark}.test")
        if time.perf_counter() - started >= seconds:
            return count, time.perf_counter() - started
    raise AssertionError("the count has no end")


def _ask(context: SSL.Context, port: int, name: str) -> None:
    with socket.create_connection(("127.0.0.1", port)) as plain:
        stream = SSL.Connection(context, plain)
        stream.set_tlsext_host_name(name.encode())
        stream.set_connect_state()
        stream.do_handshake()
        stream.sendall(f"GET /hello HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        try:
            while data := stream.recv(65536):
                answer += data
        except (SSL.ZeroReturnError, SSL.SysCallError):
            pass  # with or without close_notify
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise SystemExit(f"unexpected answer: {answer[:100]!r}")


if __name__ == "__main__":
    print(*_client(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
