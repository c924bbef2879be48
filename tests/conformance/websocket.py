"""Runs the Autobahn test suite against mockrec: `python tests/conformance/websocket.py`; `--help` says the rest.

The suite's fuzzing client talks to a `mockrec run` that echoes, and to a second one that passes on to the first.
Exit code 0: every case is well and both recordings are whole; 1: one is not; 2: something that is needed is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

HERE = Path(__file__).resolve().parent
SUITE = "autobahntestsuite==25.10.1"
ECHO = "version: 1\nrules:\n  - {id: echo, when: {websocket: true}, then: echo}\n"
RELAY = "version: 1\nrules:\n  - {id: relay, when: {websocket: true}, then: passthrough}\n"
WELL = frozenset({"OK", "NON-STRICT", "INFORMATIONAL"})
CLOSED_WELL = frozenset({"OK", "INFORMATIONAL"})
READY_SECONDS = 20.0


class Missing(Exception):
    """Something that is needed is not there."""


# ── the suite, which runs on Python 2.7 only ───────────────────────────────────────────────────────


def python2(wished: str | None) -> str:
    """A Python 2.7 that runs; pyenv's stand-ins, which may not, are passed over."""
    wished = wished or os.environ.get("PYTHON2")
    homes = sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/*2.7*/bin/python"))
    found = [wished] if wished else ["python2.7", *map(str, homes), "pypy2.7", "pypy"]
    for name in found:
        path = shutil.which(name)
        if path is not None:
            said = subprocess.run(
                [path, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, text=True
            )
            if said.stdout.strip() == "(2, 7)":
                return path
    raise Missing(f"no Python 2.7 among {', '.join(found)}: name one with --python2 or $PYTHON2")


def suite(folder: Path, python: str) -> list[str]:
    """The command that starts the suite, which is installed into a folder of its own if it is not there yet."""
    site = folder / "site"
    done = site / "installed"
    if not done.exists() or done.read_text() != SUITE:
        shutil.rmtree(site, ignore_errors=True)
        say(f"installing {SUITE} into {site}")
        subprocess.run([python, "-m", "ensurepip"], capture_output=True)
        argv = [python, "-m", "pip", "install", "--quiet", "--no-warn-script-location", "--target", str(site), SUITE]
        installed = subprocess.run(argv, capture_output=True, text=True)
        if installed.returncode:
            raise Missing(f"{SUITE} cannot be installed:\n{installed.stdout}{installed.stderr}")
        done.write_text(SUITE)
    # Not the script in bin/: it does not look beside itself for what it imports. `addsitedir` reads .pth files.
    start = f"import site; site.addsitedir({str(site)!r}); from autobahntestsuite.wstest import run; run()"
    return [python, "-c", start]


# ── mockrec ────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def mockrec(folder: Path, name: str, rules: str, *options: str) -> Iterator[str]:
    """A recorder; its address. Its log is looked at when it has ended."""
    file, ready, log = folder / f"{name}.yaml", folder / f"{name}.ready", folder / f"{name}.jsonl"
    file.write_text(rules)
    program = [sys.executable, "-m", "mockrec.cli"]
    # The suite sends gigabytes: of each message only the beginning is kept.
    argv = ["run", str(file), "--port", "0", "--ready-file", str(ready), "-o", str(log), "--max-body-size", "64B"]
    process = subprocess.Popen([*program, *argv, *options], stdin=subprocess.DEVNULL, cwd=folder)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise Missing("mockrec did not get ready")
            time.sleep(0.01)
        yield json.loads(ready.read_text())["url"]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
    verified = subprocess.run([*program, "verify", str(log)], capture_output=True, text=True)
    say(f"{name}: recorded {log.stat().st_size // 1000} kB; verify says {verified.returncode}")
    if verified.returncode:
        raise Failed([f"{name}: its recording is not whole: {verified.stdout}{verified.stderr}"])


# ── one way through the cases ──────────────────────────────────────────────────────────────────────


class Failed(Exception):
    """What is not well, a line each."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def fuzz(folder: Path, command: list[str], name: str, url: str, cases: list[str]) -> list[str]:
    """Run the cases against one server; what is not well."""
    reports = folder / f"{name}-reports"
    servers = [{"agent": name, "url": url.replace("http", "ws", 1)}]
    spec = folder / f"{name}.json"
    spec.write_text(json.dumps({"outdir": str(reports), "servers": servers, "cases": cases, "exclude-cases": []}))
    started = time.monotonic()
    with (folder / f"{name}.log").open("wb") as output:
        argv = [*command, "-m", "fuzzingclient", "-s", str(spec)]
        code = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder).returncode
    index = reports / "index.json"
    if code or not index.exists():
        raise Missing(f"the suite has ended with {code}; see {folder / f'{name}.log'}")
    results: dict[str, Any] = json.loads(index.read_text())[name]
    wrong = [
        f"{name}: case {case}: {result['behavior']}, closing {result['behaviorClose']}: see {reports / result['reportfile']}"
        for case, result in results.items()
        if result["behavior"] not in WELL or result["behaviorClose"] not in CLOSED_WELL
    ]
    counted = Counter(result["behavior"] for result in results.values())
    told = ", ".join(f"{number} {behavior}" for behavior, number in sorted(counted.items()))
    say(f"{name}: {len(results)} cases in {time.monotonic() - started:.0f} s: {told}; {len(wrong)} not well")
    return wrong or ([] if results else [f"{name}: no case was run"])


def say(line: str) -> None:
    """Progress and results."""
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default="*", help="which, with commas between them: 1.*,12.1.3 (default: all)")
    parser.add_argument("--only", choices=["echo", "relay"], help="one way only")
    parser.add_argument("--python2", help="a Python 2.7 for the suite (default: $PYTHON2, or the first that is found)")
    parser.add_argument("--suite", type=Path, default=HERE / ".suite", help="where the suite is, or is installed")
    parser.add_argument("--out", type=Path, help="where reports and logs are kept (default: nowhere)")
    options = parser.parse_args()
    wrong: list[str] = []
    with TemporaryDirectory() as temporary:
        folder = (options.out or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        for stale in (*folder.glob("*.ready"), *folder.glob("*.jsonl")):
            stale.unlink()
        try:
            command = suite(options.suite.absolute(), python2(options.python2))
            with mockrec(folder, "echo", ECHO) as echo:
                cases = options.cases.split(",")
                if options.only != "relay":
                    wrong += fuzz(folder, command, "echo", echo, cases)
                if options.only != "echo":
                    with mockrec(folder, "relay", RELAY, "--upstream", echo) as relay:
                        wrong += fuzz(folder, command, "relay", relay, cases)
        except Missing as error:
            say(str(error))
            return 2
        except Failed as error:
            wrong += error.lines
    for line in wrong:
        say(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
