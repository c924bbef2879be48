"""mockrec as README installs it: no extra, no NumPy, no pandas, and of the tests' own packages only pytest.

`.ci/run` makes such environments, of the oldest and the newest Python that it finds, and runs this folder in them
(`pytest tests/plain`). In any other environment these packages and those of the
extras `sql` and `spark` are hidden from the program (`absent/`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest
from forking import ForkServer
from object_store import ENVIRONMENT
from plain_install import FORMATS, HERE, LONG, Run
from waiting import until_there

SECONDS = 60.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.plain)


class _Server(ThreadingHTTPServer):
    """Answers everything with what it was asked, and `/long` with a long body."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.targets: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.targets.append(self.path)
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = b"x" * LONG if self.path == "/long" else f"{self.command} {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET


@pytest.fixture(scope="session")
def server() -> Iterator[_Server]:
    """The server behind the recorder; `targets` is what it was asked for."""
    with _Server() as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def environment(server: _Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of the programs: without NumPy, pandas and the settings of this machine, with an authority of their own."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {
        **kept,
        **ENVIRONMENT,
        "PYTHONPATH": str(HERE / "absent"),
        "MOCKREC_CA_DIR": str(tmp_path_factory.mktemp("authority") / "ca"),
        "UPSTREAM": server.url,
    }


@pytest.fixture(scope="session")
def fork_server(environment: dict[str, str]) -> Iterator[ForkServer]:
    """What the commands are copies of: a start with pyarrow takes a second of processor time."""
    server = ForkServer(
        ("pyarrow.parquet", "pyarrow.compute", "pyarrow.fs", "mockrec.formats.query.arrow"), environment
    )
    yield server
    server.close()


@pytest.fixture(scope="session")
def mockrec(environment: dict[str, str], fork_server: ForkServer) -> Run:
    """`mockrec(folder, "show", "s.jsonl")`: run a command in a folder to its end; `code` is the one it has to end with."""

    def run(folder: Path, *argv: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        with TemporaryFile("w+") as out, TemporaryFile("w+") as errors, open(os.devnull, "rb") as null:
            streams = (null.fileno(), out.fileno(), errors.fileno())
            process = fork_server.start(argv, environment, folder, streams)
            try:
                process.wait(SECONDS)
            finally:
                process.kill()
            out.seek(0)
            errors.seek(0)
            done = subprocess.CompletedProcess(argv, process.returncode or 0, out.read(), errors.read())
        assert done.returncode == code, f"{argv} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr}"
        return done

    return run


@pytest.fixture(scope="session")
def installed(environment: dict[str, str]) -> Run:
    """The same, as the script that pip has installed, in a process of its own."""
    script = Path(sys.executable).with_name("mockrec")

    def run(folder: Path, *argv: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [script, *argv], cwd=folder, env=environment, text=True, check=False, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=SECONDS,
        )  # fmt: skip
        assert done.returncode == code, f"{argv} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr}"
        return done

    return run


@pytest.fixture
def serving(environment: dict[str, str], tmp_path: Path) -> Callable[..., Any]:
    """`with serving("run", "rules.yaml") as url`: a command that listens, until Ctrl-C ends it with exit code 0."""

    @contextmanager
    def start(*argv: str | Path) -> Iterator[str]:
        ready, said = tmp_path / "ready.json", tmp_path / "said"
        with said.open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "mockrec.cli", *argv, "--port", "0", "--ready-file", ready], cwd=tmp_path,
                env=environment, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
            )  # fmt: skip
        try:
            until_there(ready, process, said.read_text)
            yield json.loads(ready.read_text("utf-8"))["url"]
            process.send_signal(2)
            assert process.wait(SECONDS) == 0, said.read_text("utf-8")
        finally:
            process.kill()
            process.wait()

    return start


@pytest.fixture(scope="session")
def record(installed: Run) -> Callable[..., None]:
    """`record(folder, "s.har", …)`: let `client.py` make its exchanges with outputs in a folder."""

    def run(folder: Path, *outputs: str) -> None:
        options = [option for name in outputs for option in ("-o", name)]
        installed(folder, "run", HERE / "rules.yaml", *options, "--", sys.executable, HERE / "client.py")

    return run


@pytest.fixture(scope="session")
def recorded(record: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one recording in every format: `FORMATS` are the names. It is not to be changed."""
    folder = tmp_path_factory.mktemp("recorded")
    record(folder, *FORMATS)
    return folder


@pytest.fixture(params=FORMATS)
def session(request: pytest.FixtureRequest, recorded: Path) -> Path:
    """The recording in each format."""
    return recorded / request.param


@pytest.fixture(scope="session")
def exchanges(mockrec: Run) -> Callable[[Path | str], list[tuple[str, int]]]:
    """Path and status of each exchange of a session, as `show` lists them."""

    def shown(session: Path | str) -> list[tuple[str, int]]:
        found = map(json.loads, mockrec(HERE, "show", session, "--as", "json").stdout.splitlines())
        return [("/" + one["url"].split("/", 3)[3], one["statusCode"]) for one in found]

    return shown
