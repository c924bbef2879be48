"""Long bodies are kept beside the log, in constant memory, whole or not at all."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import stat
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from mockrec.formats.schema.body import FILE_NAME, Body

Start = Callable[..., Any]
Serve = Callable[..., Any]
Program = Callable[..., Any]

RULES = "version: 1\nrules: [{when: {method: POST}, then: {reply: {status: 201}}}, {then: {reply: {file: long.bin}}}]\n"
LONG = 300 * 1024


def ask(port: int, head: str, body: bytes = b"", *, limit: int | None = None) -> int:
    """The bytes of the answer; with `limit`, the connection is left after so many."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        sock.sendall(f"{head}\r\nHost: a.test\r\nConnection: close\r\n\r\n".encode() + body)
        count = 0
        while data := sock.recv(1 << 20):
            count += len(data)
            if limit is not None and count > limit:
                break
        return count


def post(port: int, body: bytes, *fields: str) -> None:
    head = "\r\n".join([f"POST / HTTP/1.1\r\nContent-Length: {len(body)}", *fields])
    assert ask(port, head, body) > 0


def folder_of(log: Path) -> Path:
    return log.with_name(f"{log.name}.bodies")


def files(log: Path) -> list[Path]:
    return sorted(path for path in folder_of(log).rglob("*") if path.is_file())


def of(log: Path, record: dict[str, Any]) -> bytes:
    return Body.from_record(record, folder_of(log)).bytes


def test_long_bodies_both_ways(recorder: Start, tmp_path: Path, program: Program) -> None:
    content = os.urandom(LONG)
    (tmp_path / "long.bin").write_bytes(content)
    run = recorder(RULES)
    post(run.port, content)
    post(run.port, b"x" * (256 * 1024))  # just short enough
    ask(run.port, "GET / HTTP/1.1")
    session = run.stop()
    # Long bodies are redacted elsewhere, so their records may come after those of later exchanges.
    requests = sorted(session.by_type("request"), key=lambda record: -record["body"]["size"])
    long, short, _ = [record["body"] for record in requests]
    answer = max((record["body"] for record in session.by_type("response")), key=lambda body: body["size"])
    sha256 = hashlib.sha256(content).hexdigest()
    assert long == answer == {"size": LONG, "file": f"{sha256[:2]}/{sha256}", "sha256": sha256}
    assert len(short["text"]) == 256 * 1024
    assert of(run.log, long) == content
    (path,) = files(run.log)  # equal bodies share a file
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, path.parent.parent)} == {0o700}
    assert program("verify", run.log).returncode == 0
    shown = program("show", run.log, requests[0]["id"])
    assert content[:16].hex(" ") in shown.stdout
    path.write_bytes(content[:-1] + b"?")
    assert "not what its hash says" in program("verify", run.log).stdout
    path.unlink()
    found = program("verify", run.log)
    assert found.returncode == 1
    assert "No such file" in found.stdout


def test_a_replayed_long_body_is_in_a_file(recorder: Start, tmp_path: Path, program: Program) -> None:
    content = os.urandom(LONG)
    (tmp_path / "long.bin").write_bytes(content)
    run = recorder(RULES)
    post(run.port, content)
    run.stop()
    target = recorder(RULES, out="target.jsonl")
    done = program("replay", run.log, "--to", target.url, "-o", "again.jsonl")
    assert done.returncode == 0, done.stderr
    again = tmp_path / "again.jsonl"
    records = [json.loads(line) for line in again.read_text(encoding="utf-8").splitlines()]
    body = next(record["body"] for record in records if record["type"] == "request")
    assert "file" in body
    assert of(again, body) == content


@pytest.mark.parametrize("chunk", [1000, 65536])
def test_redacted_and_decoded_as_they_come(recorder: Start, tmp_path: Path, upstream: Serve, chunk: int) -> None:
    """The file holds no secret either, whatever the pieces are."""
    entries = [{"id": number, "password": f"hunter-{number:06}", "n": "x" * 100} for number in range(4000)]
    content = json.dumps(entries).encode()
    packed = gzip.compress(content)

    def serve(connection: Any) -> None:
        connection.request()
        connection.send(
            f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n".encode()
        )
        for start in range(0, len(content), chunk):
            connection.send(content[start : start + chunk])

    server = upstream(serve=serve)
    run = recorder(
        f"version: 1\nrules: [{{when: {{path: /on}}, then: {{forward: {{to: '{server.url}'}}}}}}, {{then: {{reply: {{}}}}}}]\n"
    )
    ask(run.port, "GET /on HTTP/1.1")
    post(run.port, packed, "Content-Encoding: gzip", "Content-Type: application/json")
    session = run.stop()
    answer = next(
        record["body"]
        for record in session.by_type("response")
        if record["statusCode"] == 200 and record["body"]["size"]
    )
    request = next(record["body"] for record in session.by_type("request") if record["path"] != "/on")
    assert (answer["size"], answer["redacted"]) == (len(content), True)
    assert (request["size"], request["contentEncoding"], request["encodedSize"]) == (len(content), "gzip", len(packed))
    assert answer["sha256"] == request["sha256"]
    told = json.loads(of(run.log, answer))
    assert [entry["n"] for entry in told] == [entry["n"] for entry in entries]
    assert all(re.fullmatch("redacted-[0-9a-f]{8}", entry["password"]) for entry in told)
    for path in [run.log, *files(run.log)]:
        assert b"hunter-" not in path.read_bytes()


def test_inline_bodies(recorder: Start, tmp_path: Path) -> None:
    (tmp_path / "long.bin").write_bytes(bytes(LONG))
    run = recorder(RULES, "--inline-bodies")
    ask(run.port, "GET / HTTP/1.1")
    body = run.stop().one("response")["body"]
    assert body["text"] == "\0" * LONG
    assert not folder_of(run.log).exists()


def test_several_outputs_and_stdout(recorder: Start, tmp_path: Path) -> None:
    (tmp_path / "long.bin").write_bytes(bytes(LONG))
    run = recorder(RULES, "-o", "other.jsonl.gz")
    ask(run.port, "GET / HTTP/1.1")
    body = run.stop().one("response")["body"]
    for log in (run.log, tmp_path / "other.jsonl.gz"):
        assert of(log, body) == bytes(LONG)
    run = recorder(RULES, "-o", "-", out="with-stdout.jsonl")
    ask(run.port, "GET / HTTP/1.1")
    assert "text" in run.stop().one("response")["body"]


def test_force_removes_the_bodies_of_before(recorder: Start, tmp_path: Path) -> None:
    (tmp_path / "long.bin").write_bytes(bytes(LONG))
    run = recorder(RULES)
    ask(run.port, "GET / HTTP/1.1")
    run.stop()
    mine = folder_of(run.log) / "notes.txt"
    mine.write_text("of the user's")
    assert len(files(run.log)) == 2
    recorder(RULES, "--force").stop()
    assert files(run.log) == [mine]


def test_what_is_cut_and_what_breaks_off(recorder: Start, upstream: Serve) -> None:
    def serve(connection: Any) -> None:
        connection.request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n" + b"y" * 400_000)

    server = upstream(serve=serve)
    rules = f"version: 1\nrules: [{{when: {{method: POST}}, then: {{reply: {{}}}}}}, {{then: {{forward: {{to: '{server.url}'}}}}}}]\n"
    run = recorder(rules, "--max-body-size", "300KiB")
    post(run.port, b"x" * 500_000)
    ask(run.port, "GET / HTTP/1.1")
    session = run.stop()
    request = session.by_type("request")[0]["body"]
    assert (request["size"], request["truncated"]) == (500_000, True)
    assert of(run.log, request) == b"x" * 300 * 1024
    answer = session.one("abort")["response"]["body"]
    assert (answer["size"], answer["truncated"], answer["incomplete"]) == (400_000, True, True)
    assert of(run.log, answer) == b"y" * 300 * 1024


def peak(pid: int) -> int:
    """The most memory that it has had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def test_a_long_download_in_constant_memory(recorder: Start, upstream: Serve, tmp_path: Path) -> None:
    size, piece = 400 * 1024 * 1024, bytes(range(256)) * 1024

    def serve(connection: Any) -> None:
        connection.request()
        connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
        for _ in range(size // len(piece)):
            connection.send(piece)

    server = upstream(serve=serve)
    run = recorder(f"version: 1\nrules: [{{then: {{forward: {{to: '{server.url}'}}}}}}]\n", "--max-body-size", "2GiB")
    before = peak(run.pid)
    assert ask(run.port, "GET / HTTP/1.1") > size
    assert peak(run.pid) - before < 100 * 1024 * 1024
    body = run.stop(check=False).one("response")["body"]
    assert body["size"] == size
    (path,) = files(run.log)
    assert path.stat().st_size == size
    shutil.rmtree(folder_of(run.log))


def test_many_long_uploads_in_constant_memory(recorder: Start, upstream: Serve) -> None:
    """None of them is longer than what the log keeps, and nothing but the log wants them."""
    server = upstream()
    run = recorder(f"version: 1\nrules: [{{then: {{forward: {{to: '{server.url}'}}}}}}]\n")
    body = bytes(9 * 1024 * 1024)
    post(run.port, body)
    before = peak(run.pid)
    head = f"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with ExitStack() as stack:
        socks = [stack.enter_context(socket.create_connection(("127.0.0.1", run.port), timeout=60)) for _ in range(12)]
        for sock in socks:
            sock.sendall(head + body[:-1])
        for sock in socks:
            sock.sendall(body[-1:])
            assert sock.recv(100).startswith(b"HTTP/1.1 200 ")
        assert peak(run.pid) - before < 40 * 1024 * 1024  # of 108 MiB that were under way
    assert len(run.stop().by_type("response")) == 13


def test_a_changed_upload_is_passed_on_whole(recorder: Start, upstream: Serve) -> None:
    """Longer than 10 MiB, and beside the log."""
    server = upstream()
    change = "request: {matchReplaceBody: [[needle, thread]]}"
    run = recorder(
        f"version: 1\nrules: [{{then: {{forward: {{to: '{server.url}', {change}}}}}}}]\n", "--max-body-size", "100MB"
    )
    body = b"x" * (12 * 1024 * 1024) + b"needle"
    post(run.port, body)
    session = run.stop()
    (record,) = session.by_type("request")
    assert of(run.log, record["body"]) == body
    assert server.request.body == body.replace(b"needle", b"thread")


def test_after_a_kill_there_is_no_half_file(recorder: Start, upstream: Serve) -> None:
    def serve(connection: Any) -> None:
        connection.request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        piece = os.urandom(65536)
        while True:
            connection.send(piece)

    server = upstream(serve=serve)
    run = recorder(f"version: 1\nrules: [{{then: {{forward: {{to: '{server.url}'}}}}}}]\n", "--max-body-size", "1GiB")
    ask(run.port, "GET / HTTP/1.1", limit=20_000_000)  # left: its file is whole, as far as it came
    with socket.create_connection(("127.0.0.1", run.port)) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        got = 0
        while got < 10_000_000:
            got += len(sock.recv(1 << 20))
        os.kill(run.pid, signal.SIGKILL)
        run.process.wait()
    for path in files(run.log):
        name = str(path.relative_to(folder_of(run.log)))
        if FILE_NAME.fullmatch(name):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
        else:
            assert path.name.startswith(".new-")
