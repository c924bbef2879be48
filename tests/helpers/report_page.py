"""A report in the system's Chromium, from its file: what its views show, what the console says, and pictures of it."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

SECONDS = 60.0
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--disable-dev-shm-usage",
)  # fmt: skip
READY = "document.querySelector('#app header') || document.querySelector('#app')?.innerText.includes('cannot be shown')"


class ReportPage:
    """One page. `said` has all messages of its console, exceptions and requests to other places included."""

    def __init__(self, client: ClientConnection, session: str) -> None:
        self._client, self._session = client, session
        self._number = 0
        self.said: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the developer tools' protocol."""
        self._number += 1
        self._client.send(
            json.dumps({"id": self._number, "method": method, "params": params, "sessionId": self._session})
        )
        while (answer := json.loads(self._client.recv(2 * SECONDS))).get("id") != self._number:
            self._note(answer)
        assert "error" not in answer, answer
        found: dict[str, Any] = answer["result"]
        return found

    def open(self, path: Path, address: str = "", *, width: int = 1280, height: int = 800) -> None:
        """Show a file, and wait until its first view is there."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=f"{path.absolute().as_uri()}{address}")
        self.wait(READY)

    def evaluate(self, script: str) -> Any:
        """The value of an expression (a promise is awaited)."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        """Wait until a condition holds, for which the page itself waits frame by frame."""
        script = f"""new Promise((done, fail) => {{
            const end = performance.now() + {SECONDS * 1000};
            const look = () => {{
              let holds = false;
              try {{ holds = Boolean({condition}); }} catch {{ /* not yet */ }}
              if (holds) done(true);
              else if (performance.now() > end) fail(new Error("waited in vain for: " + {json.dumps(condition)}));
              else setTimeout(look, 10);
            }};
            look();
          }})"""
        self.evaluate(script)

    def view(self, name: str) -> None:
        """Show a view, as a click on its button does."""
        found = self.evaluate(
            f"""[...document.querySelectorAll('nav button')].filter(b => b.textContent === {json.dumps(name)})
            .map(b => b.click()).length"""
        )
        assert found == 1, f"no view {name}"
        self.wait(f"document.querySelector('nav [aria-current]').textContent === {json.dumps(name)}")

    def filter(self, expression: str) -> str:
        """Type an expression, and return what the page says then: `3 of 10 exchanges`, or an error."""
        self.evaluate(
            f"""(() => {{ const input = document.querySelector('#filter'); input.value = {json.dumps(expression)};
            input.dispatchEvent(new Event('input', {{bubbles: true}})); }})()"""
        )
        self.wait(f"document.querySelector('#filter-said').dataset.for === {json.dumps(expression)}")
        found: str = self.evaluate("document.querySelector('#filter-said').textContent")
        return found

    def press(self, key: str) -> None:
        """Press and release a key."""
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key)

    def text(self, selector: str = "body") -> str:
        """The text of an element."""
        found: str = self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")
        return found

    def picture(self, path: Path) -> None:
        """Write a PNG of what the window shows."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def pdf(self, path: Path) -> None:
        """Print the page to a file."""
        path.write_bytes(base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"]))

    def scheme(self, name: str) -> None:
        """Prefer `light` or `dark` colours."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def _note(self, message: dict[str, Any]) -> None:
        method, params = message.get("method"), message.get("params", {})
        if method == "Runtime.consoleAPICalled":
            self.said.append(f"console: {params['args']}")
        elif method == "Runtime.exceptionThrown":
            self.said.append(f"exception: {params['exceptionDetails']}")
        elif method == "Log.entryAdded":
            self.said.append(f"log: {params['entry'].get('text')}")
        elif method == "Network.requestWillBeSent":
            url = params["request"]["url"]
            if not url.startswith(("file:", "about:")):
                self.said.append(f"request: {url[:200]}")
        elif method == "Page.javascriptDialogOpening":
            self.said.append(f"dialog: {params.get('message')}")


@contextmanager
def chromium_page(profile: Path, *flags: str) -> Iterator[ReportPage]:
    """Run Chromium until the end of the block, with one page."""
    browser = subprocess.Popen(
        ["chromium", *_FLAGS, *flags, f"--user-data-dir={profile}", "about:blank"],
        stderr=subprocess.PIPE, text=True, process_group=0,
    )  # fmt: skip
    assert browser.stderr is not None
    try:
        url = next((found[0] for line in browser.stderr if (found := re.search(r"ws://\S+", line))), None)
        assert url is not None, "chromium did not start"
        with connect(url, max_size=None, proxy=None) as client:
            client.send(json.dumps({"id": 0, "method": "Target.createTarget", "params": {"url": "about:blank"}}))
            target = _result(client)["targetId"]
            client.send(
                json.dumps(
                    {"id": 0, "method": "Target.attachToTarget", "params": {"targetId": target, "flatten": True}}
                )
            )
            yield ReportPage(client, _result(client)["sessionId"])
    finally:
        os.killpg(browser.pid, signal.SIGTERM)
        browser.wait(SECONDS)
        browser.stderr.close()


def _result(client: ClientConnection) -> dict[str, Any]:
    while (answer := json.loads(client.recv(SECONDS))).get("id") != 0:
        pass
    found: dict[str, Any] = answer["result"]
    return found
