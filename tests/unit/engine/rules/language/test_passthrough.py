"""Loading of the steps `passthrough` and `forward`: their values, and every mistake with its location."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from mockrec.engine.config import TlsSettings, UpstreamSettings
from mockrec.engine.rules.language.load import json_schema
from mockrec.engine.rules.model import (
    BodyChange,
    Delay,
    Forward,
    HeaderChanges,
    Passthrough,
    RequestChanges,
    ResponseChanges,
)
from mockrec.engine.rules.patterns import replacer


@pytest.fixture
def files(rule_files: Any) -> Any:
    """A folder with a few files in it."""
    rule_files.files = {f"/rules/{name}": b"x" for name in ("ca.pem", "c.pem", "c.key", "c.pfx", "body.json")}
    return rule_files


def request_of(files: Any, text: str) -> RequestChanges:
    step = files.step(f"passthrough: {{request: {text}}}")
    assert isinstance(step, Passthrough)
    return step.request


def response_of(files: Any, text: str) -> ResponseChanges:
    step = files.step(f"passthrough: {{response: {text}}}")
    assert isinstance(step, Passthrough)
    return step.response


# ── the steps ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("text", ["passthrough", "passthrough:", "passthrough: {}", "passthrough: null"])
def test_passthrough_needs_no_options(files: Any, text: str) -> None:
    step = files.step(text)
    assert type(step) is Passthrough
    assert (step.name, step.final, step.upstream, step.delay) == ("passthrough", True, {}, None)
    assert (step.request, step.response) == (RequestChanges(), ResponseChanges())
    assert (step.place.line, step.place.where) == (4, "rules[0].then.passthrough")


@pytest.mark.parametrize(
    ("to", "server"),
    [
        ("localhost", (None, "localhost", None)),
        ("localhost:3000", (None, "localhost", 3000)),
        ("http://localhost:3000", ("http", "localhost", 3000)),
        ("https://Example.TEST/", ("https", "example.test", None)),
        ("WS://a", ("http", "a", None)),
        ("wss://a:1", ("https", "a", 1)),
        ('"[::1]"', (None, "::1", None)),
        ("http://[::1]:81/", ("http", "::1", 81)),
        ("http://bücher.test", ("http", "xn--bcher-kva.test", None)),
    ],
)
def test_forward_names_its_server(files: Any, to: str, server: tuple[str | None, str, int | None]) -> None:
    step = files.step(f"forward:\n  to: {to}")
    assert type(step) is Forward
    assert (step.name, step.final) == ("forward", True)
    assert (step.to_protocol, step.to_host, step.to_port) == server


def test_forward_takes_what_passthrough_takes(files: Any) -> None:
    step = files.step(
        "forward:\n  to: http://a\n  delay: {uniform: [1s, 2s]}\n  proxy: http://p:1\n"
        "  request: {host: b, protocol: wss}\n  response: {status: 201}"
    )
    assert isinstance(step, Forward)
    assert isinstance(step.delay, Delay)
    assert step.delay.uniform == (1.0, 2.0)
    assert step.delay.place.where == "rules[0].then.forward.delay"
    assert step.upstream == {"proxy": "http://p:1"}
    assert step.request == RequestChanges(host="b", protocol="https")
    assert step.response == ResponseChanges(201)


# ── the way to the server ──────────────────────────────────────────────────────────────────────────

OPTIONS = """\
proxy: socks5h://user:word@proxy:1080
noProxy: [localhost]
trustedCAs: [ca.pem]
ignoreTlsErrors: [a.test]
clientCertificates: {a.test: {cert: c.pem, key: c.key}, "*": {pfx: c.pfx, passphrase: x}}
dnsServers: [127.0.0.1]
timeouts: {connect: 1s, head: 2s, bodyIdle: 3s}
simulateConnectionErrors: true
http2: prior-knowledge
"""
FIELDS: dict[str, Any] = {
    "proxy": "socks5h://user:word@proxy:1080",
    "no_proxy": ("localhost",),
    "trusted_cas": ("/rules/ca.pem",),
    "ignore_tls_errors": ("a.test",),
    "client_certificates": {
        "a.test": {"cert": "/rules/c.pem", "key": "/rules/c.key"},
        "*": {"pfx": "/rules/c.pfx", "passphrase": "x"},
    },
    "dns_servers": ("127.0.0.1",),
    "connect_timeout": 1.0,
    "head_timeout": 2.0,
    "body_idle_timeout": 3.0,
    "simulate_connection_errors": True,
    "http2": "prior-knowledge",
}


def test_only_given_options_of_the_way_are_there(files: Any) -> None:
    lines = OPTIONS.replace("\n", "\n  ").rstrip()
    step = files.step(f"passthrough:\n  {lines}")
    assert step.upstream == FIELDS
    assert UpstreamSettings(**step.upstream).body_idle_timeout == 3.0
    assert files.step("passthrough: {proxy: null, timeouts: {head: 1m}}").upstream == {
        "proxy": None,
        "head_timeout": 60.0,
    }


def test_upstream_has_the_same_options(files: Any) -> None:
    lines = OPTIONS.replace("\n", "\n  ").rstrip()
    settings = files.load(f"version: 1\nupstream:\n  {lines}\nrules: []").rule_file.upstream
    assert settings == UpstreamSettings(**FIELDS)
    assert isinstance(settings.client_certificates, MappingProxyType)
    assert files.load("version: 1\nupstream:\nrules: []").rule_file.upstream == UpstreamSettings()


# ── changes ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("{}", RequestChanges()),
        ("{method: put}", RequestChanges(method="PUT")),
        ("{host: 'a:81'}", RequestChanges(host="a:81")),
        ("{protocol: ws}", RequestChanges(protocol="http")),
        ("{updateHostHeader: false}", RequestChanges(update_host_header=False)),
        ("{updateHostHeader: true}", RequestChanges(update_host_header=True)),
        ("{updateHostHeader: a.test}", RequestChanges(update_host_header="a.test")),
        ("{replaceHeaders: {}}", RequestChanges(headers=HeaderChanges(replace=()))),
        ("{replaceHeaders: [[a, 1], [A, 2]]}", RequestChanges(headers=HeaderChanges(replace=(("a", "1"), ("A", "2"))))),
        (
            "{headers: {set: {a: [1, 2]}, add: {b: x}, remove: c}}",
            RequestChanges(headers=HeaderChanges((("a", "1"), ("a", "2")), (("b", "x"),), ("c",))),
        ),
        ("{headers: {remove: [a, B]}}", RequestChanges(headers=HeaderChanges(remove=("a", "B")))),
    ],
)
def test_changes_of_a_request(files: Any, text: str, changes: RequestChanges) -> None:
    assert request_of(files, text) == changes


BODIES = [
    ("{body: é}", BodyChange(data="é".encode())),
    ("{body: ''}", BodyChange(data=b"")),
    ("{json: {a: [1, 1.0, é, null]}}", BodyChange(data='{"a":[1,1.0,"é",null]}'.encode(), is_json=True)),
    ("{json: null}", BodyChange(data=b"null", is_json=True)),
    ("{file: body.json}", BodyChange(file="/rules/body.json")),
    ("{mergeJson: {a: null}}", BodyChange(merge_json={"a": None}, has_merge=True)),
    ("{mergeJson: null}", BodyChange(has_merge=True)),
    (
        "{patchJson: [{op: add, path: /a~1b, value: null}, {op: remove, path: ''}]}",
        BodyChange(patch_json=({"op": "add", "path": "/a~1b", "value": None}, {"op": "remove", "path": ""})),
    ),
]


@pytest.mark.parametrize(("text", "change"), BODIES)
def test_changes_of_a_body(files: Any, text: str, change: BodyChange) -> None:
    assert request_of(files, text).body == change
    assert response_of(files, text).body == change


def test_changes_of_a_response(files: Any) -> None:
    assert response_of(files, "{status: 404, headers: {set: {a: b}}}") == ResponseChanges(
        404, HeaderChanges(set=(("a", "b"),))
    )


def test_replacements_are_read(files: Any) -> None:
    request = request_of(
        files,
        r"""{matchReplaceHost: [[a, b]], matchReplacePath: [['^/(?P<x>\w)', '/\g<x>\1']],
        matchReplaceQuery: [[a, b], ['[c', '']], matchReplaceBody: [[a, '']]}""".replace("'[c'", "'[c]'"),
    )
    (pattern, template), *_ = request.match_replace_path
    assert replacer(pattern, template)("/a", 100) == "/aa"
    assert [(one, other) for one, other in request.match_replace_query] == [("a", "b"), ("[c]", "")]
    assert [other for _, other in request.match_replace_host] == ["b"]
    assert request.body is not None
    assert request.body.match_replace is not None


# ── mistakes ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("forward: {}", 'forward: the key "to" is missing'),
        ("forward", 'the step "forward" needs its options, as a mapping'),
        ("forward: {to: http://a/b}", "forward.to: a server has no path; the request's own path is kept"),
        ("forward: {to: ftp://a}", 'forward.to: the scheme is http, https, ws or wss, got "ftp"'),
        ("forward: {to: 'a:0'}", 'forward.to: not a port: "0"'),
        ("forward: {to: '::1'}", "forward.to: an IPv6 address stands in brackets"),
        ("passthrough: {to: a}", None),
        ("passthrough: {trustedCAs: [none.pem]}", "passthrough.trustedCAs[0]: cannot read the file"),
        (
            "passthrough: {proxy: ftp://a}",
            "passthrough.proxy: expected null or a proxy such as http://proxy:3128 or a mapping, got",
        ),
        ("passthrough: {clientCertificates: {a: {key: c.key}}}", "give cert or pfx"),
        ("passthrough: {delay: soon}", "passthrough.delay: expected a duration"),
        ("passthrough: {request: {file: none}}", "passthrough.request.file: cannot read the file"),
        ("passthrough: {request: {host: a, matchReplaceHost: [[a, b]]}}", "give only one of host, matchReplaceHost"),
        ("passthrough: {request: {headers: {}, replaceHeaders: {}}}", "give only one of headers, replaceHeaders"),
        ("passthrough: {response: {body: a, mergeJson: 1}}", "give only one of body, mergeJson"),
        ("passthrough: {response: {status: 101}}", "passthrough.response.status: expected 200–599, got 101"),
        ("passthrough: {request: {status: 200}}", 'unknown key "status"'),
        ("passthrough: {request: {matchReplacePath: []}}", "expected a list of at least 1, got an empty list"),
        (
            "passthrough: {request: {matchReplacePath: [a]}}",
            "matchReplacePath[0]: expected a pattern and its replacement, got",
        ),
        (
            "passthrough: {request: {matchReplacePath: [[a]]}}",
            "matchReplacePath[0]: expected a pattern and its replacement, got a list of 1",
        ),
        (
            "passthrough: {request: {matchReplacePath: [[a, b], ['(', b]]}}",
            "passthrough.request.matchReplacePath[1][0]: not a regular expression: ",
        ),
        (
            r"passthrough: {request: {matchReplaceBody: [[(a), '\2']]}}",
            "request.matchReplaceBody[0][1]: not a replacement for this pattern: invalid group reference 2",
        ),
        (
            r"passthrough: {request: {matchReplaceBody: [[a, '\g<x>']]}}",
            "request.matchReplaceBody[0][1]: not a replacement for this pattern: unknown group name 'x'",
        ),
        (
            r"passthrough: {response: {matchReplaceBody: [[a, '\q']]}}",
            r"response.matchReplaceBody[0][1]: not a replacement for this pattern: bad escape \q",
        ),
        ("passthrough: {request: {patchJson: [{op: add, path: /a}]}}", 'patchJson[0].op: add needs the key "value"'),
        ("passthrough: {request: {patchJson: [{op: copy, path: /a}]}}", 'patchJson[0].op: copy needs the key "from"'),
        ("passthrough: {request: {patchJson: [{op: remove, path: a}]}}", "expected a JSON pointer such as /items/0"),
        ("passthrough: {request: {patchJson: [{op: remove, path: /~2}]}}", "expected a JSON pointer such as /items/0"),
        ("passthrough: {request: {patchJson: [{op: ad, path: /a}]}}", 'did you mean "add"?'),
    ],
)
def test_mistakes(files: Any, text: str, problem: str | None) -> None:
    assert (problem or 'passthrough: unknown key "to"') in files.step_problem(text)


def test_every_mistake_of_a_pair_is_told(files: Any) -> None:
    problems = files.problems(
        "version: 1\nrules:\n  - then: {passthrough: {request: {matchReplacePath: [['(', [b]], [a, [b]]]}}}"
    )
    assert [problem.partition(": ")[0] for problem in problems] == ["3:56", "3:61", "3:71"]


def test_the_value_of_a_variable_is_not_told(files: Any) -> None:
    files.env["SECRET"] = r"\q"
    problem = files.step_problem("passthrough: {request: {matchReplacePath: [[a, '${SECRET}']]}}")
    assert problem == "passthrough.request.matchReplacePath[0][1]: not a replacement for this pattern"


def test_only_the_last_step_passes_on(files: Any) -> None:
    problems = files.problems("version: 1\nrules:\n  - then: [passthrough, close]")
    assert problems == ['3:12: rules[0].then[0]: "passthrough" answers, so no step can follow it']


# ── what else of a rule file this brings ───────────────────────────────────────────────────────────


def test_unmatched_requests_may_be_passed_on(files: Any) -> None:
    assert files.load("version: 1\nunmatched: passthrough\nrules: []").rule_file.unmatched == "passthrough"


def test_tls_settings(files: Any) -> None:
    text = """\
version: 1
tls:
  ca: {cert: ca.pem, key: c.key}
  defaultDomain: a.test
  keyType: rsa
  keyLength: 3072
  minVersion: TLSv1.3
  passthrough: ["*.bank.test"]
  keyLogFile: not-there.log
rules: []
"""
    assert files.load(text).rule_file.tls == TlsSettings(
        ca_cert="/rules/ca.pem",
        ca_key="/rules/c.key",
        default_domain="a.test",
        key_type="rsa",
        key_length=3072,
        min_version="TLSv1.3",
        passthrough=("*.bank.test",),
        key_log_file="/rules/not-there.log",
    )
    assert files.load(text.replace("not-there.log", "/a/b")).rule_file.tls.key_log_file == "/a/b"
    assert files.load(text.replace("not-there.log", "null")).rule_file.tls.key_log_file is None
    assert files.load("version: 1\ntls: {interceptOnly: [a]}\nrules: []").rule_file.tls.intercept_only == ("a",)
    assert files.problem(text.replace("not-there.log", "''")) == (
        '9:15: tls.keyLogFile: expected the name of a file or null, got ""'
    )


def test_server_settings(files: Any) -> None:
    server = files.load(
        'version: 1\nserver: {socks: true, passthrough: [unknown-protocol], auth: "a:b"}\nrules: []'
    ).rule_file.server
    assert (server.socks, server.passthrough, server.auth) == (True, ("unknown-protocol",), "a:b")
    socks = files.load("version: 1\nserver: {socks: {auth: [no-auth]}}\nrules: []").rule_file.server.socks
    assert socks == ("no-auth",)


def test_the_schema_no_longer_says_not_yet() -> None:
    schema = json_schema()
    steps = schema["$defs"]["step"]["anyOf"][0]["properties"]
    assert not any("Not available yet" in steps[name]["description"] for name in ("passthrough", "forward"))
    for name in ("upstream", "tls"):
        descriptions = [key["description"] for key in schema["properties"][name]["properties"].values()]
        assert not any("Not available yet" in text for text in descriptions)


def test_a_script_may_name_the_proxies(files: Any) -> None:
    step = files.step("passthrough: {proxy: {pac: ca.pem}}")
    assert step.upstream == {"pac": "/rules/ca.pem", "proxy": None}
    assert files.step("passthrough: {proxy: {pac: 'https://w/p.dat'}}").upstream["pac"] == "https://w/p.dat"
    assert "not-there.pac" in files.step_problem("passthrough: {proxy: {pac: not-there.pac}}")
