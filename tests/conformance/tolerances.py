"""Asks curl, Node, Chromium, httpx, requests and mockrec for odd answers, and writes what they make of them.

`python tests/conformance/tolerances.py` writes docs/tolerances.md; `--help` says the rest. Exit code 0: written;
1: mockrec reads something differently than the page says (with `--check`); 2: a program is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote

import httpx
import requests
from odd_answers import CASES, GROUPS, OddServer

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent.parent / "docs" / "tolerances.md"
SECONDS = 5
"""What one answer may take."""


class Missing(Exception):
    """Something that is needed is not there."""


@dataclass
class Heard:
    """What a client made of one answer."""

    status: int = 0
    """0: an error."""
    body: str = ""
    value: str | None = None
    """Of the field that the case looks at."""
    error: str = ""
    tags: list[str] = field(default_factory=list)

    def shown(self, looks_at: str) -> str:
        """A cell of the table."""
        if not self.status:
            return f"✗ {self.error}".replace("|", "\\|")
        text = str(self.status)
        if self.status == 502 and (code := re.search(r"\[([A-Z_]+)\]$", self.body.strip())):
            return f"502 {code[1]}"
        if self.body not in ("ok", ""):
            text += f" `{ascii(self.body)[1:-1][:24]}`"
        elif not self.body:
            text += " no body"
        if looks_at:
            text += " field lost" if self.value is None else f" `{ascii(self.value)[1:-1]}`"
        if self.error:
            text += f", ✗ {self.error}"
        return text.replace("|", "\\|")


Reader = Callable[[int], dict[str, Heard]]
"""From the odd server's port to what was heard, by the names of the cases."""


# ── curl, alone and behind the recorder ────────────────────────────────────────────────────────────


def ask_curl(url: str, name: str) -> Heard:
    """One answer, as `curl -i` shows it."""
    with TemporaryDirectory() as folder:
        head, body = Path(folder, "head"), Path(folder, "body")
        command = ["curl", "-s", "-S", "--noproxy", "*", "-m", str(SECONDS), "-D", str(head), "-o", str(body)]
        ran = subprocess.run([*command, "-w", "%{http_code}", f"{url}/{name}"], capture_output=True, text=True)
        status = int(ran.stdout) if ran.stdout.isdigit() else 0
        raw = head.read_bytes() if head.exists() else b""
        said = body.read_bytes().decode("latin-1") if body.exists() else ""
    wanted = CASES[name].field
    value = None
    if wanted:
        # The last head; a folded field is one value to curl, which shows it as it came.
        for line in re.split(rb"\r?\n(?![ \t])", raw.rstrip(b"\r\n").split(b"\r\n\r\n")[-1])[1:]:
            found, _, text = line.partition(b":")
            if found.strip().lower() == wanted.encode():
                value = re.sub(r"\s*\n\s+", " ", text.strip(b" ").decode("utf-8", "replace"))
    error = f"curl: ({ran.returncode})" if ran.returncode else ""
    return Heard(0 if ran.returncode and not raw else status, said, value, error)


def curl(port: int) -> dict[str, Heard]:
    """See `Reader`."""
    return {name: ask_curl(f"http://127.0.0.1:{port}", name) for name in CASES}


def mockrec(port: int) -> dict[str, Heard]:
    """curl, with a recorder between; the tags are those of the log."""
    with TemporaryDirectory() as folder:
        log = Path(folder, "log.jsonl")
        command = [sys.executable, "-m", "mockrec.cli", "run", "--port", "0", "--upstream", f"http://127.0.0.1:{port}"]
        process = subprocess.Popen([*command, "-o", str(log)], stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        try:
            for line in process.stderr:
                found = re.search(r"http://127\.0\.0\.1:(\d+)", line.replace(f":{port}", ""))
                if found:
                    break
            else:
                raise Missing("mockrec did not start")
            threading.Thread(target=process.stderr.read, daemon=True).start()
            heard = {name: ask_curl(f"http://127.0.0.1:{found[1]}", name) for name in CASES}
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)
        names: dict[str, str] = {}
        for line in log.read_text().splitlines():
            record = json.loads(line)
            if record["type"] == "request":
                names[record["id"]] = record["path"].lstrip("/")
            elif record["type"] in ("response", "abort") and names.get(record["id"]) in heard:
                tags = [tag for tag in record["tags"] if tag.startswith("upstream-odd:")]
                heard[names[record["id"]]].tags = tags
        return heard


# ── Node, which has two clients ────────────────────────────────────────────────────────────────────

NODE = """
const http = require("http");
const [port, seconds, cases] = [process.argv[1], +process.argv[2], JSON.parse(process.argv[3])];
const code = (e) => (e && ((e.cause && (e.cause.code || e.cause.message)) || e.code || e.name || e.message)) || "error";
const byFetch = async (name, field) => {
  const told = {};
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/${encodeURIComponent(name)}`,
      {redirect: "manual", signal: AbortSignal.timeout(seconds * 1000)});
    told.status = answer.status;
    try { if (field) told.value = answer.headers.get(field); } catch {}
    told.body = await answer.text();
  } catch (e) { told.error = code(e); }
  return told;
};
const byHttp = (name, field) => new Promise((done) => {
  const told = {};
  const options = {port, host: "127.0.0.1", path: `/${name}`, timeout: seconds * 1000, agent: false};
  const asked = http.get(options, (answer) => {
    told.status = answer.statusCode;
    if (field && answer.headers[field] !== undefined) told.value = answer.headers[field];
    told.body = "";
    answer.on("data", (data) => { told.body += data.toString("latin1"); });
    answer.on("end", () => done(told));
    answer.on("error", (e) => { told.error = code(e); done(told); });
  });
  asked.on("upgrade", () => { told.error = "upgrade"; asked.destroy(); done(told); });
  asked.on("timeout", () => { told.error = "timeout"; asked.destroy(); done(told); });
  asked.on("error", (e) => { if (!told.error) told.error = code(e); done(told); });
});
(async () => {
  const all = {};
  for (const [name, field] of cases) all[name] = [await byFetch(name, field), await byHttp(name, field)];
  console.log(JSON.stringify(all));
  process.exit(0);
})();
"""


def node(port: int) -> tuple[dict[str, Heard], dict[str, Heard]]:
    """`fetch` (undici) and `http.get` of Node."""
    cases = json.dumps([[name, case.field] for name, case in CASES.items()])
    ran = subprocess.run(
        ["node", "-e", NODE, str(port), str(SECONDS), cases], capture_output=True, text=True, check=True
    )
    told = json.loads(ran.stdout)
    first, second = ({name: _heard(both[at]) for name, both in told.items()} for at in (0, 1))
    return first, second


# ── Chromium ───────────────────────────────────────────────────────────────────────────────────────

PAGE_SCRIPT = """<!doctype html><script>
(async () => {
  const all = {};
  for (const [name, field] of CASES) {
    const told = {};
    try {
      const answer = await fetch("/" + name, {redirect: "manual", cache: "no-store", signal: AbortSignal.timeout(MS)});
      told.status = answer.status;
      try { if (field) told.value = answer.headers.get(field); } catch {}
      told.body = await answer.text();
    } catch (e) { told.error = e.name === "TypeError" ? "network error" : e.name; }
    all[name] = told;
    await fetch("/told?" + encodeURIComponent(JSON.stringify([name, told])));
  }
  await fetch("/done");
})();
</script>"""


class PageServer(OddServer):
    """The odd server, with a page that asks for everything, and tells what it got."""

    def __init__(self) -> None:
        cases = json.dumps([[name, case.field] for name, case in CASES.items()])
        page = PAGE_SCRIPT.replace("CASES", cases).replace("MS", str(SECONDS * 1000)).encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(page)
        super().__init__({"page": head + page})
        self.told: dict[str, Heard] = {}
        self.done = threading.Event()

    def answer(self, name: str, head: bytes) -> bytes:
        """Takes what the page tells."""
        if name == "told":
            case, told = json.loads(unquote(head.split(b" ", 2)[1].decode("ascii").partition("?")[2]))
            self.told[case] = _heard(told)
        elif name == "done":
            self.done.set()
        return super().answer(name, head)


def chromium(_: int) -> dict[str, Heard]:
    """A page of a headless Chromium, by `fetch`."""
    program = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
    if program is None:
        raise Missing("no chromium")
    server = PageServer()
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-proxy-server"]
    options += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [program, *options, f"--user-data-dir={folder}", f"http://127.0.0.1:{server.port}/page"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            if not server.done.wait(SECONDS * len(CASES)):
                raise Missing(f"Chromium told of {len(server.told)} answers only")
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(20)
            server.stop()
    return server.told


# ── Python ─────────────────────────────────────────────────────────────────────────────────────────


def by_httpx(port: int) -> dict[str, Heard]:
    """httpx over h11."""

    def ask(name: str) -> Heard:
        answer = httpx.get(f"http://127.0.0.1:{port}/{name}", timeout=SECONDS, trust_env=False)
        return Heard(answer.status_code, answer.content.decode("latin-1"), answer.headers.get(CASES[name].field or "-"))

    return {name: _tried(ask, name) for name in CASES}


def by_requests(port: int) -> dict[str, Heard]:
    """requests over urllib3 and http.client."""

    def ask(name: str) -> Heard:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(f"http://127.0.0.1:{port}/{name}", timeout=SECONDS, allow_redirects=False)
            body = answer.content.decode("latin-1")
        return Heard(answer.status_code, body, answer.headers.get(CASES[name].field or "-"))

    return {name: _tried(ask, name) for name in CASES}


def _tried(ask: Callable[[str], Heard], name: str) -> Heard:
    try:
        return ask(name)
    except Exception as error:  # whatever it is, it is what the client says
        return Heard(error=type(error).__name__)


def _heard(told: dict[str, object]) -> Heard:
    value = told.get("value")
    text = None if value is None else str(value)
    return Heard(int(str(told.get("status") or 0)), str(told.get("body") or ""), text, str(told.get("error") or ""))


# ── the page ───────────────────────────────────────────────────────────────────────────────────────

INTRO = """# Tolerances

How mockrec, curl, Node, Chromium, httpx and requests handle responses that do not conform to HTTP.
This page shows what a recorded client receives from such a server, compared with a client that
connects to it directly.

The page is generated by `python tests/conformance/tolerances.py`, whose server sends each of these
responses (`tests/conformance/odd_answers.py`) to the clients:

{versions}

The column **mockrec** is curl with `mockrec run --upstream` in between; below the status are the
tags in the log, without `upstream-odd:`.

A cell contains the status that the client received, the body if it is not `ok`, the value of the
tested field if there is one, and ✗ with the error. mockrec follows curl and browsers if a response
can be read in only one way, and responds with an explanatory 502 if two readers could see two
different messages: see [events.md](events.md#non-conforming-servers) and [limits.md](limits.md).
Clients receive the repaired response; the log also contains the head as received (`rawHead`).
"""


def page(columns: dict[str, dict[str, Heard]], versions: str) -> str:
    """The page as text."""
    lines = [INTRO.format(versions=versions)]
    for group, cases in GROUPS.items():
        lines += [f"## {group}", "", f"| response | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
        for name, case in cases.items():
            cells = []
            for heard in columns.values():
                one = heard.get(name, Heard(error="not asked"))
                tags = "".join(f"<br>`{tag.removeprefix('upstream-odd:')}`" for tag in one.tags)
                cells.append(one.shown(case.field) + tags)
            lines.append(f"| {case.what} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def _version(command: list[str], pattern: str) -> str:
    if shutil.which(command[0]) is None:
        raise Missing(f"no {command[0]}")
    said = subprocess.run(command, capture_output=True, text=True).stdout
    found = re.search(pattern, said)
    return found[1] if found else said.strip()


def main(arguments: list[str]) -> int:
    """See the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=PAGE, help="the page to write (default: docs/tolerances.md)")
    parser.add_argument("--check", action="store_true", help="ask mockrec alone, and compare with the page")
    options = parser.parse_args(arguments)
    server = OddServer()
    try:
        if options.check:
            return check(mockrec(server.port), options.out)
        versions = [
            f"curl {_version(['curl', '--version'], r'curl ([0-9.]+)')}",
            f"Node {_version(['node', '--version'], r'v([0-9.]+)')} (`fetch` and `http.get`)",
            f"Chromium {_version(['chromium', '--version'], r'Chromium ([0-9]+)')} (`fetch` in a page)",
            f"httpx {httpx.__version__}",
            f"requests {requests.__version__}",
        ]
        fetched, got = node(server.port)
        columns = {
            "mockrec": mockrec(server.port),
            "curl": curl(server.port),
            "Chromium": chromium(server.port),
            "Node fetch": fetched,
            "Node http": got,
            "httpx": by_httpx(server.port),
            "requests": by_requests(server.port),
        }
    except Missing as error:
        print(f"tolerances: {error}", file=sys.stderr)
        return 2
    finally:
        server.stop()
    options.out.write_text(page(columns, "\n".join(f"* {version}" for version in versions)))
    print(f"{len(CASES)} answers, {len(columns)} readers: {options.out}")
    return 0


def check(heard: dict[str, Heard], out: Path) -> int:
    """Whether mockrec's column of the page is what it does."""
    written: dict[str, str] = {}
    for line in out.read_text().splitlines():
        if line.startswith("| "):
            what, first, *_ = line.removeprefix("| ").split(" | ")
            written[what] = first
    wrong = 0
    for name, case in CASES.items():
        tags = "".join(f"<br>`{tag.removeprefix('upstream-odd:')}`" for tag in heard[name].tags)
        now = heard[name].shown(case.field) + tags
        if written.get(case.what) != now:
            wrong += 1
            print(f"{name}: the page has {written.get(case.what)}, mockrec does {now}")
    print(f"{len(CASES)} answers, {wrong} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
