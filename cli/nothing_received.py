"""Explains a run whose COMMAND has sent nothing through the recorder: which clients ignore the proxy variables."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from mockrec.cli import printing

_NODE_TOOLS = frozenset(
    {
        "node", "nodejs", "npm", "npx", "pnpm", "yarn", "tsx", "ts-node", "jest", "vitest", "mocha", "ava", "next",
        "vite", "playwright", "cypress", "nest", "nodemon",
    }
)  # fmt: skip
_READS_VARIABLES = 24
"""The first major version of Node that reads the proxy variables (with NODE_USE_ENV_PROXY=1)."""
_SECONDS = 5.0
_CAUSES = (
    "aiohttp (needs trust_env=True), Go's http.Transport without Proxy, Dart's HttpClient, PHP streams, gRPC with"
    " no_proxy, and browsers, which have options of their own"
)


def nothing_received(command: Sequence[str]) -> Iterator[str]:
    """Yield the sentences for a COMMAND that has ended without a request."""
    yield "nothing came through the recorder: COMMAND sent no request, or its HTTP client ignores HTTP_PROXY"
    major = _node_version() if _runs_node(command) else None
    if major is not None and major < _READS_VARIABLES:
        yield (
            f"Node {major} ignores proxy variables (Node {_READS_VARIABLES} and later read them); for fetch,"
            " `npm install undici`, write this line to a file proxy.mjs, and start Node with --import ./proxy.mjs:"
            " import {EnvHttpProxyAgent, setGlobalDispatcher} from 'undici';"
            " setGlobalDispatcher(new EnvHttpProxyAgent())"
        )
        return
    yield (
        f"clients that ignore it: Node before {_READS_VARIABLES}, {_CAUSES}; they can use MOCKREC_URL, or `run"
        " --upstream URL` as their server"
    )


def _runs_node(command: Sequence[str]) -> bool:
    """Whether COMMAND is a Node program, as far as its words and the head of a script show."""
    words = {Path(word).name for argument in command for word in re.split(r"[\s;&|()]+", argument) if word}
    if words & _NODE_TOOLS or any(word.endswith((".js", ".mjs", ".cjs", ".ts")) for word in words):
        return True
    found = shutil.which(command[0])
    if found is None:
        return False
    try:
        with open(found, "rb") as file:
            head = file.readline(200)
    except OSError:
        return False
    return head.startswith(b"#!") and b"node" in head


def _node_version() -> int | None:
    """Return the major version of `node` on the PATH; None if it cannot be found out."""
    program = shutil.which("node")
    if program is None:
        return None
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    found = re.match(r"v(\d+)\.", done.stdout)
    return int(found[1]) if found else None


def print_nothing_received(command: Sequence[str]) -> None:
    """Print those sentences as warnings."""
    for sentence in nothing_received(command):
        printing.warn(printing.escape(sentence))
