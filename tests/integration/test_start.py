"""How much a start imports: counted in modules, because time is different on every machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from mockrec.engine.run.prefetch import LATER

RULES = "rules:\n  - when: {path: /hello}\n    then: {reply: {body: Hello}}\n"

UNUSED = (
    "OpenSSL", "cryptography", "service_identity", "h2", "hpack", "hyperframe", "wsproto", "dns", "pyarrow", "duckdb",
    "jinja2", "jsonschema_rs", "zstandard", "brotli", "rich", "textual", "email", "urllib.request", "http.client",
    "importlib.metadata", "mockrec.formats.schema.events", "mockrec.formats.har", "mockrec.formats.parquet.layout",
    "mockrec.formats.imported", "mockrec.formats.report", "mockrec.formats.diff", "mockrec.engine.replay.send.send",
    "mockrec.engine.replay.to_rules", "mockrec.engine.run.workers",
)  # fmt: skip
"""What a run with a plain rule does not use before a client speaks TLS, HTTP/2 or WebSocket."""

# The recorder of this process, whose ready moment is the beginning of `prefetch`; Ctrl-C ends it after that.
LOOK = """
import json, os, signal, sys
from mockrec.cli.__main__ import main
from mockrec.engine.run import prefetch, single

async def look():
    found = [sorted(sys.modules)]
    await prefetch.prefetch()
    found.append(sorted(sys.modules))
    print(json.dumps(found), flush=True)
    os.kill(os.getpid(), signal.SIGINT)

single.prefetch = look
main(["run", "rules.yaml", "--port", "0", "--control", "--ready-file", "ready", "-o", "session.jsonl"])
"""


def look(folder: Path, **env: str) -> tuple[set[str], set[str]]:
    """Return the modules that are imported when the recorder is ready, and some time later."""
    before, after = map(set, json.loads(run(folder, LOOK, RULES, **env)))
    return before, after


def run(folder: Path, script: str, rules: str, **env: str) -> str:
    """Run a script that records until it ends itself. Return what it prints."""
    (folder / "rules.yaml").write_text(rules, encoding="utf-8")
    subprocess.run(  # a run that makes a CA needs cryptography
        [sys.executable, "-m", "mockrec.cli", "ca", "show"], cwd=folder, capture_output=True, check=True, timeout=120
    )
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env = {**kept, "PYTHONPYCACHEPREFIX": str(folder / "compiled"), **env}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert "mockrec ready" in done.stderr, done.stderr
    return done.stdout


def test_a_start_leaves_for_later_what_no_client_has_asked_for(tmp_path: Path) -> None:
    before, after = look(tmp_path)
    assert not [name for name in before if any(name == one or name.startswith(f"{one}.") for one in UNUSED)]
    assert not LATER.keys() & before
    assert LATER.keys() <= after


# The same without the imports after ready, with a client that speaks HTTP/2, TLS and WebSocket before they are made.
EARLY = """
import base64, os, signal, socket, ssl, sys, threading
from mockrec.cli.__main__ import main
from mockrec.engine.run import prefetch, single

class Note:
    def find_spec(self, name, path=None, target=None):
        if name in prefetch.LATER:
            imported.append((name, threading.current_thread() is threading.main_thread()))

imported = []
sys.meta_path.insert(0, Note())

async def look():
    threading.Thread(target=ask).start()

def ask():
    try:
        port = int(open("ready").read().split('"port":')[1].split(",")[0].strip(" }"))
        def connect():
            return socket.create_connection(("127.0.0.1", port), 60)
        with connect() as one:
            one.sendall(b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + bytes(3) + b"\\x04" + bytes(5))
            assert one.recv(9)[3] == 4
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(connect(), server_hostname="a.test") as one:
            one.sendall(b"GET /hello HTTP/1.1\\r\\nHost: a.test\\r\\n\\r\\n")
            assert b"200 OK" in one.recv(1000)
        with connect() as one:
            one.sendall(b"GET /echo HTTP/1.1\\r\\nHost: a.test\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n"
                b"Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: " + base64.b64encode(bytes(16)) + b"\\r\\n\\r\\n")
            assert b" 101 " in one.recv(1000)
        for name, in_loop in imported:
            print(name, in_loop, flush=True)
    finally:
        os.kill(os.getpid(), signal.SIGINT)

single.prefetch = look
main(["run", "rules.yaml", "--port", "0", "--ready-file", "ready", "-o", "session.jsonl"])
"""


def test_a_client_that_comes_early_has_its_import_made_in_a_thread(tmp_path: Path) -> None:
    rules = f"{RULES}  - when: {{path: /echo}}\n    then: {{echo: {{}}}}\n"
    printed = run(tmp_path, EARLY, rules).splitlines()
    assert {
        "mockrec.engine.server.http2 False",
        "mockrec.engine.tls.server False",
        "mockrec.engine.wire.websocket.connection False",
    } <= set(printed)
    assert not [line for line in printed if line.endswith(" True")]


def test_a_start_that_compiles_all_modules_leaves_none_of_them_for_later(tmp_path: Path) -> None:
    before, _ = look(tmp_path, PYTHONDONTWRITEBYTECODE="1")
    assert LATER.keys() <= before
