"""Many exchanges, and rules that are read again under load."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

from program import Program, most_growth, want

CONNECTIONS = 16
PIPELINED = 32
REQUEST = b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"


class Client(threading.Thread):
    """Keeps one connection busy, and counts the answers that it has seen whole."""

    def __init__(self, program: Program, requests: int, stop: threading.Event | None = None) -> None:
        super().__init__(daemon=True)
        self._program = program
        self._requests = requests
        self._until = stop
        self.seen = 0

    def run(self) -> None:
        try:
            self._ask()
        except (ConnectionResetError, BrokenPipeError):
            pass  # the run has ended by itself

    def _ask(self) -> None:
        with self._program.connect() as sock:
            while self.seen < self._requests and not (self._until is not None and self._until.is_set()):
                count = min(PIPELINED, self._requests - self.seen)
                sock.sendall(REQUEST * count)
                left, rest = count, b""
                while left:
                    data = sock.recv(262144)
                    if not data:
                        return
                    rest += data
                    whole = rest.count(b"\r\n\r\nhello")
                    left -= whole
                    self.seen += whole
                    rest = rest[rest.rfind(b"\r\n\r\nhello") + 9 :] if whole else rest


def busy(program: Program, total: int) -> int:
    """So many exchanges over some connections: how many were seen."""
    clients = [Client(program, total // CONNECTIONS) for _ in range(CONNECTIONS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return sum(client.seen for client in clients)


def exchanges(folder: Path, *, smoke: bool) -> str:
    """A million exchanges; memory after the first twentieth against that at the end."""
    total = 20_000 if smoke else 1_000_000
    with Program(folder) as program:
        seen = busy(program, total // 20)
        before, descriptors = program.memory, program.descriptors
        began = time.monotonic()
        seen += busy(program, total - total // 20)
        rate = (total - total // 20) / (time.monotonic() - began)
        program.wait_until(lambda: program.descriptors <= descriptors, "descriptors are left over")
        grown = program.memory - before
        counts = program.stop()
    want(seen == counts["response"] == counts["request"], f"clients saw {seen}, the log has {counts}")
    want(grown < most_growth(20, smoke), f"memory has grown by {grown:.0f} MB")
    return f"{seen} exchanges, {rate:.0f} a second, each recorded once; memory {before:.0f} MB, then {grown:+.1f} MB"


def reload(folder: Path, *, smoke: bool) -> str:
    """The rules are read again, several times a second, good and bad ones, while clients ask."""
    times = 5 if smoke else 60
    stop = threading.Event()
    with Program(folder) as program:
        good = program.rules.read_text(encoding="utf-8")
        clients = [Client(program, 1 << 40, stop) for _ in range(4)]
        for client in clients:
            client.start()
        warm = 500 if smoke else 50_000  # until then caches and pools fill
        program.wait_until(lambda: all(client.seen > warm for client in clients), "hardly anybody is served")
        before = program.memory
        watcher = Watcher(program.log, "rules-reloaded")
        for number in range(times):
            broken = number % 4 == 3
            program.rules.write_text("version: 1\nrules: [" if broken else f"{good}# {number}\n", encoding="utf-8")
            said = len(program.stderr)
            reloaded = watcher.look()
            program.process.send_signal(signal.SIGHUP)
            if broken:
                program.wait_until(lambda said=said: len(program.stderr) > said, "a broken file is not told")
            else:
                program.wait_until(lambda were=reloaded: watcher.look() > were, "the rules are not read again")
            if not smoke:
                time.sleep(0.25)  # so that it takes its time
        grown = program.memory - before
        stop.set()
        for client in clients:
            client.join()
        counts = program.stop()
    seen = sum(client.seen for client in clients)
    want(seen == counts["response"], f"clients saw {seen}, the log has {counts}")
    want(
        counts["rules-reloaded"] == times - times // 4, f"{counts['rules-reloaded']} of {times} reloads are in the log"
    )
    want(grown < most_growth(20, smoke), f"memory has grown by {grown:.0f} MB")
    return f"{times} reloads under load, {seen} exchanges, each recorded once; memory {grown:+.1f} MB"


class Watcher:
    """Counts records of a type in a log that grows; what it has seen it does not read again."""

    def __init__(self, log: Path, kind: str) -> None:
        self._log = log
        self._mark = f'"type":"{kind}"'.encode()
        self._offset = 0
        self.count = 0

    def look(self) -> int:
        """How many there are by now."""
        with self._log.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        self.count += whole.count(self._mark)
        return self.count
