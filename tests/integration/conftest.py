"""The real program as a fixture: started with rules, stopped, and its log at hand."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest
from audited import audit
from forking import Forked, ForkServer, can_fork, started
from http2_client import Talk
from waiting import until, until_there

from mockrec.formats.schema.body import Body
from mockrec.formats.sessions.session import open_session

Record = dict[str, Any]

PROGRAM = (sys.executable, "-m", "mockrec.cli")
STOP_SECONDS = 60.0
PROGRAM_SECONDS = 180.0


class Session:
    """A recording that has ended."""

    def __init__(self, code: int, stderr: str, path: Path | None) -> None:
        self.code = code
        self.stderr = stderr
        self.path = path
        self.records: list[Record] = []
        if path is not None and path.exists():
            with open_session(path) as opened:
                self.records = [record for _, record in opened]

    def by_type(self, kind: str) -> list[Record]:
        """All records of a type, in file order."""
        return [record for record in self.records if record["type"] == kind]

    def one(self, kind: str) -> Record:
        """The only record of a type."""
        found = self.by_type(kind)
        assert len(found) == 1, f"{len(found)} × {kind} among {[record['type'] for record in self.records]}"
        return found[0]

    def content(self, body: Record) -> bytes:
        """The bytes of a body, wherever they are kept."""
        return Body.from_record(body, Path(f"{self.path}.bodies")).bytes

    def of(self, identity: str) -> list[Record]:
        """All records of an exchange."""
        return [record for record in self.records if record.get("id") == identity]

    def told(self, rule: str | None = None) -> list[tuple[str, Record]]:
        """What rules have said: type and data of each rule-event."""
        found = [record for record in self.by_type("rule-event") if rule in (None, record["ruleId"])]
        return [(record["eventType"], record["eventData"]) for record in found]

    def audit(self) -> list[str]:
        """What in the log is not as its guarantees say."""
        assert self.path is not None
        with open_session(self.path) as opened:
            return audit(opened)[1]


class Recorder:
    """`mockrec run`, ready."""

    def __init__(
        self, process: subprocess.Popen[bytes] | Forked, ready: Record, stderr: Path, log: Path | None
    ) -> None:
        self.process = process
        self.url: str = ready["url"]
        self.port: int = ready["port"]
        self.pid: int = ready["pid"]
        self.log = log
        self._stderr = stderr

    @property
    def stderr(self) -> str:
        """What has been said so far."""
        return self._stderr.read_text(encoding="utf-8", errors="replace")

    @property
    def descriptors(self) -> int:
        """How many file descriptors are open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def stop(self, number: int = signal.SIGINT, *, check: bool = True) -> Session:
        """Stop it and read the log; `check` wants it to keep its guarantees."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait(check=check)

    def wait(self, *, check: bool = True) -> Session:
        """Wait for its own end and read the log."""
        code = self.process.wait(STOP_SECONDS)
        session = Session(code, self.stderr, self.log)
        if check and session.records:
            assert session.audit() == []
        return session


Start = Callable[..., Recorder]


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """What most programs of the tests are copies of."""
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture
def recorder(fork_server: ForkServer, tmp_path: Path) -> Iterator[Start]:
    """`recorder(rules, *options, out=…, env=…, command=…)`: rules are a text, the path of a file, or None for none.

    `out` names the log inside the test's folder, None for no `-o` at all. Whatever is still running at the end is killed.
    """
    yield from _recorders(fork_server, tmp_path)


@pytest.fixture(scope="module")
def shared_recorder(fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """The same for a program that serves all tests of a module."""
    yield from _recorders(fork_server, tmp_path_factory.mktemp("shared"))


def _recorders(fork_server: ForkServer, folder: Path) -> Iterator[Start]:
    running: list[subprocess.Popen[bytes] | Forked] = []
    numbers = count()

    def start(
        rules: str | Path | None,
        *options: str | Path,
        out: str | None = "session.jsonl",
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Recorder:
        number = next(numbers)  # tests may start several at once
        if isinstance(rules, str):
            path = folder / (f"rules-{number}.yaml" if number else "rules.yaml")
            path.write_text(rules, encoding="utf-8")
        else:
            path = rules
        ready, errors = folder / f"ready-{number}.json", folder / f"stderr-{number}"
        outputs = () if out is None else ("-o", folder / out)
        rule_files = () if path is None else (path,)
        argv = ["run", *rule_files, "--port", "0", "--ready-file", ready, *outputs, *options]
        # In a process group of its own, so that COMMAND can be killed with it.
        process = started(fork_server, argv, {**os.environ, **(env or {})}, cwd or folder, errors)
        running.append(process)
        found = _ready(process, ready, errors)
        return Recorder(process, found, errors, None if out is None else folder / out)

    yield start
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _ready(process: subprocess.Popen[bytes] | Forked, path: Path, errors: Path) -> Record:
    """The file appears atomically; there is no event to wait for."""
    until_there(path, process, lambda: errors.read_text(encoding="utf-8", errors="replace"))
    found: Record = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.fixture
def program(fork_server: ForkServer, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`program("verify", "s.jsonl")`: run mockrec in the test's folder, to its own end."""

    def run(*argv: str | Path, env: dict[str, str] | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
        given = dict(os.environ) if env is None else env
        if options or not can_fork(given):
            return subprocess.run(
                [*PROGRAM, *argv], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=PROGRAM_SECONDS,
                env=given, **options,
            )  # fmt: skip
        with TemporaryFile("w+") as out, TemporaryFile("w+") as errors, open(os.devnull, "rb") as null:
            process = fork_server.start(argv, given, tmp_path, (null.fileno(), out.fileno(), errors.fileno()))
            try:
                code = process.wait(PROGRAM_SECONDS)
            finally:
                process.kill()
            out.seek(0)
            errors.seek(0)
            return subprocess.CompletedProcess([*PROGRAM, *argv], code, out.read(), errors.read())

    return run


# ── servers, clients and certificates for what is passed on ──────────────────────────────────────────

SOCKET_SECONDS = 60.0


class Received:
    """A request as a server has got it."""

    def __init__(self, head: bytes, connection: int) -> None:
        self.head = head
        self.connection = connection
        """Number of the connection it came on, from 0."""
        self.start, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        self.method, self.target, self.version = self.start.split(" ")
        self.fields = [line.split(": ", 1) for line in lines]
        self.headers = {name.lower(): value for name, value in self.fields}
        self.body = b""
        self.trailers = b""


class Bytes:
    """Bytes of a socket, read by need."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = b""

    def more(self) -> bool:
        """Read what there is; False at the end."""
        data = self.sock.recv(65536)
        self.buffer += data
        return bool(data)

    def until(self, mark: bytes) -> bytes:
        """Everything up to a mark, or b"" if the end comes first."""
        while mark not in self.buffer:
            if not self.more():
                return b""
        found, _, self.buffer = self.buffer.partition(mark)
        return found + mark

    def exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            assert self.more(), f"{len(self.buffer)} bytes of {size} before the end"
        found, self.buffer = self.buffer[:size], self.buffer[size:]
        return found

    def chunked(self) -> tuple[bytes, bytes]:
        """A chunked body and its trailers."""
        body = []
        while size := int(self.until(b"\r\n").partition(b";")[0], 16):
            body.append(self.exactly(size))
            assert self.exactly(2) == b"\r\n"
        trailers = b""
        while (line := self.until(b"\r\n")) != b"\r\n":
            trailers += line
        return b"".join(body), trailers


class Served(Bytes):
    """A connection of an upstream server."""

    def __init__(self, sock: socket.socket, number: int, server: Upstream) -> None:
        super().__init__(sock)
        self.number = number
        self.server = server

    def head(self) -> Received | None:
        """The next request without its body; None at the end."""
        head = self.until(b"\r\n\r\n")
        if not head:
            return None
        if head == b"PRI * HTTP/2.0\r\n\r\n":  # as servers do that know nothing newer than HTTP/1.1
            self.server.prefaces += 1
            return None
        received = Received(head, self.number)
        self.server.requests.append(received)
        return received

    def request(self) -> Received | None:
        """The next request; None at the end."""
        received = self.head()
        if received is not None:
            if "transfer-encoding" in received.headers:
                received.body, received.trailers = self.chunked()
            else:
                received.body = self.exactly(int(received.headers.get("content-length", "0")))
        return received

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def reset(self) -> None:
        """RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def hang(self) -> None:
        """Say nothing until the other side leaves, or the server is closed."""
        while self.more():
            pass

    def wait(self, event: threading.Event) -> None:
        assert event.wait(SOCKET_SECONDS), "the test did not go on"


Respond = Callable[[Received], bytes]


class Upstream:
    """A server of the test's, with a thread for each connection."""

    def __init__(
        self,
        answer: bytes | Respond | None,
        serve: Callable[[Served], None] | None,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._answer = answer
        self._serve = serve or self._converse
        self._tls = tls
        self.requests: list[Received] = []
        self.accepted = 0
        self.prefaces = 0
        """How often somebody has begun to speak HTTP/2."""
        self.ended: list[int] = []
        """Numbers of the connections that have ended, in this order."""
        self.defects: list[BaseException] = []
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._closing = False
        self._listener = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=64
        )
        self.host = host
        self.port: int = self._listener.getsockname()[1]
        self.authority = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self.url = f"{'https' if tls else 'http'}://{self.authority}"
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            if self._closing:
                sock.close()
                return
            sock.settimeout(SOCKET_SECONDS)
            thread = threading.Thread(target=self._hold, args=(sock, self.accepted), daemon=True)
            self.accepted += 1
            self._sockets.append(sock)
            self._threads.append(thread)
            thread.start()

    def _hold(self, sock: socket.socket, number: int) -> None:
        try:
            if self._tls is not None:
                plain = sock
                try:
                    sock = self._tls.wrap_socket(sock, server_side=True)
                finally:
                    plain.close()  # its descriptor has gone over to the other
                self._sockets.append(sock)
            self._serve(Served(sock, number, self))
        except OSError:
            pass  # the other side has left
        except BaseException as error:
            self.defects.append(error)
        finally:
            self.ended.append(number)
            sock.close()

    def _converse(self, connection: Served) -> None:
        while (received := connection.request()) is not None:
            answer = self._answer
            assert answer is not None
            connection.send(answer if isinstance(answer, bytes) else answer(received))

    @property
    def request(self) -> Received:
        """The only request."""
        assert len(self.requests) == 1, [received.start for received in self.requests]
        return self.requests[0]

    def close(self) -> None:
        self._closing = True
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._acceptor.join(SOCKET_SECONDS)
        self._listener.close()
        for sock in self._sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads:
            thread.join(SOCKET_SECONDS)
            assert not thread.is_alive(), "a server's thread goes on"
        for sock in self._sockets:
            sock.close()


@pytest.fixture
def upstream() -> Iterator[Callable[..., Upstream]]:
    """`upstream(answer)`: a server that gives these bytes, or what a function makes of a request, to every request;
    `upstream(serve=…)`: what the function does with each connection."""
    yield from _upstreams()


@pytest.fixture(scope="module")
def shared_upstream() -> Iterator[Callable[..., Upstream]]:
    """The same for servers that all tests of a module ask."""
    yield from _upstreams()


def _upstreams() -> Iterator[Callable[..., Upstream]]:
    running: list[Upstream] = []

    def start(
        answer: bytes | Respond | None = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        *,
        serve: Callable[[Served], None] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> Upstream:
        server = Upstream(answer, serve, host, port, tls)
        running.append(server)
        return server

    yield start
    for server in running:
        server.close()
    assert [defect for server in running for defect in server.defects] == []


class Answered:
    """An answer as a client has got it."""

    def __init__(self, head: bytes) -> None:
        self.head = head
        self.status_line, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        self.status = int(self.status_line.split(" ")[1])
        self.fields = [line.split(": ", 1) for line in lines]
        self.headers = {name.lower(): value for name, value in self.fields}
        self.body = b""
        self.trailers = b""
        self.interim: list[bytes] = []
        """Heads before this one."""

    @property
    def text(self) -> str:
        return self.body.decode()


class Client(Bytes):
    """A client that says what it is told to, byte for byte."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        super().__init__(sock)
        self._context = context

    def send(self, data: str | bytes) -> None:
        self.sock.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def head(self) -> Answered:
        """The next final head."""
        interim = []
        while True:
            head = self.until(b"\r\n\r\n")
            assert head, f"the connection has ended; {self.buffer[:500]!r} was left"
            answered = Answered(head)
            if answered.status >= 200:
                answered.interim = interim
                return answered
            interim.append(head)

    def answer(self, method: str = "GET") -> Answered:
        """The next answer."""
        answered = self.head()
        if method == "HEAD" or answered.status in (204, 304):
            return answered
        if "transfer-encoding" in answered.headers:
            answered.body, answered.trailers = self.chunked()
        elif "content-length" in answered.headers:
            answered.body = self.exactly(int(answered.headers["content-length"]))
        else:
            answered.body = self.rest()
        return answered

    def ask(self, request: str | bytes) -> Answered:
        """Send a request; its answer."""
        self.send(request)
        method = request.partition(" " if isinstance(request, str) else b" ")[0]  # type: ignore[arg-type]
        return self.answer(method if isinstance(method, str) else method.decode())

    def get(self, url: str, *fields: str) -> Answered:
        """GET with a whole URL, or a path."""
        return self.ask("\r\n".join([f"GET {url} HTTP/1.1", "Host: unused.test", *fields, "", ""]))

    def rest(self) -> bytes:
        """Everything until the end; raises ConnectionResetError where it is none."""
        while self.more():
            pass
        data, self.buffer = self.buffer, b""
        return data

    def tunnel(self, authority: str, name: str | None = None) -> Client:
        """CONNECT, and TLS inside it with a server of this name."""
        self.send(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n")
        assert self.until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        if name is not None:
            assert self._context is not None
            self.sock = self._context.wrap_socket(self.sock, server_hostname=name)
        return self

    def leave(self) -> None:
        self.sock.close()


@pytest.fixture
def client() -> Iterator[Callable[..., Client]]:
    """`client(port)`: a connection; `context` for those who speak TLS in it."""
    made: list[Client] = []

    def connect(port: int, host: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> Client:
        connected = Client(socket.create_connection((host, port), SOCKET_SECONDS), context)
        made.append(connected)
        return connected

    yield connect
    for one in made:
        one.leave()


@pytest.fixture
def connect(client: Callable[..., Client]) -> Callable[[int], Talk]:
    """`connect(port)`: a client that speaks HTTP/2 without TLS."""
    return lambda port: Talk(client(port).sock)


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool], str], None]:
    """`eventually(lambda: …, "what should have happened")`: where there is no event to wait for."""
    return until


class Pki:
    """Certificates for the tests, with an authority of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = count()
        self.ca, self.ca_key = self.issue("mockrec tests", is_ca=True)
        self.foreign, self.foreign_key = self.issue("someone else", is_ca=True)

    def issue(
        self,
        *names: str,
        is_ca: bool = False,
        issuer: tuple[Path, Path] | None = None,
        days: tuple[int, int] = (-1, 30),
    ) -> tuple[Path, Path]:
        """PEM files of a certificate and its key; without an issuer, it signs itself."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
        issuer_name, signer = subject, key
        if issuer is not None:
            issuer_name = x509.load_pem_x509_certificate(issuer[0].read_bytes()).subject
            signer = serialization.load_pem_private_key(issuer[1].read_bytes(), None)  # type: ignore[assignment]
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=days[0]))
            .not_valid_after(now + datetime.timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
                critical=False,
            )
        )
        if is_ca:  # Python 3.13 wants it said
            usage = dict.fromkeys(
                ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
                 "encipher_only", "decipher_only"), False,
            )  # fmt: skip
            builder = builder.add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
        else:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), False)
        number = next(self._numbers)
        cert_path, key_path = self.folder / f"{number}.pem", self.folder / f"{number}.key"
        certificate = builder.sign(signer, hashes.SHA256())
        cert_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        key_path.write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
        return cert_path, key_path

    def server(self, *names: str, foreign: bool = False, self_signed: bool = False, **options: Any) -> ssl.SSLContext:
        """A server's context with a certificate for these names."""
        issuer = (self.foreign, self.foreign_key) if foreign else (self.ca, self.ca_key)
        cert, key = self.issue(
            *(names or ("localhost", "127.0.0.1", "::1")), issuer=None if self_signed else issuer, **options
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        return context

    @property
    def trusting(self) -> ssl.SSLContext:
        """A client's context that trusts the authority."""
        return ssl.create_default_context(cafile=str(self.ca))

    @property
    def options(self) -> tuple[str | Path, ...]:
        """Options of a recorder whose clients have that context."""
        return ("--ca-cert", self.ca, "--ca-key", self.ca_key)


def _general(name: str) -> Any:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """An authority and what it signs."""
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def node_server(pki: Pki, tmp_path: Path) -> Iterator[Callable[..., int]]:
    """`node_server(script, name, …)`: a server in Node, which is given the paths of a key and of a certificate for these
    names and prints its port; the port."""
    with ExitStack() as stack:

        def start(script: str, *names: str) -> int:
            cert, key = pki.issue(*names, issuer=(pki.ca, pki.ca_key))
            path = tmp_path / f"serve-{cert.stem}.mjs"
            path.write_text(script, encoding="utf-8")
            argv = ["node", path, key, cert]
            server = stack.enter_context(subprocess.Popen(argv, stdout=subprocess.PIPE, text=True))
            stack.callback(server.kill)
            assert server.stdout is not None
            return int(server.stdout.readline())

        yield start


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """`nginx("location / { … }", "ssl http2")`: a server with these lines in its `server` block, and what its `listen`
    has besides; its port."""
    yield from _nginxes(tmp_path)


@pytest.fixture(scope="module")
def shared_nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., int]]:
    """The same for servers that all tests of a module ask."""
    yield from _nginxes(tmp_path_factory.mktemp("nginx"))


def _nginxes(tmp_path: Path) -> Iterator[Callable[..., int]]:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    running: list[subprocess.Popen[bytes]] = []

    def start(lines: str, listen: str = "") -> int:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port: int = probe.getsockname()[1]
        folder = tmp_path / f"nginx-{port}"
        folder.mkdir()
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
        user = "user root;" if os.geteuid() == 0 else ""  # so that it may read the test's folder
        (folder / "nginx.conf").write_text(f"""
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log; {user}
events {{ worker_connections 64; }}
http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{port} {listen}; {lines} }} }}
""")
        argv = [program, "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf"), "-p", str(folder)]
        running.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

        def listens() -> bool:
            assert running[-1].poll() is None, (folder / "error.log").read_text()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        until(listens, "nginx does not listen")
        return port

    yield start
    for process in running:
        process.terminate()
        process.wait(STOP_SECONDS)
