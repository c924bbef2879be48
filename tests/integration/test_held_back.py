"""What waits for a client that takes nothing is bounded for each stream, wherever it comes from."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ResponseReceived
from h2.settings import SettingCodes, Settings

Start = Callable[..., Any]
STREAMS = 300
WIDE = 2**31 - 1
RULES = """version: 1
server: {{limits: {{streams: 1000}}}}
rules:
  - {{when: {{path: /file}}, then: {{reply: {{file: {folder}/large}}}}}}
  - {{when: {{path: /text}}, then: {{reply: {{file: {folder}/text}}}}}}
  - {{when: {{path: /server}}, then: {{forward: {{to: "http://127.0.0.1:{port}"}}}}}}
"""


class Asker:
    """An HTTP/2 client that asks and reads nothing."""

    def __init__(self, port: int, window: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), 20)
        self._conn = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        values = {SettingCodes.INITIAL_WINDOW_SIZE: window}
        self._conn.local_settings = Settings(client=True, initial_values=values)
        self._conn.initiate_connection()
        if window == WIDE:
            self._conn.increment_flow_control_window(WIDE - 65535)

    def ask(self, path: str, times: int) -> None:
        head = [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "a.test")]
        for _ in range(times):
            self._conn.send_headers(self._conn.get_next_available_stream_id(), head, end_stream=True)
        self._sock.sendall(self._conn.data_to_send())

    def read_heads(self, count: int) -> None:
        """Return when so many answers have begun."""
        while count:
            data = self._sock.recv(65536)
            assert data
            count -= sum(isinstance(event, ResponseReceived) for event in self._conn.receive_data(data))

    def close(self) -> None:
        self._sock.close()


@pytest.fixture
def asker() -> Iterator[Callable[..., Asker]]:
    askers: list[Asker] = []

    def connect(port: int, window: int) -> Asker:
        askers.append(Asker(port, window))
        return askers[-1]

    yield connect
    for one in askers:
        one.close()


def memory(pid: int) -> int:
    """KiB that a process has in memory."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize("window", [0, WIDE], ids=["closed", "open"])
@pytest.mark.parametrize(("path", "most"), [("/file", 160), ("/text", 160), ("/server", 350)])
def test_a_stream_holds_little(
    recorder: Start, upstream: Start, asker: Any, eventually: Any, tmp_path: Path, path: str, most: int, window: int
) -> None:
    """KiB for each of 300 streams: a piece of a file, or one read from a server. It was 1 MB, and more than 500 KB."""
    (tmp_path / "large").write_bytes(bytes(4 << 20))
    (tmp_path / "text").write_bytes(bytes(900_000))

    def answer(connection: Any) -> None:
        while connection.request() is not None:
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n")
            try:
                for _ in range(1024):
                    connection.send(bytes(65536))
            except OSError:
                return

    server = upstream(serve=answer)
    run = recorder(RULES.format(folder=tmp_path, port=server.port))
    client = asker(run.port, window)
    client.ask(path, 1)
    before = memory(run.process.pid)
    client.ask(path, STREAMS)
    if not window:
        client.read_heads(STREAMS + 1)
    seen: list[int] = []

    def settled() -> bool:
        seen.append(memory(run.process.pid))
        return len(seen) > 40 and max(seen[-20:]) - min(seen[-20:]) < 1024

    eventually(settled, "the memory went on growing")
    assert (max(seen) - before) / STREAMS < most
