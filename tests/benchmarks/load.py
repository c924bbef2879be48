"""Drives a server and says how fast it answered; an answer that is not the mocked one voids the run.

wrk measures. The loader built in here only serves `--smoke`, which must run where wrk is not
installed and for less than wrk's shortest run of one second.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import shutil
import ssl
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bench import HERE, Bench, BenchError
from rulefiles import write_payload

CONNECTIONS = 16
_MANY_CONNECTIONS = 500


@dataclass(frozen=True)
class Load:
    """What one turn of load did."""

    requests: int
    per_second: float


@dataclass(frozen=True)
class Work:
    """What is asked for: GET /hello, or POST /upload."""

    upload: bool = False
    varied: bool = False
    """Whether each posted body differs from all others."""
    tls: bool = False
    http2: bool = False
    """Several streams on each of several connections; see `streams`."""
    streams: tuple[int, int] = (8, 16)
    """HTTP/2 connections, and streams on each."""
    target: int | None = None
    """The port of the server that a proxy is to ask."""
    connections: int = CONNECTIONS
    fields: int = 0
    """Header fields that are added to a GET /hello."""


def drive(bench: Bench, port: int, work: Work, *, seconds: float) -> Load:
    """One request after another over 16 keep-alive connections."""
    with bench.scratch() as folder:
        payload = write_payload(folder) if work.upload else None
        if bench.smoke:
            if work.http2:
                return _httpx(port, seconds)
            request = request_bytes(payload.read_bytes() if payload else None, work.target, work.fields)
            return asyncio.run(_builtin(port, seconds, request, tls=work.tls))
        return _h2load(port, seconds, work) if work.http2 else _wrk(port, seconds, payload, work)


def parse_wrk(text: str) -> Load:
    """wrk goes on counting when answers are wrong or connections break, so both are looked for first.

    A server that closes after each answer shows up as read errors; its rate would be that of connecting.
    """
    for pattern in (r"Socket errors: (?!connect 0, read 0, write 0, timeout 0).*", r"Non-2xx or 3xx.*"):
        if wrong := re.search(pattern, text):
            raise BenchError(f"wrk: {wrong.group()}")
    requests = re.search(r"(\d+) requests in", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if requests is None or rate is None or int(requests.group(1)) == 0:
        raise BenchError(f"wrk measured nothing: {text.strip()[-500:]}")
    return Load(int(requests.group(1)), float(rate.group(1)))


def _wrk(port: int, seconds: float, payload: Path | None, work: Work) -> Load:
    wrk = shutil.which("wrk")
    if wrk is None:
        raise BenchError("wrk is not installed (setup.sh installs it)")
    argv = [wrk, "-t1", f"-c{work.connections}", f"-d{max(1, math.ceil(seconds))}s"]
    if work.connections > _MANY_CONNECTIONS:
        argv += ["--timeout", "30s"]  # of many that wait in turn, the last one waits longer than the usual 2 s
    environment = dict(os.environ)
    environment.pop("BENCH_PAYLOAD", None)
    if payload is not None:
        environment["BENCH_PAYLOAD"] = str(payload)
    environment["BENCH_VARIED"] = "yes" if work.varied else ""
    if work.target is not None:
        environment["BENCH_TARGET"] = f"127.0.0.1:{work.target}"
        argv += ["-s", str(HERE / "peers" / "proxy.lua")]
    elif payload is not None:
        argv += ["-s", str(HERE / "peers" / "post.lua")]
    for number in range(work.fields):
        argv += ["-H", f"X-Field-{number}: value {number} of a field"]
    argv.append(f"{'https' if work.tls else 'http'}://127.0.0.1:{port}/{'hello' if payload is None else 'upload'}")
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"wrk ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return parse_wrk(done.stdout)


def parse_h2load(text: str) -> Load:
    """Every request must have succeeded with a 2xx."""
    rate = re.search(r"finished in [\d.]+m?s, ([\d.]+) req/s", text)
    counts = re.search(r"requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed", text)
    is_http2 = "Application protocol: h2\n" in text  # h2load takes HTTP/1.1 without a word
    if rate is None or counts is None or not int(counts[3]) or int(counts[4]) or not is_http2:
        raise BenchError(f"h2load: {text.strip()[-500:]}")
    return Load(int(counts[3]), float(rate[1]))


def _h2load(port: int, seconds: float, work: Work) -> Load:
    h2load = shutil.which("h2load")
    if h2load is None:
        raise BenchError("h2load is not installed (setup.sh installs it)")
    connections, streams = work.streams
    argv = [h2load, f"-c{connections}", f"-m{streams}", f"-D{max(1, math.ceil(seconds))}"]
    argv.append(f"https://127.0.0.1:{port}/hello")
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"h2load ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return parse_h2load(done.stdout)


def _httpx(port: int, seconds: float) -> Load:
    import httpx

    count, started = 0, time.perf_counter()
    with httpx.Client(http2=True, verify=False, trust_env=False) as client:
        while time.perf_counter() - started < seconds or not count:
            answer = client.get(f"https://127.0.0.1:{port}/hello")
            if (answer.http_version, answer.text) != ("HTTP/2", "Hello"):
                raise BenchError(f"unexpected answer: {answer!r}, {answer.http_version}, {answer.text!r}")
            count += 1
    return Load(count, count / (time.perf_counter() - started))


def request_bytes(payload: bytes | None = None, target: int | None = None, fields: int = 0) -> bytes:
    """One request as the loader sends it; `target` and `fields` as in `Work`."""
    server = b"" if target is None else b"http://127.0.0.1:%d" % target
    if payload is None:
        more = b"".join(b"X-Field-%d: value %d of a field\r\n" % (number, number) for number in range(fields))
        return b"GET %b/hello HTTP/1.1\r\nHost: 127.0.0.1\r\n%b\r\n" % (server, more)
    described = ("Host: 127.0.0.1", "Content-Type: application/json", f"Content-Length: {len(payload)}")
    return "\r\n".join((f"POST {server.decode()}/upload HTTP/1.1", *described, "", "")).encode() + payload


def body_size(head: bytes) -> int:
    """The length of a mocked answer's body; every other answer is an error."""
    length = re.search(rb"\r\ncontent-length: *(\d+)\r\n", head, re.IGNORECASE)
    if not head.startswith(b"HTTP/1.1 200 ") or length is None:
        raise BenchError(f"unexpected answer: {head[:200]!r}")
    return int(length.group(1))


async def _builtin(port: int, seconds: float, request: bytes, *, tls: bool = False) -> Load:
    context = None
    if tls:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    started = time.perf_counter()

    async def client() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        count = 0
        try:
            while time.perf_counter() - started < seconds or not count:
                writer.write(request)
                await reader.readexactly(body_size(await reader.readuntil(b"\r\n\r\n")))
                count += 1
        except (OSError, EOFError) as error:
            raise BenchError(f"a connection broke: {error!r}") from error
        finally:
            writer.close()
        return count

    total = sum(await asyncio.gather(*(client() for _ in range(CONNECTIONS))))
    return Load(total, total / (time.perf_counter() - started))
