"""New TLS names: each connection asks for a host that the server has not seen, as a test suite's first requests do.

Several processes, because a client's half of a handshake costs about as much as the server's.
"""

from __future__ import annotations

import itertools
import os
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

from bench import Bench, BenchError

CLIENTS = 4


def drive_names(bench: Bench, port: int, *, seconds: float) -> float:
    """New names a second: connect, shake hands, GET /hello, close."""
    argv = [sys.executable, Path(__file__), str(port), str(seconds)]
    clients = [
        subprocess.Popen([*argv, str(number)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for number in range(1 if bench.smoke else CLIENTS)
    ]
    rates = 0.0
    for client in clients:
        out, errors = client.communicate()
        if client.returncode != 0:
            raise BenchError(f"a TLS client failed: {errors.decode(errors='replace').strip()[-300:]}")
        rates += float(out)
    return rates


def _client(port: int, seconds: float, number: int) -> float:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    started = time.perf_counter()
    mark = f"{os.getpid()}-{number}"
    for count in itertools.count(1):
        name = f"n{count}-{mark}.test"
        with (
            socket.create_connection(("127.0.0.1", port), 10) as plain,
            context.wrap_socket(plain, server_hostname=name) as stream,
        ):
            stream.sendall(f"GET /hello HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while data := stream.recv(65536):
                answer += data
            if not answer.startswith(b"HTTP/1.1 200 "):
                raise SystemExit(f"unexpected answer: {answer[:100]!r}")
        if time.perf_counter() - started >= seconds:
            return count / (time.perf_counter() - started)
    raise AssertionError("the count has no end")


if __name__ == "__main__":
    print(_client(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
