"""nginx and servers in Node, as processes for tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest
from certificates import Pki
from waiting import until

STOP_SECONDS = 60.0


class StartNode(Protocol):
    """The type of the fixture `node_server`."""

    def __call__(self, script: str, *names: str) -> int:
        """Run a script with two arguments, the paths of a key and of a certificate for `names`, and return the port
        that it prints."""


class StartNginx(Protocol):
    """The type of the fixture `nginx`."""

    def __call__(self, lines: str, listen: str = ...) -> int:
        """Start nginx with `lines` in its `server` block and `listen` after the address; return its port."""


def node_servers(pki: Pki, folder: Path) -> Iterator[StartNode]:
    """Yield the function that starts servers in Node; kill them when the test ends."""
    with ExitStack() as stack:

        def start(script: str, *names: str) -> int:
            cert, key = pki.issue(*names, issuer=(pki.ca, pki.ca_key))
            path = folder / f"serve-{cert.stem}.mjs"
            path.write_text(script, encoding="utf-8")
            argv = ["node", str(path), str(key), str(cert)]
            server = stack.enter_context(subprocess.Popen(argv, stdout=subprocess.PIPE, text=True))
            stack.callback(server.kill)
            assert server.stdout is not None
            return int(server.stdout.readline())

        yield start


def nginx_servers(folder: Path) -> Iterator[StartNginx]:
    """Yield the function that starts nginx; terminate its processes when the test ends. Skips without nginx."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    running: list[subprocess.Popen[bytes]] = []

    def start(lines: str, listen: str = "") -> int:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port: int = probe.getsockname()[1]
        own = folder / f"nginx-{port}"
        own.mkdir()
        (own / "nginx.conf").write_text(_configuration(own, f"listen 127.0.0.1:{port} {listen}; {lines}"))
        argv = [program, "-e", str(own / "error.log"), "-c", str(own / "nginx.conf"), "-p", str(own)]
        running.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

        def listens() -> bool:
            assert running[-1].poll() is None, (own / "error.log").read_text()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        until(listens, "nginx does not listen")
        return port

    yield start
    for process in running:
        process.terminate()
        process.wait(STOP_SECONDS)


def _configuration(folder: Path, server: str) -> str:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    user = "user root;" if os.geteuid() == 0 else ""  # so that it may read the test's folder
    return f"""
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log; {user}
events {{ worker_connections 64; }}
http {{ access_log off; {temporary} server {{ {server} }} }}
"""
