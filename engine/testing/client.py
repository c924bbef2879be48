"""A client of the control API, with the standard library only."""

from __future__ import annotations

import json
import os
import threading

# Imported by name: a test may replace the classes in their module (VCR.py does).
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

_SECONDS = 60.0
"""What an answer may take; a busy machine may need a while for a long one."""


class ControlError(Exception):
    """The control API has refused a request, and says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ControlClient:
    """One connection to the control API. Threads may share it, and so may processes that are forked."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._token = token
        self._lock = threading.Lock()
        self._connection: HTTPConnection | None = None
        self._owner = 0

    @classmethod
    def from_environment(cls) -> ControlClient:
        """Return the client of the recorder that runs this process as its COMMAND. Raises KeyError without one."""
        return cls(os.environ["MOCKREC_CONTROL"], os.environ["MOCKREC_CONTROL_TOKEN"])

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    # ── requests ───────────────────────────────────────────────────────────────────────────────────

    def session(self) -> dict[str, Any]:
        """Return the state of the session: counts, rules, open exchanges."""
        found: dict[str, Any] = self._json("GET", "/v1/session")
        return found

    def add_rules(self, rules: str | list[dict[str, Any]], scope: str | None = None) -> list[str]:
        """Add rules, as a list or as YAML text, and return their ids. Raises ControlError with every problem."""
        __tracebackhide__ = True
        path = "/v1/rules" + ("" if scope is None else f"?scope={quote(scope, safe='')}")
        if isinstance(rules, str):
            made = self._json("POST", path, rules.encode(), "application/yaml")
        else:
            made = self._json("POST", path, {"rules": rules})
        return list(made["ids"])

    def remove_rules(self, *, rule: str | None = None, scope: str | None = None) -> int:
        """Remove rules that were added, and return how many."""
        given = {name: value for name, value in (("id", rule), ("scope", scope)) if value is not None}
        return int(self._json("DELETE", f"/v1/rules?{urlencode(given)}")["removed"])

    def reset(self) -> None:
        """Begin again, as after the start of the recorder."""
        self._json("POST", "/v1/reset")

    def flush(self) -> int:
        """Wait until everything that has ended is in the log; return the number of the last record."""
        return int(self._json("POST", "/v1/flush")["seq"])

    def exchanges(
        self, where: str | None = None, scope: str | None = None, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """Return the exchanges since the last reset that have ended and match."""
        given = {"where": where, "scope": scope, "limit": limit}
        query = urlencode({name: value for name, value in given.items() if value is not None})
        found: list[dict[str, Any]] = self._json("GET", f"/v1/exchanges?{query}")
        return found

    def open_scope(self, name: str, **options: str) -> dict[str, Any]:
        """Open a scope. `options`: `cassette` and what else the recorder allows."""
        made: dict[str, Any] = self._json("PUT", f"/v1/scopes/{quote(name, safe='')}", options)
        return made

    def close_scope(self, name: str, outcome: str | None = None) -> dict[str, Any]:
        """Close a scope; return its counts. `outcome`: `passed` or `failed`."""
        query = "" if outcome is None else f"?outcome={outcome}"
        closed: dict[str, Any] = self._json("DELETE", f"/v1/scopes/{quote(name, safe='')}{query}")
        return closed

    def scope(self, name: str) -> dict[str, Any]:
        """Return the counts of an open scope."""
        found: dict[str, Any] = self._json("GET", f"/v1/scopes/{quote(name, safe='')}")
        return found

    # ── transport ──────────────────────────────────────────────────────────────────────────────────

    def _json(self, method: str, path: str, body: object = None, kind: str = "application/json") -> Any:
        __tracebackhide__ = True
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        with self._lock:
            status, answer = self._send(method, path, data, kind)
        value = json.loads(answer)
        if status >= 400:
            raise ControlError(status, value["error"]["message"])
        return value

    def _send(self, method: str, path: str, body: bytes | None, kind: str) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind}
        for attempt in range(2):
            is_new = self._connection is None or self._owner != os.getpid()
            connection = self._connect() if is_new else self._connection
            assert connection is not None
            try:
                connection.request(method, path, body, headers)
                response = connection.getresponse()
                return response.status, response.read()
            except (HTTPException, OSError) as error:
                connection.close()
                self._connection = None
                # The recorder closes a connection that was idle for long; a request on it has not been done.
                if is_new or attempt or isinstance(error, TimeoutError):
                    raise ControlError(0, f"the recorder at {self.url} does not answer: {error!r}") from error
        raise AssertionError

    def _connect(self) -> HTTPConnection:
        at = urlsplit(self.url)
        self._connection = HTTPConnection(at.hostname or "127.0.0.1", at.port, timeout=_SECONDS)
        self._owner = os.getpid()
        return self._connection
