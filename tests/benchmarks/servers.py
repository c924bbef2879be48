"""Starts a server under measurement, waits until it says that it is ready, and always stops it.

Every server is its own process on a loopback port of its own choosing. A server that ends badly is
a `BenchError`: its figures are worth nothing.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bench import HERE, Bench, BenchError, PeerMissing
from rulefiles import write_payload, write_rules

READY_SECONDS = 30.0
# Generous: a peer may still have to flush the log it fell behind with.
STOP_SECONDS = 120.0


@dataclass
class Server:
    """A running server; `log` is where it records, if it does.

    `after_stop` is called once the server has ended, while its log is still there.
    """

    name: str
    port: int
    pid: int
    log: Path | None
    after_stop: Callable[[], None] | None = None


Start = Callable[[], AbstractContextManager[Server]]


def _tail(path: Path) -> str:
    return path.read_text("utf-8", "replace")[-2000:].strip()


@contextmanager
def running(
    argv: Sequence[str | Path],
    errors: Path,
    stop_signal: int,
    env: Mapping[str, str] | None = None,
    stdout: IO[bytes] | int = subprocess.PIPE,
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs `argv`; on the way out stops it, and checks that it ended well unless we fail already.

    A session of its own keeps a Ctrl-C at the terminal for the harness, which stops servers in order.
    """
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            env={**os.environ, **(env or {})},
        )
    try:
        yield process
        if process.poll() is None:
            process.send_signal(stop_signal)
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise BenchError(f"{argv[0]} did not stop in {STOP_SECONDS:.0f} s: {_tail(errors)}") from None
        if code not in (0, -stop_signal):  # some peers leave a signal to the system
            raise BenchError(f"{argv[0]} ended with {code}: {_tail(errors)}")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _port_line(process: subprocess.Popen[bytes], errors: Path) -> int:
    """Peers print their port when they are ready."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], READY_SECONDS)
    line = process.stdout.readline().strip() if ready else b""
    if not line.isdigit():
        raise BenchError(f"the peer did not get ready: {line!r} {_tail(errors)}")
    return int(line)


def _ready_file(process: subprocess.Popen[bytes], path: Path, errors: Path) -> dict[str, object]:
    """The file appears atomically; a millisecond is fine enough for the start-up figures as well."""
    deadline = time.monotonic() + READY_SECONDS
    while not path.exists():
        if process.poll() is not None:
            raise BenchError(f"mockrec ended with {process.returncode} before it was ready: {_tail(errors)}")
        if time.monotonic() > deadline:
            raise BenchError(f"mockrec was not ready after {READY_SECONDS:.0f} s: {_tail(errors)}")
        time.sleep(0.001)
    found: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    return found


@contextmanager
def mockrec(
    bench: Bench,
    *options: str,
    record: bool = True,
    rules: int = 1,
    upload: bool = False,
    echo: bool = False,
    proxy: bool = False,
    body: str = "Hello",
    before: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """`mockrec run` with its defaults, recording JSON Lines; stopped with SIGINT as a user would. `proxy`: without
    rules, so that everything is passed on; `before`: as a reverse proxy of this URL."""
    with bench.scratch() as folder:
        rule_file = [] if proxy or before else [write_rules(folder, count=rules, upload=upload, echo=echo, body=body)]
        log = folder / "session.jsonl" if record else None
        ready, errors = folder / "ready.json", folder / "stderr"
        argv = [
            bench.mockrec,
            "run",
            *rule_file,
            "--port",
            "0",
            "--ready-file",
            ready,
            "-o",
            log or "none",
            *(["--upstream", before, "--insecure"] if before else []),
            *options,
        ]
        with running(
            argv, errors, signal.SIGINT, {"MOCKREC_CA_DIR": str(bench.work / "ca"), **(environment or {})}
        ) as process:
            found = _ready_file(process, ready, errors)
            port, pid = found.get("port"), found.get("pid")
            if not isinstance(port, int) or not isinstance(pid, int):
                raise BenchError(f"the ready file has no port or pid: {found}")
            server = Server("mockrec", port, pid, log)
            yield server
        if server.after_stop is not None:
            server.after_stop()


@contextmanager
def mockttp(bench: Bench, *modes: str, record: bool = True, upload: bool = False) -> Iterator[Server]:
    """Mockttp in one Node process, its events written as JSON lines by four listeners. `modes` are options of
    peers/mockttp.mjs: --tls, --proxy, --echo, --max-body=BYTES."""
    node, modules = shutil.which("node"), bench.peers / "mockttp"
    if node is None or not (modules / "node_modules" / "mockttp").is_dir():
        raise PeerMissing("Mockttp")
    with bench.scratch() as folder:
        log, errors = folder / "events.jsonl", folder / "stderr"
        argv: list[str | Path] = [node, HERE / "peers" / "mockttp.mjs", "--modules", modules, *modes]
        if record:
            argv += ["--record", log]
        if upload:
            argv += ["--payload", write_payload(folder)]
        with running(argv, errors, signal.SIGTERM) as process:
            port = _port_line(process, errors)
            yield Server("Mockttp", port, process.pid, log if record else None)


@contextmanager
def mitmdump(bench: Bench, *, proxy: bool = False, before: str | None = None) -> Iterator[Server]:
    """mitmdump writing its flow file, every answer mocked by an addon, so that it never dials; or as a proxy, or as a
    reverse proxy of the URL `before`."""
    program = bench.peers / "mitmproxy" / "bin" / "mitmdump"
    if not os.access(program, os.X_OK):
        raise PeerMissing("mitmdump")
    with bench.scratch() as folder:
        log, errors = folder / "flows", folder / "stderr"
        options = ["--set", f"confdir={folder / 'conf'}"]
        if before is None:  # a reverse proxy connects first, to learn the protocol that the server chooses
            options += ["--set", "connection_strategy=lazy"]
        argv: list[str | Path] = [program, "-q", "-w", log]
        argv += ["-s", HERE / "peers" / ("mitm_proxy.py" if proxy or before else "mitm_mock.py")]
        mode = "regular" if proxy else f"reverse:{before or 'http://127.0.0.1:9'}"
        argv += ["--ssl-insecure", "--mode", mode, *options, "--listen-host", "127.0.0.1"]
        with running([*argv, "--listen-port", "0"], errors, signal.SIGTERM) as process:
            yield Server("mitmdump", _port_line(process, errors), process.pid, log)
