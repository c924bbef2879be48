"""Prints where the CPU time of a row goes, by samples of perf: `python tests/benchmarks/profile.py P1,P5`.

docs/architecture/profiles.md has the tables. Needs Linux and perf, and the right to sample (kernel.perf_event_paranoid).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import HERE, Bench, BenchError, find_mockrec
from load import Work, drive
from names import drive_names
from process import family
from servers import Server, mockrec
from upstream import nginx

Drive = Callable[[Bench, int, float], object]

_KERNEL = (
    ("locks of threads", r"futex"),
    ("writing to sockets", r"tcp_sendmsg|sock_write|sock_sendmsg|unix_stream_sendmsg"),
    ("reading from sockets", r"tcp_recvmsg|sock_read|sock_recvmsg|unix_stream_recvmsg"),
    ("writing the log", r"vfs_write|ext4_|xfs_|btrfs_"),
    ("waiting for events", r"epoll"),
    ("page faults", r"page_fault"),
)
"""Parts of the kernel by functions of a call chain: a sample belongs to the first part of which it has one."""
_LIBRARIES = (
    ("OpenSSL", r"libssl|libcrypto|_rust\.abi3|_openssl"),
    ("search for secrets (RE2)", r"re2"),
    ("JSON (orjson, msgspec)", r"orjson|msgspec"),
    ("event loop (uvloop)", r"uvloop"),
    ("copies and memory (libc)", r"libc[.-]"),
    ("interpreter", r"python"),
)


def _loaded(work: Work) -> Drive:
    return lambda bench, port, seconds: drive(bench, port, work, seconds=seconds)


@contextmanager
def _before_nginx(bench: Bench, *, tls: bool) -> Iterator[Server]:
    with nginx(bench, tls=tls) as port, mockrec(bench, before=f"http{'s' if tls else ''}://127.0.0.1:{port}") as server:
        yield server


ROWS: dict[str, tuple[Callable[[Bench], AbstractContextManager[Server]], Drive]] = {
    "P1": (mockrec, _loaded(Work())),
    "P3": (mockrec, _loaded(Work(tls=True))),
    "P4": (mockrec, _loaded(Work(tls=True, http2=True))),
    "P5": (partial(_before_nginx, tls=False), _loaded(Work())),
    "P7": (mockrec, lambda bench, port, seconds: drive_names(bench, port, seconds=seconds)),
    "P8": (partial(mockrec, upload=True), _loaded(Work(upload=True))),
    "P8P": (partial(_before_nginx, tls=False), _loaded(Work(upload=True))),
    "P9": (lambda bench: mockrec(bench, "--workers", "2"), _loaded(Work())),
    "P10": (partial(_before_nginx, tls=True), _loaded(Work(tls=True, http2=True, streams=(4, 10)))),
    "P11": (partial(_before_nginx, tls=True), _loaded(Work(tls=True))),
}
"""Each row's server, and its load. `P8P` is P8 through the proxy."""


def sampled(bench: Bench, name: str) -> Counter[str]:
    """How many samples each part of a row's server has got."""
    perf = shutil.which("perf")
    if perf is None:
        raise BenchError("perf is not installed")
    start, load = ROWS[name]
    with start(bench) as server, bench.scratch() as folder:
        load(bench, server.port, bench.warmup)
        loading = threading.Thread(target=load, args=(bench, server.port, bench.seconds + 1))
        loading.start()
        data, processes = folder / "perf.data", ",".join(map(str, family(server.pid)))
        record = [perf, "record", "-q", "-F", "999", "-e", "cpu-clock", "-g", "-o", data, "-p", processes]
        try:
            _ran([*record, "--", "sleep", str(bench.seconds)])
        finally:
            loading.join()
        return _counted(_ran([perf, "script", "-i", data, "-F", "ip,sym,dso"]))


def _ran(argv: list[str | Path]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"{argv[0]} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


def _counted(script: str) -> Counter[str]:
    return Counter(_part(sample) for sample in script.split("\n\n") if sample.strip())


def _part(sample: str) -> str:
    """What a sample is counted for; its first line is the function that ran."""
    leaf = sample.strip().partition("\n")[0]
    if "kernel" in leaf.rpartition("(")[2]:
        return next((part for part, functions in _KERNEL if re.search(functions, sample)), "the rest of the kernel")
    library = leaf.rpartition("(")[2].rpartition("/")[2]
    return next((part for part, names in _LIBRARIES if re.search(names, library)), f"other: {library.rstrip(')')}")


def main() -> int:
    parser = argparse.ArgumentParser(description="where the CPU time of a row goes, by samples of perf")
    parser.add_argument("rows", type=lambda text: text.upper().split(","), help=", ".join(ROWS))
    parser.add_argument("--seconds", type=float, default=6.0)
    options = parser.parse_args()
    if unknown := [name for name in options.rows if name not in ROWS]:
        parser.error(f"unknown: {', '.join(unknown)}")
    with TemporaryDirectory() as work:
        peers = Path(os.environ.get("MOCKREC_PEERS") or HERE / ".peers").absolute()
        bench = Bench(find_mockrec(None), peers, Path(work), seconds=options.seconds)
        for name in options.rows:
            try:
                parts = sampled(bench, name)
            except BenchError as error:
                print(f"{name}: {error}", file=sys.stderr)
                return 1
            print(f"\n{name}, {parts.total():,} samples")
            for part, count in parts.most_common():
                if count * 200 >= parts.total():
                    print(f"| {part} | {100 * count / parts.total():.0f} % |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
