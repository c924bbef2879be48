"""The developer tools of the system's Chromium, as a page in which JavaScript can be evaluated."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

SECONDS = 20.0
EMPTY = "about:blank"
LOADED = "new Promise(done => document.readyState === 'complete' ? done() : addEventListener('load', done))"


DEVELOPER_TOOLS = "devtools://devtools/bundled/inspector.html"


@contextmanager
def developer_tools(
    profile: Path, page: str = DEVELOPER_TOOLS, options: tuple[str, ...] = ()
) -> Iterator[Callable[[str], Any]]:
    """Run Chromium until the end of the block; yield a function that evaluates JavaScript in a page of it."""
    browser = subprocess.Popen(
        ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
         f"--user-data-dir={profile}", *options, "about:blank"],
        stderr=subprocess.PIPE, text=True, process_group=0,
    )  # fmt: skip
    assert browser.stderr is not None
    try:
        url = next((found[0] for line in browser.stderr if (found := re.search(r"ws://\S+", line))), None)
        assert url is not None, "chromium did not start"
        with connect(url, max_size=None, proxy=None) as client:
            number = 0

            def call(method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
                nonlocal number
                number += 1
                client.send(
                    json.dumps(
                        {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
                    )
                )
                while (answer := json.loads(client.recv(60))).get("id") != number:
                    pass
                found: dict[str, Any] = answer.get("result", {})
                return found

            target = call("Target.createTarget", url=page)["targetId"]
            session = call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

            def evaluate(script: str) -> Any:
                # The page's modules can be imported only after it has loaded. A new tab begins with an empty document,
                # and what is evaluated in that ends without a result when the page takes its place.
                until = time.monotonic() + SECONDS
                while call("Runtime.evaluate", session, expression=LOADED, awaitPromise=True).get("result") is None or (
                    call("Runtime.evaluate", session, expression="location.href")["result"]["value"] == EMPTY != page
                ):
                    assert time.monotonic() < until, f"{page} was not loaded"
                answer = call("Runtime.evaluate", session, expression=script, awaitPromise=True, returnByValue=True)
                assert "exceptionDetails" not in answer, answer
                return answer["result"]["value"]

            yield evaluate
    finally:
        os.killpg(browser.pid, signal.SIGTERM)
        browser.wait(SECONDS)
        browser.stderr.close()
