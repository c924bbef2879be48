"""How much a start imports: counted in modules, because time is different on every machine."""

from __future__ import annotations

import json
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


def test_a_start_leaves_for_later_what_no_client_has_asked_for(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    command = [sys.executable, "-c", LOOK]
    subprocess.run(  # a run that makes a CA needs cryptography
        [sys.executable, "-m", "mockrec.cli", "ca", "show"], cwd=tmp_path, capture_output=True, check=True, timeout=120
    )
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert "mockrec ready" in done.stderr, done.stderr
    before, after = map(set, json.loads(done.stdout))
    heavy = [name for name in before if any(name == one or name.startswith(f"{one}.") for one in UNUSED)]
    assert not heavy
    assert not LATER.keys() & before
    assert LATER.keys() <= after
