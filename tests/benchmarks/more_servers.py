"""Further peers that a user may pick instead, each with its own way of recording: mountebank and Mockoon (mocks), and
proxy.py (a proxy in Python). `setup.sh --more` installs them; they are measured if they are installed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

from bench import Bench, BenchError, PeerMissing
from servers import READY_SECONDS, Server, running
from upstream import free_port


@contextmanager
def mountebank(bench: Bench) -> Iterator[Server]:
    """mountebank with one imposter that keeps its requests (`recordRequests`) in memory, as its users do."""
    program = _program(bench.peers / "more" / "node_modules" / ".bin" / "mb", "mountebank")
    with bench.scratch() as folder:
        port = free_port()
        reply = {"statusCode": 200, "headers": {"Content-Type": "text/plain"}, "body": "Hello"}
        imposter = {
            "protocol": "http",
            "port": port,
            "host": "127.0.0.1",
            "recordRequests": True,
            "stubs": [
                {
                    "predicates": [{"equals": {"method": "GET", "path": "/hello"}}],
                    "responses": [{"is": {**reply, "headers": {**reply["headers"], "Connection": "keep-alive"}}}],  # type: ignore[dict-item]
                }
            ],
        }
        config = folder / "imposters.json"
        config.write_text(json.dumps({"imposters": [imposter]}), encoding="utf-8")
        argv: list[str | Path] = [program, "start", "--configfile", config, "--noParse", "--port", str(free_port())]
        argv += ["--host", "127.0.0.1", "--nologfile", "--loglevel", "error", "--pidfile", folder / "mb.pid"]
        with _listening("mountebank", argv, port, folder) as server:
            yield server


@contextmanager
def mockoon(bench: Bench) -> Iterator[Server]:
    """Mockoon's command line, which logs whole transactions to stdout (`--log-transaction`)."""
    program = _program(bench.peers / "more" / "node_modules" / ".bin" / "mockoon-cli", "Mockoon")
    with bench.scratch() as folder:
        port = free_port()
        response = {
            "uuid": "r1",
            "body": "Hello",
            "statusCode": 200,
            "headers": [{"key": "Content-Type", "value": "text/plain"}],
            "bodyType": "INLINE",
            "default": True,
        }
        route = {"uuid": "h1", "type": "http", "method": "get", "endpoint": "hello", "responses": [response]}
        content = {
            "uuid": "e1",
            "lastMigration": 33,
            "name": "bench",
            "port": port,
            "hostname": "127.0.0.1",
            "routes": [route],
            "rootChildren": [{"type": "route", "uuid": "h1"}],
        }
        data = folder / "mockoon.json"
        data.write_text(json.dumps(content), encoding="utf-8")
        argv: list[str | Path] = [program, "start", "--data", data, "--repair", "--log-transaction"]
        argv += ["--disable-log-to-file", "--disable-admin-api"]
        with _listening("Mockoon", argv, port, folder) as server:
            yield server


@contextmanager
def proxy_py(bench: Bench) -> Iterator[Server]:
    """proxy.py in one process, with its plugin that keeps responses as files."""
    program = _program(bench.peers / "proxypy" / "bin" / "proxy", "proxy.py")
    with bench.scratch() as folder:
        port = free_port()
        argv: list[str | Path] = [program, "--hostname", "127.0.0.1", "--port", str(port), "--log-level", "ERROR"]
        argv += ["--num-workers", "1", "--num-acceptors", "1", "--data-dir", folder / "data"]
        argv += ["--plugins", "proxy.plugin.CacheResponsesPlugin", "--cache-dir", folder / "cache"]
        with _listening("proxy.py", argv, port, folder) as server:
            yield server


def _program(path: Path, name: str) -> Path:
    if not os.access(path, os.X_OK) or (name != "proxy.py" and shutil.which("node") is None):
        raise PeerMissing(name)
    return path


@contextmanager
def _listening(name: str, argv: Sequence[str | Path], port: int, folder: Path) -> Iterator[Server]:
    """Run a peer that does not say when it is ready; its port accepts connections then. Its output goes to a file."""
    output = folder / "stdout"
    with output.open("wb") as stdout, running(argv, folder / "stderr", signal.SIGTERM, stdout=stdout) as process:
        _wait_for(name, port, process)
        yield Server(name, port, process.pid, output)


def _wait_for(name: str, port: int, process: Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"{name} did not start") from error
            time.sleep(0.01)
