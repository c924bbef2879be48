"""What goes through the proxy and through TLS: rates turn by turn with the peers, and the memory of huge bodies."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

from bench import Bench, BenchError
from load import Work
from measures import alternate
from more_servers import proxy_py
from names import drive_names
from process import cpu_seconds
from rows import Row, Target
from rulefiles import PAYLOAD_BYTES
from servers import Server, Start, mitmdump, mockrec, mockttp
from turns import Turn, compare, metered, take_turns
from upstream import nginx, sink

_HUGE = 2 << 30
_KEPT = 1 << 20


def p3(bench: Bench) -> Sequence[Row]:
    """HTTPS with a certificate of one's own, keep-alive."""
    sides: dict[str, Start] = {"mockrec": partial(mockrec, bench), "Mockttp": partial(mockttp, bench, "--tls")}
    rounds, _ = alternate(bench, sides, Work(tls=True))
    work = "HTTPS mock, keep-alive, against Mockttp recording"
    return [compare("P3", work, Target(2.5, True), rounds, ("mockrec", "Mockttp"))]


def p5(bench: Bench) -> Sequence[Row]:
    """HTTP/1.1 through the proxy to nginx."""
    with nginx(bench) as target:
        sides: dict[str, Start] = {
            "mockrec": partial(mockrec, bench, proxy=True),
            "Mockttp": partial(mockttp, bench, "--proxy"),
            "mitmdump": partial(mitmdump, bench, proxy=True),
            "proxy.py": partial(proxy_py, bench),
        }
        rounds, missing = alternate(bench, sides, Work(target=target))
    work = "HTTP/1.1 proxy to nginx, keep-alive, against"
    more = [] if "proxy.py" in missing else [("proxy.py", "proxy.py that keeps responses")]
    return [
        compare("P5", f"{work} Mockttp recording", Target(3.5, True), rounds, ("mockrec", "Mockttp")),
        compare("P5", f"{work} mitmdump -w", Target(14, True), rounds, ("mockrec", "mitmdump")),
        *(compare("P5", f"{work} {text}", None, rounds, ("mockrec", name)) for name, text in more),
    ]


def p7(bench: Bench) -> Sequence[Row]:
    """Names that TLS has not been asked for before: a certificate and a handshake each."""
    sides: dict[str, Start] = {"mockrec": partial(mockrec, bench), "Mockttp": partial(mockttp, bench, "--tls")}

    def turn(start: Start) -> Turn:
        with start() as server:
            return metered(bench, server, lambda seconds: drive_names(bench, server.port, seconds=seconds))[0]

    rounds, _ = take_turns(bench, sides, turn)
    row = compare("P7", "new TLS names, against Mockttp", Target(6, True), rounds, ("mockrec", "Mockttp"))
    return [row]


def p8_proxied(bench: Bench) -> Sequence[Row]:
    """100 KiB bodies both ways through the proxy."""
    with nginx(bench) as target:
        sides: dict[str, Start] = {
            "mockrec": partial(mockrec, bench, proxy=True),
            "Mockttp": partial(mockttp, bench, "--proxy"),
        }
        rounds, _ = alternate(bench, sides, Work(upload=True, target=target))
        varied, _ = alternate(bench, sides, Work(upload=True, varied=True, target=target))
    megabytes, pair = 2 * PAYLOAD_BYTES / 1e6, ("mockrec", "Mockttp")
    work = "100 KiB bodies both ways through the proxy, against Mockttp recording"
    return [
        compare("P8", work, Target(2, True), rounds, pair, megabytes),
        compare("P8", f"{work} (each request's body is new)", None, varied, pair, megabytes),
    ]


def m2(bench: Bench) -> Sequence[Row]:
    """2 GiB each way through the proxy, of which 1 MiB is kept: peak memory, and the rate beside Mockttp's."""
    size = _KEPT * 4 if bench.smoke else _HUGE
    peaks: list[float] = []

    def turn(start: Start) -> Turn:
        with start() as server:
            before = cpu_seconds(server.pid)
            rate = _transfer(server, download, upload, size)
            if server.name == "mockrec":
                peaks.append(_peak_bytes(server.pid) / 1e6)
            return Turn(rate, (cpu_seconds(server.pid) - before) / 2 * 1e6)

    sides: dict[str, Start] = {
        "mockrec": partial(mockrec, bench, "--max-body-size", "1MiB", proxy=True),
        "Mockttp": partial(mockttp, bench, "--proxy", f"--max-body={_KEPT}"),
    }
    with nginx(bench, huge=size) as download, sink() as upload:
        rounds, _ = take_turns(bench, sides, turn)
    peak = median(peaks)
    total = f"{size / (1 << 30):g} GiB"
    memory = Row("M2", f"peak memory, {total} each way through the proxy", Target(150, False), peak, unit="MB")
    speed = compare("M2", f"{total} each way, against Mockttp", Target(0.5, True), rounds, ("mockrec", "Mockttp"), 1e-6)
    return [memory, speed]


def _transfer(server: Server, download: int, upload: int, size: int) -> float:
    """Bytes a second, down and up together."""
    curl = shutil.which("curl")
    if curl is None:
        raise BenchError("curl is not installed")
    proxy = f"http://127.0.0.1:{server.port}"
    common = [curl, "-sS", "-x", proxy, "--noproxy", "", "-o", "/dev/null", "-w", "%{http_code} %{time_total}"]
    seconds = 0.0
    assert server.log is not None
    huge = Path(server.log.parent / "upload.bin")
    with huge.open("wb") as file:
        file.truncate(size)
    for argv in (
        [*common, f"http://127.0.0.1:{download}/huge.bin"],
        [*common, "-T", str(huge), f"http://127.0.0.1:{upload}/"],
    ):
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        status, _, taken = done.stdout.partition(" ")
        if done.returncode != 0 or status != "200":
            raise BenchError(f"{server.name}: curl ended with {done.returncode}, {status}: {done.stderr.strip()}")
        seconds += float(taken)
    return 2 * size / seconds


def _peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    if found is None:
        raise BenchError("no VmHWM in /proc")
    return int(found[1]) * 1024
