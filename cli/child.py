"""`run … -- COMMAND`: the recorded process, its environment, signals and exit code."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import anyio
from anyio.abc import Process
from msgspec.structs import replace

from mockrec.cli import printing
from mockrec.cli.codes import COMMAND_NOT_RUN, NOT_EXECUTABLE, NOT_FOUND
from mockrec.cli.trust import TrustFiles
from mockrec.engine.config import UpstreamSettings
from mockrec.engine.errors import ConfigError, IsolationError

ListenAlso = Callable[[socket.socket], Awaitable[None]]
_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_PORT = re.compile(r"([^:]+|\[.*\]):\d+")
_ADDRESS = re.compile(r"[\d.]+|\[?[\da-fA-F:.]*:[\da-fA-F:.]*\]?")
_LOOPBACK = re.compile(r"(?:\*|\.?localhost|127(?:\.[\d.]+)?(?:/\d+)?|\[?::1\]?(?:/\d+)?)(?::\d+)?", re.IGNORECASE)


class Child:
    """One COMMAND, started at most once."""

    def __init__(
        self,
        command: Sequence[str],
        no_proxy: str | None,
        *,
        stdout_taken: bool,
        ca: str | None = None,
        auth: str | None = None,
        listen_also: ListenAlso | None = None,
    ) -> None:
        """`stdout_taken`: the log goes to stdout, so COMMAND's output goes to stderr. `ca`: the certificate that
        COMMAND trusts. `listen_also`: COMMAND gets a network of its own, and this is called with the socket at which
        the recorder is reached there."""
        self._listen_also = listen_also
        self._ca = ca
        self._auth = auth
        self._trust: TrustFiles | None = None
        self._command = list(command)
        self._no_proxy = no_proxy
        self._stdout_taken = stdout_taken
        self._process: Process | None = None
        self._done = anyio.Event()

    @property
    def running(self) -> bool:
        """Whether COMMAND has started and not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """The process id; COMMAND has been started."""
        assert self._process is not None
        return self._process.pid

    @property
    def shares_stderr(self) -> bool:
        """Whether COMMAND writes to the terminal that mockrec's own messages go to."""
        return printing.is_terminal(sys.stderr)

    async def start(self, url: str, port: int, more: Mapping[str, str] | None = None) -> int | None:
        """Start COMMAND, with `more` variables. Return None if it runs, else the exit code for mockrec."""
        self._trust = None if self._ca is None else TrustFiles(Path(self._ca))
        isolation = None
        if self._listen_also is not None:
            from mockrec.cli.isolation import Isolation

            isolation = Isolation(self._command, url)
        try:
            self._process = await anyio.open_process(
                self._command if isolation is None else isolation.command,
                stdin=None,
                stdout=sys.stderr.fileno() if self._stdout_taken else None,
                stderr=None,
                env=environment(os.environ, url, port, self._no_proxy, self._trust, self._auth) | dict(more or {}),
                pass_fds=() if isolation is None else (isolation.descriptor,),
            )
            if isolation is not None and self._listen_also is not None:
                await isolation.begin(self._listen_also)
        except IsolationError as error:
            self.kill()
            self._remove_files()
            printing.fail(str(error))
            return COMMAND_NOT_RUN
        except OSError as error:
            self._remove_files()
            printing.fail(f"cannot run {printing.escape(self._command[0])}: {error.strerror or error}")
            return NOT_FOUND if error.errno == errno.ENOENT else NOT_EXECUTABLE
        return None

    async def wait(self) -> int:
        """Wait for the end of COMMAND. Return the exit code for mockrec (128+N for signal N)."""
        assert self._process is not None
        try:
            code = await self._process.wait()
        finally:
            self._done.set()
            self._remove_files()
        return self._exit_code(code)

    def _remove_files(self) -> None:
        if self._trust is not None:
            self._trust.remove()

    def signal(self, number: int) -> None:
        """Send COMMAND a signal."""
        if self._process is not None and self.running:
            self._process.send_signal(number)  # type: ignore[arg-type]

    def kill(self) -> None:
        """Kill COMMAND."""
        if self._process is not None and self.running:
            self._process.kill()

    async def end(self, grace: float) -> int:
        """Send SIGTERM, and SIGKILL after `grace` seconds. Return the exit code."""
        self.signal(signal.SIGTERM)
        with anyio.move_on_after(grace):
            await self._done.wait()
        self.kill()
        return self._exit_code(await self._process.wait()) if self._process is not None else 0

    @staticmethod
    def _exit_code(code: int) -> int:
        """Return the exit code of a shell: 128+N for signal N."""
        return 128 - code if code < 0 else code


def environment(
    outer: Mapping[str, str],
    url: str,
    port: int,
    no_proxy: str | None,
    trust: TrustFiles | None = None,
    auth: str | None = None,
) -> dict[str, str]:
    """Return the environment of COMMAND: the recorder is its proxy, for loopback too, and its CA is trusted.

    `auth` is the proxy's `user:password`. Java programs must set the password themselves.
    """
    env = dict(outer)
    proxy = url
    if auth is not None:
        user, _, password = auth.partition(":")
        proxy = url.replace("://", f"://{quote(user, safe='')}:{quote(password, safe='')}@", 1)
    for name in _PROXY_VARIABLES:
        env[name] = env[name.lower()] = proxy
    if no_proxy is None:
        no_proxy = _without_loopback(_no_proxy(outer))
        env["no_proxy"] = no_proxy  # curl prefers the lower-case name
        env["NO_PROXY"] = _without_loopback(outer.get("NO_PROXY") or outer.get("no_proxy") or "")
    else:
        env["NO_PROXY"] = env["no_proxy"] = no_proxy
    env["NODE_USE_ENV_PROXY"] = "1"
    host = url.partition("://")[2].rpartition(":")[0]
    java = [f"-D{scheme}.proxy{key}" for scheme in ("http", "https") for key in (f"Host={host}", f"Port={port}")]
    java.append(f"-Dhttp.nonProxyHosts={_for_java(no_proxy)}")  # by default, Java bypasses the proxy for loopback
    if trust is not None:
        env |= trust.variables(outer)
        java += trust.java_options()
    env["JAVA_TOOL_OPTIONS"] = " ".join([*filter(None, [outer.get("JAVA_TOOL_OPTIONS")]), *java])
    env["MOCKREC_URL"] = url
    env["MOCKREC_PORT"] = str(port)
    return env


def outer_proxy(upstream: UpstreamSettings, outer: Mapping[str, str]) -> UpstreamSettings:
    """Return the upstream settings with the proxy of mockrec's own environment, which COMMAND would have used.

    Settings of the rule file take precedence. Loopback never goes through that proxy, where it would mean the proxy's
    own machine.
    """
    if upstream.proxy is not None or upstream.pac is not None:
        return upstream
    found = {name: outer.get(name.lower()) or outer.get(name) for name in _PROXY_VARIABLES}
    plain = found["HTTP_PROXY"] or found["ALL_PROXY"]
    secure = found["HTTPS_PROXY"] or found["ALL_PROXY"]
    if not (plain or secure):
        return upstream
    exceptions = [host.strip() for host in _no_proxy(outer).split(",")]
    for name, url in (("HTTP_PROXY", plain), ("HTTPS_PROXY", secure)):
        _check_proxy(name, _with_scheme(url))
    return replace(
        upstream,
        proxy=_with_scheme(plain),
        secure_proxy=_with_scheme(secure) or "",
        no_proxy=(*upstream.no_proxy, *filter(None, exceptions), "localhost", "127.0.0.1", "::1"),
    )


def _no_proxy(outer: Mapping[str, str]) -> str:
    """Set a variable in both cases: clients that read both take the first, even if it is empty."""
    return outer.get("no_proxy") or outer.get("NO_PROXY") or ""


def _check_proxy(name: str, url: str | None) -> None:
    """Raise ConfigError: mockrec's own environment names a proxy that is not a valid one."""
    from mockrec.engine.upstream.options import read_proxy

    try:
        read_proxy(url)
    except ValueError as error:
        raise ConfigError(f"the variable {name} (or ALL_PROXY): {error}") from None


def _with_scheme(url: str | None) -> str | None:
    return url if not url or "://" in url else f"http://{url}"


def _for_java(no_proxy: str) -> str:
    """Translate NO_PROXY, which names domains and all their subdomains, into Java's patterns, which have no ports."""
    patterns: list[str] = []
    for host in filter(None, (part.strip() for part in no_proxy.split(","))):
        name = _PORT.sub(r"\1", host).removeprefix("*").removeprefix(".")
        if not name:
            patterns.append("*")
        elif _ADDRESS.fullmatch(name):
            patterns.append(f"[{name}]" if ":" in name and name[0] != "[" else name)
        else:
            patterns += [name, f"*.{name}"]
    return "|".join(dict.fromkeys(patterns))


def _without_loopback(no_proxy: str) -> str:
    """Drop exceptions for loopback and for all hosts: they would hide the servers of tests from the recorder."""
    hosts = [host.strip() for host in no_proxy.split(",")]
    return ",".join(host for host in hosts if host and not _LOOPBACK.fullmatch(host))
