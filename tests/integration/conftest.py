"""Fixtures of the integration tests: the real program, servers, clients and certificates.

Each is made by a module of `tests/helpers`, which also holds its type (`StartRecorder` for `recorder`, and so on).
A fixture `shared_…` serves all tests of a module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from certificates import Pki
from clients import Connect, clients
from forking import ForkServer
from http2_client import Talk
from other_servers import StartNginx, StartNode, nginx_servers, node_servers
from programs import RunProgram, command_runner
from recorders import StartRecorder, recorders
from upstreams import StartUpstream, upstreams
from waiting import until


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """The process of which most programs of the tests are copies."""
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture
def recorder(fork_server: ForkServer, tmp_path: Path) -> Iterator[StartRecorder]:
    """`recorder(rules, *options, out=…, env=…, cwd=…)` starts `mockrec run`."""
    yield from recorders(fork_server, tmp_path)


@pytest.fixture(scope="module")
def shared_recorder(fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartRecorder]:
    """`recorder`, for all tests of a module."""
    yield from recorders(fork_server, tmp_path_factory.mktemp("shared"))


@pytest.fixture
def program(fork_server: ForkServer, tmp_path: Path) -> RunProgram:
    """`program("verify", "s.jsonl")` runs a command of mockrec in the test's folder, to its end."""
    return command_runner(fork_server, tmp_path)


@pytest.fixture
def upstream() -> Iterator[StartUpstream]:
    """`upstream(answer)` starts an origin server that sends these bytes, or the result of a function of the request;
    `upstream(serve=…)` one whose connections are handled by the function."""
    yield from upstreams()


@pytest.fixture(scope="module")
def shared_upstream() -> Iterator[StartUpstream]:
    """`upstream`, for all tests of a module."""
    yield from upstreams()


@pytest.fixture
def client() -> Iterator[Connect]:
    """`client(port)` opens a connection; `context` is for TLS in its tunnels."""
    yield from clients()


@pytest.fixture
def connect(client: Connect) -> Callable[[int], Talk]:
    """`connect(port)` opens a connection that speaks HTTP/2 without TLS."""
    return lambda port: Talk(client(port).sock)


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool], str], None]:
    """`eventually(lambda: …, "what should have happened")` waits for something that has no event to wait for."""
    return until


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """An authority and the certificates that it signs."""
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def node_server(pki: Pki, tmp_path: Path) -> Iterator[StartNode]:
    """`node_server(script, name, …)` starts a server in Node with a certificate for these names; its port."""
    yield from node_servers(pki, tmp_path)


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[StartNginx]:
    """`nginx("location / { … }", "ssl http2")` starts nginx; its port."""
    yield from nginx_servers(tmp_path)


@pytest.fixture(scope="module")
def shared_nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartNginx]:
    """`nginx`, for all tests of a module."""
    yield from nginx_servers(tmp_path_factory.mktemp("nginx"))
