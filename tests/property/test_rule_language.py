"""The rule language as a whole: the loader never breaks, and the JSON Schema agrees with it."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mockrec.engine.errors import RuleFileError
from mockrec.engine.rules.language.load import Loaded, json_schema, load_rules

CHECKER = jsonschema.Draft202012Validator(json_schema())
FILES = {"/rules/body.txt": b"hello", "/rules/handlers.py": b"", "/rules/schema.json": b'{"type": "object"}'}

EXAMPLE = b"""\
version: 1
server: {port: "8000-8100", cors: {origins: [a], maxAge: 5}, timeouts: {head: 1s}}
record: {events: [request], maxBodySize: 64KiB}
rules:
  - id: first   # a comment
    when:
      method: [GET, POST]
      path: &path /hello
      headers: {x-version: 1.10, accept: {regex: 'text/.*'}}
      not: {query: {a: [b, c]}}
    then:
      - delay: {uniform: [1ms, 5ms]}
      - reply:
          status: 201
          headers: [[X-A, one], [X-A, two]]
          body: |
            Hello {{ request.path }}
          template: true
    times: twice
  - when: {path: *path}
    then: {stream: {sse: [{event: tick, data: "a\\nb", after: 10ms}]}}
    priority: fallback
"""


def load(data: bytes, env: dict[str, str] | None = None) -> Loaded:
    def read(path: str) -> bytes:
        if path not in FILES:
            raise FileNotFoundError(2, "No such file or directory")
        return FILES[path]

    return load_rules(data, path="rules.yaml", folder="/rules", read_file=read, env=env or {})


def load_or_problems(data: bytes) -> Loaded | None:
    """Loads, or checks that what is told can be told: places in the file, in order."""
    try:
        return load(data)
    except RuleFileError as error:
        problems = error.problems
    assert problems
    places = [(problem.line, problem.column) for problem in problems]
    assert places == sorted(places)
    last_line = data.count(b"\n") + data.count(b"\r") + 2
    last_line += sum(data.count(mark.encode()) for mark in "\x85\u2028\u2029")
    assert all(1 <= line <= last_line and 1 <= column <= len(data) + 1 for line, column in places)
    assert all(problem.message and "\n" not in problem.message for problem in problems)
    return None


# ── arbitrary input ────────────────────────────────────────────────────────────────────────────────


@given(st.binary(max_size=200))
def test_any_bytes_load_or_are_refused(data: bytes) -> None:
    load_or_problems(data)


@given(st.text(st.sampled_from("[]{}:,-&*!|>'\"%@#?\t\n ab1.~<${}"), max_size=60))
def test_any_yaml_loads_or_is_refused(text: str) -> None:
    load_or_problems(text.encode())


@given(st.data())
def test_a_changed_file_loads_or_is_refused(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(EXAMPLE)))
    end = data.draw(st.integers(start, min(start + 20, len(EXAMPLE))))
    piece = data.draw(st.one_of(st.binary(max_size=8), st.sampled_from(EXAMPLE.split())))
    load_or_problems(EXAMPLE[:start] + piece + EXAMPLE[end:])


# ── rules as data ──────────────────────────────────────────────────────────────────────────────────

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12).filter(
    lambda text: not any(mark in text for mark in ("${", "{{", "{%", "{#"))
)
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,8}", fullmatch=True)
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=12).filter(
    lambda text: not any(mark in text for mark in ("${", "{{", "{%", "{#"))
)
PATHS = st.from_regex(r"/[a-z0-9/.%-]{0,12}", fullmatch=True)
DURATIONS = st.sampled_from(["1ms", "2s", "1.5m", "1h", 0])
DATA = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.floats(allow_nan=False, allow_infinity=False),
        WORDS,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=6,
)
CONDITIONS = st.one_of(
    st.fixed_dictionaries({"absent": st.just(True)}),
    st.fixed_dictionaries(
        {"includes": WORDS},
        optional={"gt": st.integers(), "lte": st.floats(-1e9, 1e9), "present": st.just(True)},
    ),
)
EXPECTED = st.one_of(VALUES, st.integers(), st.booleans(), st.lists(VALUES, min_size=1, max_size=3), CONDITIONS)


def unique_by_case(names: dict[str, Any]) -> bool:
    return len({name.lower() for name in names}) == len(names)


HEADERS = st.one_of(
    st.dictionaries(NAMES, st.one_of(VALUES, st.lists(VALUES, max_size=2)), max_size=3).filter(unique_by_case),
    st.lists(st.tuples(NAMES, VALUES).map(list), max_size=3),
).filter(lambda headers: not {"transfer-encoding", "content-length", "trailer", "host"} & lower_names(headers))


def lower_names(headers: Any) -> set[str]:
    return {(item[0] if isinstance(item, list) else item).lower() for item in headers}


WHENS = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "method": st.sampled_from(["GET", "post", "ANY", ["GET", "PUT"]]),
            "path": PATHS,
            "pathTemplate": st.just("/users/{id}/x"),
            "url": st.sampled_from(["/a", "http://host/a", "host:81/b", "wss://[::1]:8/c"]),
            "pathRegex": st.just("^/a+$"),
            "hostname": st.sampled_from(["example.com", "*.example.com", "::1"]),
            "port": st.integers(1, 65535),
            "protocol": st.sampled_from(["http", "https", "ws", "wss"]),
            "headers": st.dictionaries(NAMES, EXPECTED, max_size=2).filter(unique_by_case),
            "query": st.dictionaries(WORDS, EXPECTED, max_size=2),
            "exactQuery": st.sampled_from(["", "?", "?a=b"]),
            "multipart": st.just([{"name": "a"}, {}]),
            "body": WORDS,
            "json": DATA,
            "jsonIncludes": DATA,
            "jsonPath": st.dictionaries(
                st.sampled_from(["$.a", "$..b[0]"]), st.one_of(st.none(), WORDS, CONDITIONS), max_size=2
            ),
            "jsonSchema": st.sampled_from([True, {"type": "string"}, "schema.json"]),
            "graphql": st.fixed_dictionaries({}, optional={"operation": st.just("Cart"), "variables": DATA}),
            "jsonRpc": st.fixed_dictionaries({}, optional={"method": st.just("add"), "params": DATA}),
            "python": st.just("handlers.py:name"),
        },
    ),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"not": inner}),
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)}),
    ),
    max_leaves=3,
)
BODIES = st.one_of(
    st.just({}),
    WORDS.map(lambda text: {"body": text}),
    DATA.map(lambda value: {"json": value}),
    st.just({"file": "body.txt"}),
    st.just({"base64": "aGk="}),
)
REPLIES = st.builds(
    lambda head, body: {**head, **body},
    st.fixed_dictionaries(
        {},
        optional={
            "status": st.integers(200, 599),
            "statusMessage": VALUES,
            "headers": HEADERS,
            "trailers": HEADERS,
            "template": st.booleans(),
        },
    ),
    BODIES,
)
REPLACEMENTS = st.lists(
    st.tuples(st.sampled_from(["a", "(b)+", "^$"]), VALUES.map(lambda text: text.replace("\\", "/"))).map(list),
    min_size=1,
    max_size=2,
)
HEADER_CHANGES = st.one_of(
    st.just({}),
    HEADERS.map(lambda headers: {"replaceHeaders": headers}),
    st.fixed_dictionaries(
        {}, optional={"set": HEADERS, "add": HEADERS, "remove": st.sampled_from(["a", ["a", "B"]])}
    ).map(lambda changes: {"headers": changes}),
)
BODY_CHANGES = st.one_of(
    st.just({}),
    WORDS.map(lambda text: {"body": text}),
    DATA.map(lambda value: {"json": value}),
    DATA.map(lambda value: {"mergeJson": value}),
    st.just({"file": "body.txt"}),
    st.just({"patchJson": [{"op": "add", "path": "/a~1b", "value": None}, {"op": "move", "from": "", "path": "/c"}]}),
    REPLACEMENTS.map(lambda pairs: {"matchReplaceBody": pairs}),
)
REQUEST_CHANGES = st.builds(
    lambda *parts: {key: value for part in parts for key, value in part.items()},
    st.fixed_dictionaries(
        {},
        optional={
            "method": st.sampled_from(["PUT", "get"]),
            "protocol": st.sampled_from(["http", "https", "ws", "wss"]),
            "updateHostHeader": st.sampled_from([True, False, "example.com:81"]),
            "matchReplacePath": REPLACEMENTS,
            "matchReplaceQuery": REPLACEMENTS,
        },
    ),
    st.one_of(
        st.just({}),
        st.sampled_from(["a", "[::1]:8"]).map(lambda host: {"host": host}),
        REPLACEMENTS.map(lambda pairs: {"matchReplaceHost": pairs}),
    ),
    HEADER_CHANGES,
    BODY_CHANGES,
)
RESPONSE_CHANGES = st.builds(
    lambda *parts: {key: value for part in parts for key, value in part.items()},
    st.fixed_dictionaries({}, optional={"status": st.integers(200, 599)}),
    HEADER_CHANGES,
    BODY_CHANGES,
)
UPSTREAM = {
    "proxy": st.sampled_from([None, "http://proxy:3128", "socks5h://user:word@proxy", {"pac": "body.txt"}]),
    "noProxy": st.just(["localhost"]),
    "trustedCAs": st.just(["body.txt"]),
    "ignoreTlsErrors": st.sampled_from([True, False, ["a.test"]]),
    "clientCertificates": st.just({"a.test": {"cert": "body.txt", "key": "body.txt", "passphrase": "x"}}),
    "dnsServers": st.just(["127.0.0.1"]),
    "timeouts": st.fixed_dictionaries({}, optional={"connect": DURATIONS, "head": DURATIONS, "bodyIdle": DURATIONS}),
    "simulateConnectionErrors": st.booleans(),
    "http2": st.sampled_from([True, False, "prior-knowledge"]),
}
PASSING = {**UPSTREAM, "request": REQUEST_CHANGES, "response": RESPONSE_CHANGES, "delay": DURATIONS}
PASSING_STEPS = st.one_of(
    st.just("passthrough"),
    st.fixed_dictionaries({"passthrough": st.one_of(st.none(), st.fixed_dictionaries({}, optional=PASSING))}),
    st.fixed_dictionaries(
        {
            "forward": st.fixed_dictionaries(
                {"to": st.sampled_from(["localhost", "http://localhost:3000", "wss://[::1]/", "a:1"])}, optional=PASSING
            )
        }
    ),
)
LAST_STEPS = st.one_of(
    st.fixed_dictionaries({"reply": REPLIES}),
    st.fixed_dictionaries(
        {
            "stream": st.fixed_dictionaries(
                {"chunks": st.lists(st.fixed_dictionaries({"data": WORDS}, optional={"after": DURATIONS}))}
            )
        }
    ),
    st.fixed_dictionaries({"stream": st.fixed_dictionaries({"sse": st.lists(st.fixed_dictionaries({"data": WORDS}))})}),
    st.sampled_from(
        [
            *("close", "reset", "timeout", {"close": None}, {"reset": True}, {"timeout": {}}),
            *(
                {"llm": {"text": "x"}},
                {"jsonRpc": {"result": None}},
                {"jsonRpc": {"error": {"code": -1, "message": "no"}}},
            ),
            *({"malformed": {"raw": "HTTP"}}, {"malformed": {"truncateAfter": "1KiB", "body": "abc"}}),
            {"python": "handlers.py:name"},
        ]
    ),
    PASSING_STEPS,
)
FIRST_STEPS = st.one_of(
    st.fixed_dictionaries({"delay": DURATIONS}),
    st.sampled_from(
        [
            "waitForBody",
            {"delay": {"uniform": ["1ms", "1s"]}},
            {"delay": {"lognormal": {"median": "5ms", "sigma": 0.5}}},
            {"informational": {"status": 103, "headers": {"link": "</a>"}}},
            {"webhook": {"url": "http://localhost:1/x", "events": []}},
        ]
    ),
    st.fixed_dictionaries(
        {"emit": st.fixed_dictionaries({"type": st.just("note")}, optional={"data": st.dictionaries(WORDS, DATA)})}
    ),
)
RULES = st.fixed_dictionaries(
    {
        "then": st.one_of(
            LAST_STEPS,
            st.builds(lambda first, last: [*first, last], st.lists(FIRST_STEPS, max_size=2), LAST_STEPS),
        )
    },
    optional={
        "when": st.one_of(st.none(), WHENS),
        "times": st.one_of(st.sampled_from(["once", "twice", "thrice", "always"]), st.integers(0, 99)),
        "priority": st.one_of(st.just("fallback"), st.integers(-5, 5), st.floats(-5, 5)),
    },
)
RULE_FILES = st.fixed_dictionaries(
    {"rules": st.lists(RULES, max_size=4)},
    optional={
        "version": st.just(1),
        "server": st.fixed_dictionaries(
            {},
            optional={
                "host": st.just("0.0.0.0"),
                "port": st.one_of(st.integers(0, 65535), st.just("8000-8100")),
                "http2": st.booleans(),
                "cors": st.sampled_from([True, False, {"origins": "a", "maxAge": "1h"}]),
                "socks": st.sampled_from([True, False, {"auth": ["no-auth"]}]),
                "passthrough": st.just(["unknown-protocol"]),
                "auth": st.sampled_from([None, "user:password"]),
                "limits": st.just({"head": "64KiB", "connections": 5}),
            },
        ),
        "record": st.fixed_dictionaries(
            {},
            optional={
                "events": st.sampled_from(["default", "all", ["request", "abort"], []]),
                "maxBodySize": st.sampled_from([0, "10MB"]),
                "redact": st.just("none"),
                "callbacks": st.just({"request": "handlers.py:seen"}),
            },
        ),
        "upstream": st.one_of(st.none(), st.fixed_dictionaries({}, optional=UPSTREAM)),
        "unmatched": st.sampled_from(["reject", "passthrough"]),
        "tls": st.fixed_dictionaries(
            {},
            optional={
                "ca": st.just({"cert": "body.txt", "key": "body.txt"}),
                "defaultDomain": st.just("example.test"),
                "keyType": st.sampled_from(["ecdsa", "rsa"]),
                "keyLength": st.integers(1024, 16384),
                "minVersion": st.sampled_from(["TLSv1", "TLSv1.3"]),
                "passthrough": st.just(["*.bank.test"]),
                "keyLogFile": st.sampled_from([None, "keys.log"]),
            },
        ),
    },
)
slow = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], deadline=None)


def as_yaml(value: Any) -> bytes:
    """JSON is YAML, but for surrogate pairs and a few characters that YAML wants escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(one if " " <= one <= "~" else f"\\U{ord(one):08x}" for one in text).encode()


@slow
@given(RULE_FILES)
def test_good_files_load_and_fit_the_schema(file: dict[str, Any]) -> None:
    loaded = load(as_yaml(file))
    assert [error.message for error in CHECKER.iter_errors(file)] == []
    rules = loaded.rule_file.rules
    assert [rule.id for rule in rules] == [f"rule-{position + 1}" for position in range(len(file["rules"]))]
    for rule, given_rule in zip(rules, file["rules"], strict=True):
        then = given_rule["then"]
        assert len(rule.steps) == (len(then) if isinstance(then, list) else 1)
        assert [step.final for step in rule.steps] == [False] * (len(rule.steps) - 1) + [True]
        assert rule.when.given == tuple(given_rule.get("when") or ())


def mappings(value: Any) -> list[dict[str, Any]]:
    """Every mapping whose keys the language knows."""
    found = [value, *([value[name] for name in ("server", "record") if name in value])]
    for rule in value["rules"]:
        found.append(rule)
        then = rule["then"] if isinstance(rule["then"], list) else [rule["then"]]
        found += [step for step in then if isinstance(step, dict)]
        found += [step["reply"] for step in then if isinstance(step, dict) and "reply" in step]
        if rule.get("when"):
            found.append(rule["when"])
    return found


@slow
@given(RULE_FILES, st.data())
def test_an_unknown_key_is_refused_by_loader_and_schema(file: dict[str, Any], data: st.DataObject) -> None:
    data.draw(st.sampled_from(mappings(file)))["nonsense"] = 1
    assert load_or_problems(as_yaml(file)) is None
    assert not CHECKER.is_valid(file)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) at any depth."""
    found = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += [(value, key), *places(inner)]
    return found


@slow
@given(RULE_FILES, st.data())
def test_what_the_loader_accepts_the_schema_accepts(file: dict[str, Any], data: st.DataObject) -> None:
    """So an editor never marks what is right."""
    file = json.loads(json.dumps(file))  # values that the strategies share become separate
    container, key = data.draw(st.sampled_from(places(file)))
    other = data.draw(st.one_of(DATA, st.sampled_from([copy[key] for copy, key in places(file)])))
    if isinstance(other, dict) and container is not other and data.draw(st.booleans()):
        other = {**other}
    container[key] = json.loads(json.dumps(other))
    assume(load_or_problems(as_yaml(file)) is not None)
    assert [error.message for error in CHECKER.iter_errors(file)] == []
