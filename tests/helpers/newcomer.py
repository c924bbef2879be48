"""A reader who types the commands of a documentation page, in an empty folder with two terminals.

Programs that run until they are stopped (`mockrec run` without COMMAND, `replay --serve`) use the first terminal, until the
page shows `^C`, the next such program starts, or the page ends. Ports 8000 and 3000 of the pages are replaced by free ones.
"""

from __future__ import annotations

import http.server
import os
import pty
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from documented import ROOT, Block, differences

SECONDS = 60.0
_STAYS = re.compile(r"""^(?:\w+=(?:"[^"]*"|\S*) )*mockrec (?:run\b(?!.* -- )|replay\b(?!.* -- ).* --serve\b)""")
_MAY_SAY_NO = re.compile(r"mockrec (?:diff|verify)\b|--diff\b|--strict\b")
_OUTPUT = re.compile(r"(?<= )-o (\S+)|(?<=--to-rules )(\S+)|(?<=--repair )(\S+)")
_SETTING = re.compile(r"proxy|_CERT|(?<!^MOCKREC)_CA_|CAINFO|^PIP_|^JAVA_TOOL|^GIT_|^NODE_", re.IGNORECASE)
"""Environment variables that configure proxies and certificates: the pages set them, so the machine must not."""
_SUITE = """\
import http.client, os

def test_the_shop():
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["MOCKREC_PORT"]), timeout=20)
    connection.request("GET", "/users/7")
    assert connection.getresponse().read()
    connection.close()
"""

_READS = re.compile(r"(?:jq|cat|wc|mockrec (?:filter|show|stats|verify)) (?!.* (?:-o|--repair) )")
_LATE_SECONDS = 10.0


class Terminal:
    """A program with its own terminal, and the text that it has printed there."""

    def __init__(self, command: str, folder: Path, environment: dict[str, str]) -> None:
        ours, theirs = pty.openpty()
        self._descriptor = ours
        self._printed = bytearray()
        self.process = subprocess.Popen(
            ["bash", "-c", command], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, cwd=folder, env=environment,
            process_group=0,
        )  # fmt: skip
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._descriptor, 65536)
            except OSError:  # the last process with this terminal has ended
                return
            if not data:
                return
            self._printed += data

    @property
    def printed(self) -> str:
        return self._printed.decode("utf-8", "replace").replace("\r\n", "\n")

    def await_ready(self) -> None:
        deadline = time.monotonic() + SECONDS
        while " ready on " not in self.printed or not self.printed.endswith("\n"):
            assert self.process.poll() is None and time.monotonic() < deadline, self.printed
            time.sleep(0.005)  # there is no event to wait for

    def end(self, number: int | None = None) -> int:
        """Send a signal, if given, and wait for the end; return the exit code."""
        if number is not None and self.process.poll() is None:
            os.killpg(self.process.pid, number)
        try:
            code = self.process.wait(SECONDS)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
        self._reader.join(SECONDS)
        os.close(self._descriptor)
        return code


def _outputs(command: str) -> set[str]:
    """Return the files that a command writes."""
    return {next(filter(None, found.groups())) for found in _OUTPUT.finditer(command)}


class Newcomer:
    """Follows the blocks of a page in order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        programs = folder / "bin"
        programs.mkdir()
        for name, module in (("mockrec", "mockrec.cli"), ("pytest", "pytest"), ("python3", "")):
            argv = f"-m {module}" if module else ""
            (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {argv} "$@"\n', encoding="utf-8")
            (programs / name).chmod(0o755)
        self._environment = {
            **{name: value for name, value in os.environ.items() if not _SETTING.search(name)},
            **{
                "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
                "NO_COLOR": "1",
                "TERM": "dumb",
                "COLUMNS": "120",
            },
            **{"HOME": str(self.folder), "PAGER": "cat", "GIT_PAGER": "cat", "GIT_CONFIG_NOSYSTEM": "1"},
        }
        self._state = folder / "state"
        self._state.write_text("", encoding="utf-8")
        self._ports = {"8000": _free_port(), "3000": _free_port()}
        self._first: Terminal | None = None
        self._written: set[str] = set()
        """The files that the first terminal's program writes."""
        self._seen = 0
        self._server: http.server.ThreadingHTTPServer | None = None
        self._code = 0

    def read(self, block: Block) -> None:
        """Run the commands of a block, or write the file that it shows."""
        for thing in block.notes.get("given", "").split(", "):
            if thing:
                self._give(thing)
        if "not run" in block.notes:
            if "instead" in block.notes:
                self._type(block.notes["instead"], None, careful=False)
        elif block.file is not None:
            path = self.folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._ported(block.text), encoding="utf-8")
        elif block.language in ("sh", "console"):
            for command, shown in block.commands():
                if command:
                    self._type(command, shown if block.language == "console" else None, block.language == "console")
                else:
                    self._look_at_the_first(shown)

    def leave(self) -> None:
        """Stop all programs at the end of the page."""
        if self._first is not None:
            self._first.end(signal.SIGINT)
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    # ── files and servers that the reader already has ──────────────────────────────────────────────────────────────────────

    def _give(self, thing: str) -> None:
        target = self.folder / thing
        target.parent.mkdir(parents=True, exist_ok=True)
        if thing == "a server":
            self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self._ports["3000"]), _Answers)
            threading.Thread(target=self._server.serve_forever, daemon=True).start()
        elif thing == "samples/":
            shutil.copytree(ROOT / "samples", target)
        elif thing == "rules.yaml":
            shutil.copy(ROOT / "samples" / "hello.yaml", target)
        elif thing == "test_shop.py":
            target.write_text(_SUITE, encoding="utf-8")
            # A suite has a folder of its own; samples of suites lie beside it here.
            (target.parent / "pytest.ini").write_text("[pytest]\ntestpaths = test_shop.py\n", encoding="utf-8")
        elif thing.endswith((".jsonl", ".har", ".parquet", "/")):
            self._stop_first()  # it may be writing there
            sample = ROOT / "samples" / "diff" / ("after.jsonl" if target.stem in ("b", "branch") else "before.jsonl")
            text = sample.read_text(encoding="utf-8")
            found = re.search(r'"type":"request","timestamp":"[^"]*","id":"([^"]+)"', text)
            assert found is not None
            copy = self._state.with_name("sample.jsonl")
            copy.write_text(
                text.replace(found[1], f"0199a000-3f{found[1][11:]}"), encoding="utf-8"
            )  # the id of the pages
            self._run(f"mockrec filter -q {copy} --force -o {shlex.quote(thing)}", None, (0,))
        else:
            target.write_text("anything at all\n", encoding="utf-8")

    # ── typing ─────────────────────────────────────────────────────────────────────────────────────

    def _type(self, command: str, shown: list[str] | None, careful: bool) -> None:
        if not careful:  # lines of such a block are alternatives: the outputs of earlier ones are removed
            for name in _outputs(command) & self._written:
                self._stop_first()  # a log that is removed while it is recorded ends its run with an error
                self._written.discard(name)
            for name in _outputs(command):
                self._remove(name)
        outputs = _outputs(command)
        command = self._ported(command)
        if not _STAYS.match(command):
            allowed = range(2) if shown is not None or _MAY_SAY_NO.search(command) else (0,)
            self._run(command, shown, allowed)
            return
        self._stop_first()
        if "--port" not in command:
            command = re.sub(r"(\s+#.*)?$", f" --port {self._ports['8000']}", command, count=1)
        self._written = outputs
        self._first = Terminal(f". {self._state}\n{command}", self.folder, self._environment)
        self._first.await_ready()
        if shown is not None:
            self._look_at_the_first(shown)

    def _run(self, command: str, shown: list[str] | None, allowed: range | tuple[int, ...]) -> None:
        """Run one command in a shell with the variables and exit code of the shells before it."""
        script = f"cd {shlex.quote(str(self.folder))}\n. {self._state}\n(exit {self._code})\n{command}\ncode=$?\nexport -p > {self._state}\nexit $code\n"
        # A reader types seconds later, when the records are in the log; here they may not be written yet.
        deadline = time.monotonic() + (_LATE_SECONDS if self._first is not None and _READS.match(command) else 0.0)
        while True:
            terminal = Terminal(script, self.folder, self._environment)
            self._code = terminal.end()
            said = self._unported(terminal.printed)
            different = "" if shown is None else differences(shown, said)
            if (self._code in allowed and not different) or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        assert self._code in allowed, f"exit code {self._code}:\n$ {command}\n{said}"
        assert not different, f"$ {command}\n{different}"

    def _look_at_the_first(self, shown: list[str]) -> None:
        """Compare `shown` with the new output of the first terminal, after Ctrl-C if `shown` contains it."""
        first = self._first
        assert first is not None, "nothing runs there"
        if "^C" in shown:
            assert first.end(signal.SIGINT) in (0, 1), first.printed
            self._first = None
            shown = [line for line in shown if line != "^C"]
        deadline = time.monotonic() + (_LATE_SECONDS if self._first is not None else 0.0)
        while different := differences(shown, (said := self._unported(first.printed))[self._seen :]):
            assert time.monotonic() < deadline, different
            time.sleep(0.05)
        self._seen = len(said)

    def _stop_first(self) -> None:
        if self._first is not None:
            assert self._first.end(signal.SIGINT) in (0, 1), self._first.printed
        self._first = None
        self._seen = 0

    def _remove(self, name: str) -> None:
        path = self.folder / name
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()

    def _ported(self, text: str) -> str:
        return re.sub(r"(?<=[:=\s])(8000|3000)\b", lambda found: str(self._ports[found[1]]), text)

    def _unported(self, text: str) -> str:
        for name, number in self._ports.items():
            text = text.replace(str(number), name)
        return text


class _Answers(http.server.BaseHTTPRequestHandler):
    """The server of the pages: answers every request with 200."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = b'{"ok": true}\n'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _answer

    def log_message(self, *_: object) -> None:
        pass


def _free_port() -> int:
    """A port that is free, and that no connection gets before it is used: below those that systems give to clients."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as found:
            try:
                found.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
