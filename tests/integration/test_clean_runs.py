"""The faults that a clean run can hide: each way to get wrong bytes from a recording, with the recorded server stopped.

A client must get what was recorded for its request, or a miss that the log, the exit code and the receipt show.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from forking import ForkServer
from programs import RunProgram
from recorders import StartRecorder
from serving import Serving, serve, servings
from upstreams import Received, Served, StartUpstream

__all__ = ["serve"]

LARGE = hashlib.sha256(b"large").digest() * 100_000
PAUSE_SECONDS = 0.05
EVENTS = [b"data: one\n\n", b"data: two\n\n", b"data: three\n\n"]
PACKED = gzip.compress(b'{"packed": true}' * 50, mtime=0)
WORKERS = 2
OF_EACH = 15


class Service:
    """The service that is recorded."""

    def __init__(self) -> None:
        self._asked = 0

    def __call__(self, connection: Served) -> None:
        while (received := connection.request()) is not None:
            self._respond(connection, received)

    def _respond(self, connection: Served, received: Received) -> None:
        path = received.target.partition("?")[0]
        if path == "/stream":
            self._stream(connection)
        elif path == "/cut":
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nthe first bytes")
            connection.reset()
        elif path in ("/first", "/second"):
            to = {"/first": b"/second", "/second": b"/third"}[path]
            connection.send(b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % to)
        elif path == "/head":
            body = b"" if received.method == "HEAD" else b"the content"
            connection.send(
                b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nX-Method: %s\r\n\r\n%s" % (received.method.encode(), body)
            )
        else:
            connection.send(self._whole(received, path))

    def _whole(self, received: Received, path: str) -> bytes:
        fields = b""
        if path == "/large":
            body = LARGE
        elif path == "/packed":
            body, fields = PACKED, b"Content-Encoding: gzip\r\n"
        elif path == "/turns":
            self._asked += 1
            body = b"turn %d" % self._asked
        elif path == "/tenant":
            body, fields = f"for {received.headers['x-tenant']}".encode(), b"Vary: X-Tenant\r\n"
        else:
            body = f"{received.target} {received.body.decode()}".encode()
        return b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (fields, len(body), body)

    @staticmethod
    def _stream(connection: Served) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for event in EVENTS:
            threading.Event().wait(PAUSE_SECONDS)  # the pace is what is recorded
            connection.send(b"%x\r\n%s\r\n" % (len(event), event))
        connection.send(b"0\r\n\r\n")


@dataclass
class Recorded:
    """A recording of the service, which has stopped, and a mockrec that answers from it."""

    url: str
    """The URL of the service."""
    path: Path
    run: Serving
    client: httpx.Client


def proxied(url: str) -> httpx.Client:
    return httpx.Client(proxy=url, trust_env=False, timeout=60)


@pytest.fixture(scope="module")
def service(
    fork_server: ForkServer,
    shared_recorder: StartRecorder,
    shared_upstream: StartUpstream,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Recorded]:
    server = shared_upstream(serve=Service())
    recording = shared_recorder(None, "--events", "all")
    with proxied(recording.url) as client:
        ask_everything(client, server.url)
    session = recording.stop(check=False)
    assert session.code == 0
    assert session.path is not None
    server.close()
    folder = tmp_path_factory.mktemp("clean")
    for start in servings(fork_server, folder):
        run = start(session.path, "--latency", "recorded", "--events", "all")
        with proxied(run.url) as client:
            yield Recorded(server.url, session.path, run, client)


def ask_everything(client: httpx.Client, url: str) -> None:
    for _ in range(3):
        client.get(f"{url}/turns")
    client.post(f"{url}/order", json={"item": 1})
    client.get(f"{url}/list?page=1")
    client.get(f"{url}/tenant", headers={"X-Tenant": "a"})
    client.get(f"{url}/first", follow_redirects=True)
    for path in ("stream", "packed", "large", "head"):
        client.get(f"{url}/{path}")
    client.head(f"{url}/head")
    with pytest.raises(httpx.HTTPError):
        client.get(f"{url}/cut")
    for worker in range(WORKERS):
        for number in range(OF_EACH):
            client.post(f"{url}/work", content=f"{worker}-{number}")


def test_three_answers_to_one_request_come_in_their_order(service: Recorded) -> None:
    assert [service.client.get(f"{service.url}/turns").text for _ in range(3)] == ["turn 1", "turn 2", "turn 3"]


@pytest.mark.parametrize(
    "ask",
    [
        lambda client, url: client.post(f"{url}/order", json={"item": 2}),
        lambda client, url: client.post(f"{url}/order", json={"item": "1"}),
        lambda client, url: client.post(f"{url}/order"),
        lambda client, url: client.put(f"{url}/order", json={"item": 1}),
        lambda client, url: client.get(f"{url}/list?page=2"),
        lambda client, url: client.get(f"{url}/list?page=1&page=1"),
        lambda client, url: client.get(f"{url}/list"),
        lambda client, url: client.get(f"{url}/tenant", headers={"X-Tenant": "b"}),
        lambda client, url: client.get(f"{url}/tenant"),
        lambda client, url: client.get("http://another.test/list?page=1"),
        lambda client, url: client.get(f"{url}/never"),
    ],
    ids=["body", "type", "no-body", "method", "query", "twice", "no-query", "varied", "not-varied", "host", "path"],
)
def test_another_request_is_a_miss_and_gets_no_other_answer(
    service: Recorded, ask: Callable[[httpx.Client, str], httpx.Response]
) -> None:
    missed = ask(service.client, service.url)
    assert missed.status_code == 503
    assert missed.text.startswith("No recording answers this request.")


def test_the_same_request_gets_its_answer(service: Recorded) -> None:
    assert service.client.post(f"{service.url}/order", json={"item": 1}).text == '/order {"item":1}'
    assert service.client.get(f"{service.url}/list?page=1").text == "/list?page=1 "
    assert service.client.get(f"{service.url}/tenant", headers={"X-Tenant": "a"}).text == "for a"


def test_a_chain_of_redirects(service: Recorded) -> None:
    found = service.client.get(f"{service.url}/first", follow_redirects=True)
    assert [str(one.url).removeprefix(service.url) for one in found.history] == ["/first", "/second"]
    assert (found.status_code, found.text) == (200, "/third ")


def test_a_stream_has_its_chunks_at_their_times(
    service: Recorded, fork_server: ForkServer, serve: Callable[..., Serving]
) -> None:
    run = serve(service.path, "--latency", "recorded", "--events", "all")
    with proxied(run.url) as client:
        assert client.get(f"{service.url}/stream").content == b"".join(EVENTS)
    assert run.stop()[0] == 0
    chunks = [one for one in run.records if one["type"] == "response-body-data" and one["content"]["size"]]
    assert [one["content"]["text"].encode() for one in chunks] == EVENTS
    (response,) = [one for one in run.records if one["type"] == "response"]
    # The server paused before each event; a busy recorder may be late, with the first event too, but never early.
    assert chunks[-1]["eventTimestamp"] - response["timingEvents"]["startTimestamp"] >= 2 * PAUSE_SECONDS * 1000 * 0.8


def test_a_compressed_body(service: Recorded) -> None:
    with service.client.stream("GET", f"{service.url}/packed") as found:
        packed = b"".join(found.iter_raw())
    assert found.headers["content-encoding"] == "gzip"
    assert int(found.headers["content-length"]) == len(packed)
    assert gzip.decompress(packed) == gzip.decompress(PACKED)


def test_a_large_body(service: Recorded) -> None:
    assert hashlib.sha256(service.client.get(f"{service.url}/large").content).digest() == hashlib.sha256(LARGE).digest()


def test_an_aborted_answer_is_aborted_again(service: Recorded) -> None:
    got: list[bytes] = []

    def read() -> None:
        with service.client.stream("GET", f"{service.url}/cut") as found:
            assert found.headers["content-length"] == "1000"
            got.extend(found.iter_raw())

    with pytest.raises(httpx.HTTPError):
        read()
    assert b"the first bytes".startswith(b"".join(got))


def test_head_and_get_of_one_url(service: Recorded) -> None:
    head, got = service.client.head(f"{service.url}/head"), service.client.get(f"{service.url}/head")
    assert (head.headers["x-method"], head.headers["content-length"], head.content) == ("HEAD", "11", b"")
    assert (got.headers["x-method"], got.text) == ("GET", "the content")


def test_two_parallel_workers_get_their_own_answers(service: Recorded) -> None:
    def work(worker: int) -> list[str]:
        with proxied(service.run.url) as client:
            return [client.post(f"{service.url}/work", content=f"{worker}-{n}").text for n in range(OF_EACH)]

    with ThreadPoolExecutor(WORKERS) as pool:
        for worker, texts in enumerate(pool.map(work, range(WORKERS))):
            assert texts == [f"/work {worker}-{number}" for number in range(OF_EACH)]


# ── the recording itself ───────────────────────────────────────────────────────────────────────────


def test_a_recording_that_stops_before_its_end(
    service: Recorded, tmp_path: Path, serve: Callable[..., Serving]
) -> None:
    data = service.path.read_bytes()
    place = data.index(b'"/list?page=1"')
    part = tmp_path / "part.jsonl"
    part.write_bytes(data[: place + 5])  # in the middle of a line
    receipt = tmp_path / "receipt.json"
    run = serve(part, "--strict", "--receipt", str(receipt))
    with proxied(run.url) as client:
        assert client.get(f"{service.url}/turns").text == "turn 1"
        assert client.get(f"{service.url}/list?page=1").status_code == 503
    code, said = run.stop()
    assert code == 1
    assert "is cut off" in said
    assert json.loads(receipt.read_text(encoding="utf-8"))["isolated"] is False


def _damaged(data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join([*lines[:3], b'{"type": "request", "id": \n', *lines[3:]])


def _newer(data: bytes) -> bytes:
    return data.replace(b'"schemaVersion":1,', b'"schemaVersion":99,', 1)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: b"", "the file is empty"),
        (_damaged, "damaged.jsonl:4: expected a record"),
        (_newer, "written by a newer mockrec"),
        (lambda data: b"PK\x03\x04" + data, "damaged.jsonl"),
        (lambda data: b"hello\n" + data, "damaged.jsonl"),
    ],
    ids=["empty", "damaged", "newer", "zip", "text"],
)
def test_a_cassette_that_cannot_be_read_is_no_run(
    service: Recorded, tmp_path: Path, program: RunProgram, damage: Callable[[bytes], bytes], said: str
) -> None:
    (tmp_path / "damaged.jsonl").write_bytes(damage(service.path.read_bytes()))
    receipt = tmp_path / "receipt.json"
    receipt.write_text('{"isolated": true}', encoding="utf-8")
    done = program("replay", "damaged.jsonl", "--serve", "--receipt", receipt, "--", "touch", "has-run")
    assert done.returncode == 125
    assert said in done.stderr and "Traceback" not in done.stderr
    assert not receipt.exists(), "the receipt of an earlier run must not stand for this one"
    assert not (tmp_path / "has-run").exists()


def test_a_cassette_without_exchanges_proves_nothing(service: Recorded, tmp_path: Path, program: RunProgram) -> None:
    lines = service.path.read_bytes().splitlines(keepends=True)
    (tmp_path / "none.jsonl").write_bytes(lines[0] + lines[-1])
    receipt = tmp_path / "receipt.json"
    done = program("replay", "none.jsonl", "--serve", "--strict", "--receipt", receipt, "--", "true")
    assert done.returncode == 0
    found = json.loads(receipt.read_text(encoding="utf-8"))
    assert (found["isolated"], found["served"]) == (False, 0)
