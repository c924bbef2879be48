"""The real server behind a proxy under measurement: nginx with static answers, or a sink for uploads."""

from __future__ import annotations

import asyncio
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import Bench, BenchError, PeerMissing
from certificate import write_certificate
from rulefiles import write_payload

_CONFIG = """
daemon off; {user} worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off; client_max_body_size 0; keepalive_requests 1000000; sendfile on;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    server {{
        listen 127.0.0.1:{port}{tls};
        root {folder}/www;
        location = /hello {{ default_type text/plain; return 200 Hello; }}
        # Static files answer no POST; this one does.
        location = /upload {{ error_page 405 =200 /payload.json; }}
    }}
}}
"""


def free_port() -> int:
    """nginx cannot say which port it took, so it is given one that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def nginx(bench: Bench, *, huge: int = 0, tls: bool = False) -> Iterator[int]:
    """nginx on a port: GET /hello, POST /upload, and /huge.bin of `huge` bytes; with `tls` over TLS, HTTP/2 included."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise PeerMissing("nginx")
    with bench.scratch() as folder:
        (folder / "www").mkdir()
        os.rename(write_payload(folder), folder / "www" / "payload.json")
        (folder / "www" / "upload").touch()
        with (folder / "www" / "huge.bin").open("wb") as file:
            file.truncate(huge)
        port = free_port()
        config = folder / "nginx.conf"
        user = "user root;" if os.geteuid() == 0 else ""  # its workers must be able to read the folder
        listen = ""
        if tls:
            certificate, key = write_certificate(folder)
            listen = f" ssl http2; ssl_certificate {certificate}; ssl_certificate_key {key}; ssl_session_tickets on"
        config.write_text(_CONFIG.format(folder=folder, port=port, user=user, tls=listen), encoding="utf-8")
        process = subprocess.Popen(
            [program, "-c", config, "-p", folder],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            _wait_for(port, process)
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchError("nginx did not start") from error
            time.sleep(0.01)


@contextmanager
def sink() -> Iterator[int]:
    """A server that swallows bodies and says how long they were."""
    process = subprocess.Popen([sys.executable, Path(__file__), "sink"], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    try:
        ready, _, _ = select.select([process.stdout], [], [], 10)
        line = process.stdout.readline() if ready else b""
        if not line.strip().isdigit():
            raise BenchError("the sink did not start")
        yield int(line)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def _swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
            left = length
            while left:
                left -= len(await reader.read(min(left, 1 << 20))) or left
            body = str(length).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            await writer.drain()
    except (OSError, EOFError):
        pass
    finally:
        writer.close()


async def _serve_sink() -> None:
    server = await asyncio.start_server(_swallow, "127.0.0.1", 0, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve_sink())
