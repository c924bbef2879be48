"""Hostile sessions and rule files: they reach no other file, steer no terminal, give no secret away and run no code."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import pty
import re
import socket
import ssl
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Program = Callable[..., Any]
Start = Callable[..., Any]

SECRET = "s3cr3t-v4lue"
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What a terminal may take for more than text; line feeds and tabs are layout."""
NASTY = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202etxt\r\x08\x7f\x00"
STARTED = {"type": "session-started", "seq": 0, "schemaVersion": 1, "timestamp": "2026-01-01T00:00:00.000Z"}
ENDED = {"type": "session-ended", "seq": 9, "timestamp": "2026-01-01T00:00:00.000Z", "counts": {}}


def session(path: Path, *records: dict[str, Any]) -> Path:
    lines = [json.dumps(record) for record in (STARTED, *records, ENDED)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def kept(folder: Path, data: bytes) -> str:
    """A body as it is kept beside a log; its name."""
    digest = hashlib.sha256(data).hexdigest()
    (folder / digest[:2]).mkdir(parents=True, exist_ok=True)
    (folder / digest[:2] / digest).write_bytes(data)
    return f"{digest[:2]}/{digest}"


# ── other files ────────────────────────────────────────────────────────────────────────────────────


def names_outside(tmp_path: Path) -> dict[str, str]:
    """What a session may call the file of a body, to be shown what is none of its business."""
    outside, folder = tmp_path / "outside", tmp_path / "s.jsonl.bodies"
    private = b"nobody's business"
    name = kept(outside, private)
    digest = name[3:]
    (tmp_path / "private").write_bytes(private)
    (folder / "aa").mkdir(parents=True)
    (folder / name[:2]).symlink_to(outside / name[:2])
    (folder / "aa" / f"aa{digest[2:]}").symlink_to(tmp_path / "private")
    os.mkfifo(folder / "aa" / ("aa" + "f" * 62))
    (folder / "aa" / ("aa" + "d" * 62)).mkdir()
    return {
        "absolute": str(tmp_path / "private"),
        "up": "../private",
        "up and down": f"../outside/{name}",
        "up with the right form": f"../{digest}",
        "through a link to a folder": name,
        "through a link to a file": f"aa/aa{digest[2:]}",
        "a pipe": "aa/aa" + "f" * 62,
        "a folder": "aa/aa" + "d" * 62,
        "a NUL": f"{name}\0",
        "a line feed": f"{name}\n",
        "backslashes": f"..\\outside\\{digest}",
        "a device": "/dev/stdin",
        "empty": "",
    }


def test_bodies_come_from_the_sessions_own_folder(program: Program, tmp_path: Path) -> None:
    own = kept(tmp_path / "s.jsonl.bodies", b"my own business")
    files = [*names_outside(tmp_path).values(), own, 5, None, ["a"], {}]
    path = session(
        tmp_path / "s.jsonl",
        *({"type": "request", "seq": 1, "id": "x", "body": {"size": 17, "file": name}} for name in files),
    )
    done = program("show", path, "x")
    assert done.returncode == 0
    assert "nobody's business" not in done.stdout
    assert "Traceback" not in done.stderr
    assert done.stdout.count("my own business") == 1
    assert done.stdout.count("body: cannot be shown: ") == len(files) - 2, "all but our own and the absent one"
    done = program("verify", path, "--verbose")
    assert done.returncode == 1
    assert "nobody's business" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("out", ["o.jsonl", "o.har", "o.parquet", "-"])
def test_no_command_takes_other_files_into_a_new_session(program: Program, tmp_path: Path, out: str) -> None:
    files = [*names_outside(tmp_path).values(), own := kept(tmp_path / "s.jsonl.bodies", b"my own business")]
    path = tmp_path / "s.jsonl"
    session(path, *({"type": "request", "seq": 1, "id": "x", "body": {"size": 17, "file": name}} for name in files))
    path.write_text(path.read_text().replace('": ', '":'))  # as mockrec writes it
    before = set(tmp_path.rglob("*"))
    done = program("filter", path, *(() if out == "-" else ("-o", out)))
    assert done.returncode == 0
    made = [made for made in tmp_path.rglob("*") if made not in before]
    assert not any(made.is_symlink() for made in made)
    written = b"".join(made.read_bytes() for made in made if made.is_file()) + done.stdout.encode()
    assert b"nobody's business" not in written
    if out == "o.jsonl":
        assert (tmp_path / "o.jsonl.bodies" / own).read_bytes() == b"my own business"


def test_a_request_chooses_no_file(recorder: Start, client: Any, tmp_path: Path) -> None:
    (tmp_path / "pub").mkdir()
    (tmp_path / "pub" / "index.html").write_text("public")
    (tmp_path / "private").write_text("nobody's business")
    run = recorder(
        "version: 1\nrules: [{when: {pathRegex: ^/pub}, then: {reply: {file: pub/index.html, template: true}}}]\n"
    )
    for target in (
        "/pub/../../private",
        "/pub/%2e%2e/private",
        "/pub/..%2f..%2fprivate",
        "/pub//etc/passwd",
        "/pub\\..\\private",
    ):
        answered = client(run.port).get(target)
        assert answered.text == "public" or answered.text.startswith("No rule matches"), target
    assert run.stop().code == 0


def test_the_name_of_a_file_is_no_template(program: Program, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(
        'version: 1\nrules: [{then: {reply: {template: true, file: "{{ request.path }}"}}}]\n', encoding="utf-8"
    )
    done = program("check", "rules.yaml")
    assert done.returncode == 2
    assert 'cannot read the file "{{ request.path }}"' in done.stderr


# ── terminals ──────────────────────────────────────────────────────────────────────────────────────


def nasty_records() -> list[dict[str, Any]]:
    body = {"size": 3, "text": NASTY}
    head = {
        "method": NASTY,
        "url": NASTY,
        "path": NASTY,
        "rawHeaders": [[NASTY, NASTY], NASTY],
        "remoteIpAddress": NASTY,
    }
    return [
        {"type": "request", "seq": 1, "id": "a", "connectionId": NASTY, **head, "body": body, "tags": [NASTY], NASTY: NASTY},
        {"type": "response", "seq": 2, "id": "a", "statusCode": 200, "statusMessage": NASTY, "rawHeaders": [[NASTY, NASTY]], "body": body},
        {"type": "abort", "seq": 3, "id": f"b{NASTY}", **head, "error": {"message": NASTY, "code": NASTY}, "timestamp": NASTY},
        {"type": "client-error", "seq": 4, "id": "a2", "errorCode": NASTY, "request": {**head, "rawHead": body}, "aborted": True},
        {"type": NASTY, "seq": NASTY, "id": "a3", "timingEvents": {NASTY: NASTY}, "body": {"size": 1, "file": NASTY}},
        {"type": "rule-event", "seq": 5, "requestId": "a", "ruleId": NASTY, "eventType": NASTY, "eventData": {NASTY: NASTY}},
        {"type": "gap", "seq": 6, "dropped": {NASTY: 1}},
        {"type": "raw-passthrough-opened", "seq": 7, "id": "t", "destination": {"hostname": NASTY, "port": NASTY}},
    ]  # fmt: skip


@pytest.mark.parametrize(
    "command",
    [["show"], ["show", "a"], ["show", "a2"], ["show", "a3"], ["show", "b"], ["show", "t"], ["show", "nothing"], ["verify"]],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("shape", ["text", "json"])
def test_what_was_recorded_steers_no_terminal(program: Program, tmp_path: Path, command: list[str], shape: str) -> None:
    path = session(tmp_path / "s.jsonl", *nasty_records())
    name, *more = command
    options = ["--as", shape] if name == "show" else ["--verbose"]
    done = program(name, path, *more, *options)
    assert "Traceback" not in done.stderr
    for line in (done.stdout + done.stderr).splitlines():
        found = STEERING.search(line)
        assert not found, line


def test_broken_sessions_and_rule_files_steer_no_terminal(program: Program, tmp_path: Path) -> None:
    (tmp_path / "broken.jsonl").write_bytes(json.dumps(STARTED).encode() + b"\n" + NASTY.encode() + b"\n{}\n")
    (tmp_path / "other").write_bytes(NASTY.encode())
    nasty = json.dumps(NASTY)
    (tmp_path / "rules.yaml").write_text(
        f"version: 1\nrules: [{{then: {{reply: {{{nasty}: 1, status: {nasty}}}}}}}, {{id: {nasty}}}]\n"
    )
    (tmp_path / "raw.yaml").write_bytes(b"version: 1\nrules: [" + NASTY.encode())
    named = f"n{NASTY[:-1]}.jsonl"
    for argv in (
        ["show", "broken.jsonl"], ["verify", "broken.jsonl"], ["show", "other"], ["check", "rules.yaml"], ["check", "raw.yaml"],
        ["run", "rules.yaml"], ["show", named], ["verify", named], ["check", named], ["show", "broken.jsonl", NASTY[:-1]],
    ):  # fmt: skip
        done = program(*argv)
        assert done.returncode in (1, 2), argv
        assert "Traceback" not in done.stderr
        assert not [line for line in (done.stdout + done.stderr).split("\n") if STEERING.search(line)], argv


def test_the_live_view_steers_no_terminal(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(f"version: 1\nrules: [{{id: {json.dumps('id' + NASTY)}, then: {{reply: {{body: x}}}}}}]\n")
    ours, theirs = pty.openpty()
    argv = [sys.executable, "-m", "mockrec.cli", "run", rules, "--port", "0", "--stop-after", "2", "-o", "s.jsonl"]
    process = subprocess.Popen(argv, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    seen = b""
    while (found := re.search(rb"ready on http://127.0.0.1:([0-9]+) ", seen)) is None:
        seen += os.read(ours, 65536)
    port = int(found[1])
    for target in ("/%1b%5b2J", "http://h/x?%9b"):
        with socket.create_connection(("127.0.0.1", port), 20) as sock:
            sock.sendall(
                f"GET {target} HTTP/1.1\r\nHost: h\r\nX: \x9b31m\r\nConnection: close\r\n\r\n".encode("latin-1")
            )
            while sock.recv(65536):
                pass
    try:
        while data := os.read(ours, 65536):
            seen += data
    except OSError:  # the other end has been closed
        pass
    assert process.wait(20) == 0
    os.close(ours)
    plain = re.sub("\x1b\\[[0-9;]*m", "", seen.decode().replace("\r\n", "\n"))  # our own colours
    assert "/%1b%5b2J" in plain and "owned" in plain
    assert not STEERING.search(plain)


# ── secrets, modes, code ───────────────────────────────────────────────────────────────────────────


def test_errors_of_rules_tell_no_secret(program: Program, tmp_path: Path) -> None:
    rules = (
        '{then: {reply: {status: "${SECRET}"}}}',
        '{then: {reply: {file: "${SECRET}"}}}',
        '{then: {reply: {file: "/x/${SECRET}/y"}}}',
        '{then: {python: "${SECRET}.py:answer"}}',
        '{then: {reply: {template: true, body: "{{ ${SECRET} oops"}}}',
        '{then: {forward: {to: "http://u:${SECRET}@h/x y"}}}',
        '{then: {webhook: {url: "ftp://${SECRET}"}}}',
        '{id: "${SECRET}", then: close}',
        '{id: "${SECRET}", then: close}',
        '{when: {pathRegex: "[${SECRET}"}, then: close}',
        '{when: {method: "${SECRET} x"}, then: close}',
    )
    (tmp_path / "rules.yaml").write_text("".join(["version: 1\nrules:\n", *(f"  - {rule}\n" for rule in rules)]))
    for argv in (["check", "rules.yaml"], ["run", "rules.yaml", "--port", "0", "-o", "s.jsonl"]):
        done = program(*argv, env={**os.environ, "SECRET": SECRET})
        assert done.returncode == 2, done.stderr
        assert len(done.stderr.splitlines()) == len(rules) - 1, done.stderr
        assert SECRET not in done.stdout + done.stderr


def test_a_password_in_an_option_is_not_repeated(program: Program) -> None:
    for url in (f"http://u:{SECRET}@h:1", f"http://u:{SECRET}@h/x", f"u:{SECRET}@h"):
        done = program("run", "--upstream", url, "-o", "s.jsonl")
        assert done.returncode == 2
        assert SECRET not in done.stderr


def test_the_password_of_a_proxy_is_told_to_nobody_else(recorder: Start, client: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]  # nobody listens there afterwards
    for scheme in ("http", "socks5"):
        proxy = f"upstream: {{proxy: '{scheme}://u:${{SECRET}}@127.0.0.1:{port}'}}"
        run = recorder(
            f"version: 1\n{proxy}\nrules: [{{then: passthrough}}]\n",
            "--verbose",
            out=f"{scheme}.jsonl",
            env={"SECRET": SECRET},
        )
        answered = client(run.port).get("http://example.test/")
        assert answered.status == 502
        session = run.stop()
        assert run.log is not None
        assert SECRET not in answered.text + session.stderr + run.log.read_text()


@pytest.mark.parametrize("umask", [0, 0o077])
def test_what_is_written_is_private(recorder: Start, client: Any, program: Program, tmp_path: Path, umask: int) -> None:
    """Logs, bodies, journals, keys, what is made of a session, and the folders around it, whatever the umask."""
    work, keys = tmp_path / "work", tmp_path / "ca"
    work.mkdir(mode=0o755)
    before = os.umask(umask)
    try:
        more = [argument for name in ("s.har", "s.parquet", "s.jsonl.zst") for argument in ("-o", f"work/{name}")]
        run = recorder(
            "version: 1\ntls: {keyLogFile: work/keys.log}\n"
            f"rules: [{{then: {{reply: {{body: {'x' * 300_000}}}}}}}]\n",
            *more, out="work/s.jsonl", env={"MOCKREC_CA_DIR": str(keys)},
        )  # fmt: skip
        client(run.port).get("/")
        with socket.create_connection(("127.0.0.1", run.port)) as sock:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.wrap_socket(sock, server_hostname="a.test").close()
        live = modes(work) | modes(keys)
        assert run.stop().code == 0
        for out in ("f.jsonl", "f.har", "f.parquet", "fset/"):
            assert program("filter", work / "s.jsonl", "-o", work / out).returncode == 0
        assert program("replay", work / "s.jsonl", "--to-rules", work / "r.yaml").returncode == 0
    finally:
        os.umask(before)
    found = live | modes(work)
    assert {name.rpartition("/")[2] for name in found} >= {
        "s.jsonl",
        "s.har",
        "s.parquet",
        "keys.log",
        "f.jsonl",
        "r.yaml",
    }
    assert any(".journal" in name for name in live) and any(".bodies/" in name for name in live)
    assert {name: mode for name, mode in found.items() if mode not in ("d700", "-600")} == {}


def modes(folder: Path) -> dict[str, str]:
    """What is in a folder, and who may do what with it."""
    found = {}
    for path in folder.rglob("*"):
        mode = path.lstat().st_mode
        found[str(path)] = f"{'d' if stat.S_ISDIR(mode) else '-'}{stat.S_IMODE(mode):o}"
    return found


def test_rule_files_and_sessions_run_no_code(program: Program, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    (tmp_path / "handlers.py").write_text(f"open({str(mark)!r}, 'w')\ndef answer(request): ...\n")
    (tmp_path / "conftest.py").write_text(f"open({str(mark)!r}, 'w')\n")
    (tmp_path / "sitecustomize.py").write_text(f"open({str(mark)!r}, 'w')\n")
    call = f"!!python/object/apply:os.system ['touch {mark}']"
    templates = (
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        f"{{{{ cycler.__init__.__globals__.os.system('touch {mark}') }}}}",
        "{% include '/etc/passwd' %}",
        f"{{{{ request.__class__.__init__.__globals__['__builtins__']['open']({str(mark)!r}, 'w') }}}}",
    )
    for rule in (
        f"{{then: {{reply: {{body: {call}}}}}}}",
        "{then: {python: handlers.py:answer}}",
        *(f"{{then: {{reply: {{template: true, body: {json.dumps(text)}}}}}}}" for text in templates),
    ):
        (tmp_path / "rules.yaml").write_text(f"version: 1\nrules: [{rule}]\n")
        assert "Traceback" not in program("check", "rules.yaml").stderr
        assert not mark.exists(), rule
    (tmp_path / "ignore.yaml").write_text(f"ignore: [{{selector: {call}, reason: x}}]\n")
    empty = session(tmp_path / "e.jsonl")
    done = program("diff", empty, empty, "--ignore-file", "ignore.yaml")
    assert (done.returncode, "not YAML" in done.stderr, mark.exists()) == (2, True, False)
    odd = f"url ~ '{{{{__import__(\"os\").system(\"touch {mark}\")}}}}' or header[a');open('{mark}','w');('] == b"
    assert "Traceback" not in program("filter", empty, odd).stderr
    assert not mark.exists()
    path = session(
        tmp_path / "s.jsonl",
        {"type": "request", "seq": 1, "id": "a", "url": templates[1], "body": {"size": 1, "text": templates[1]}},
    )
    (tmp_path / "s.jsonl.gz").write_bytes(gzip.compress(path.read_bytes()))
    for argv in (["show", path], ["show", path, "a"], ["verify", path], ["show", "s.jsonl.gz"]):
        program(*argv)
        assert not mark.exists(), argv


def test_templates_run_no_code(recorder: Start, client: Any, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    texts = {
        "/cycler": f"{{{{ cycler.__init__.__globals__.os.system('touch {mark}') }}}}",
        "/request": f"{{{{ request.__class__.__init__.__globals__['__builtins__']['open']('{mark}', 'w') }}}}",
        "/format": "{{ '{0.__class__.__init__.__globals__}'.format(request) }}",
        "/attr": "{{ request|attr('__class__') }}",
        "/bomb": "{{ 'a' * 100000000000 }}",
        "/loop": "{% for a in range(10**9) %}{% for b in range(10**9) %}{% endfor %}{% endfor %}",
    }
    rules = [
        f"{{when: {{path: {path}}}, then: {{reply: {{template: true, body: {json.dumps(text)}}}}}}}"
        for path, text in texts.items()
    ]
    run = recorder(f"version: 1\nrules: [{', '.join(rules)}]\n")
    answers: dict[str, Any] = {}
    threads = [
        threading.Thread(target=lambda path=path: answers.update({path: client(run.port).get(path)})) for path in texts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not mark.exists()
    for path, answered in answers.items():
        assert answered.status == 500 or len(answered.body) < 1000, path
        assert "builtins" not in answered.text and "0x" not in answered.text, path
    assert run.stop().code == 0
