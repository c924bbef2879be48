"""Tokens that are recognised without a name: a sample of every kind is found in every place, and none in ordinary text."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import random
import re
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote

import pytest
import token_samples

from mockrec.engine.redaction import tokens as redact_tokens
from mockrec.engine.redaction.patterns import Patterns
from mockrec.engine.redaction.placeholders import Placeholders
from mockrec.engine.redaction.policy import Policy
from mockrec.engine.redaction.redactor import Redactor
from mockrec.formats.files.jsonl import encode_lines

SAMPLES = token_samples.every_sample(1)
KEYS = token_samples.private_keys(1)
TOKENS = redact_tokens.Tokens()
REDACTOR = Redactor(Policy(), Placeholders(b"k"))


def body(content_type: str, form: Callable[[str], str]) -> Callable[[str], bytes]:
    return lambda token: REDACTOR.body(form(token).encode(), content_type, "request", None)


def record(**fields: Callable[[str], Any]) -> Callable[[str], bytes]:
    def redacted(token: str) -> bytes:
        given = {"type": "request", "id": "1", **{key: form(token) for key, form in fields.items()}}
        return encode_lines((REDACTOR.record(given),))

    return redacted


MULTIPART = 'multipart/form-data; boundary="x"'
PLACES: dict[str, Callable[[str], bytes]] = {
    "JSON value": body("application/json", lambda token: json.dumps({"a": token, "n": 1})),
    "JSON key": body("application/json", lambda token: json.dumps({token: 1})),
    "JSON list": body("application/json", lambda token: json.dumps(["a", token])),
    "JSON in JSON": body("application/json", lambda token: json.dumps({"a": json.dumps({"b": f"x\n{token}"})})),
    "JSON with escapes": body("application/json", lambda token: json.dumps({"a": f"a\n{token}\t"}).replace("/", "\\/")),
    "form": body("application/x-www-form-urlencoded", lambda token: f"a=1&b={quote_plus(token)}&c=2"),
    "text": body("text/plain", lambda token: f"your key is {token}, keep it"),
    "text in quotes": body("text/plain", lambda token: f"key='{token}'."),
    "HTML": body("text/html", lambda token: f"<p title=\"{token}\">x</p><script>var a='{token}';</script><b>{token}</b>"),
    "XML": body("application/xml", lambda token: f"<a><b>{token}</b><c d='{token}'/></a>"),
    "YAML": body("application/yaml", lambda token: f"a:\n  - b: {token}\n  - c\n"),
    "CSV": body("text/csv", lambda token: f"a,b\n1,{token}\n2,{token},3\n"),
    "multipart": body(MULTIPART, lambda token: f'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n{token}\r\n--x--\r\n'),
    "events": body("text/event-stream", lambda token: f"event: a\ndata: {token}\n\n"),
    "URL in a query": body("text/plain", lambda token: f"/next?to={quote('https://x/?a=' + token + '&b=c', safe='')}"),
    "path": record(url=lambda token: f"https://h/a/{quote(token)}/b", path=lambda token: f"/a/{quote(token)}/b"),
    "query": record(url=lambda token: f"https://h/a?x={quote(token, safe='')}&y=1#z"),
    "header": record(headers=lambda token: {"x-thing": token}, rawHeaders=lambda token: [["X-Thing", token]]),
    "header list": record(headers=lambda token: {"x-thing": ["a", f"k={token}; q=1"]}),
    "trailer": record(trailers=lambda token: {"x-end": token}, rawTrailers=lambda token: [["X-End", token]]),
    "cookie": record(headers=lambda token: {"cookie": f"theme={token}; a=b"}),
    "error": record(error=lambda token: {"message": f"cannot log in with {token}: 401"}),
    "tags": record(tags=lambda token: [f"k:{token}"]),
    "command": record(command=lambda token: ["curl", f"-Hx: {token}", token]),
    "message": record(content=lambda token: {"size": len(token), "text": f'{{"k":"{token}"}}'}),
}  # fmt: skip


def forms(data: bytes) -> list[str]:
    """Return a text as it is, and with the escapes decoded that could hide a token."""
    text = data.decode("utf-8", "replace")
    plain = text.replace("\\/", "/")
    return [plain, unquote(plain), html.unescape(plain), plain.replace("\\\\", "\\").replace("\\n", "\n")]


def core(token: str) -> str:
    """Return the end of a token, which nothing else contains: a part of a token that stays is a leak too."""
    return token[-10:]


@pytest.mark.parametrize("place", PLACES)
def test_no_token_stays(place: str) -> None:
    left = [kind for kind, token in SAMPLES if any(core(token) in form for form in forms(PLACES[place](token)))]
    assert left == []


@pytest.mark.parametrize(("kind", "key"), KEYS, ids=[kind for kind, _ in KEYS])
@pytest.mark.parametrize("cut", [False, True])
def test_no_private_key_stays(kind: str, key: str, cut: bool) -> None:
    given = key[: len(key) // 2] if cut else key
    lines = [line for line in given.split("\n")[1:] if line and "-----" not in line]
    program = " + \n".join(f'"{line}\\n"' for line in key.splitlines())
    texts = [
        PLACES["JSON value"](given), PLACES["form"](given), PLACES["text"](given), PLACES["YAML"](given),
        *([] if cut else [body("text/plain", lambda _: program)("")]),
    ]  # fmt: skip
    for data in texts:
        assert [line for line in lines for form in forms(data) if line in form] == [], (kind, data)


def test_what_follows_a_key_stays() -> None:
    key = KEYS[0][1]
    text = json.dumps({"key": key, "name": "Ada"})
    redacted = body("application/json", lambda _: text)("")
    assert json.loads(redacted)["name"] == "Ada"
    cut = json.dumps({"key": key[:100], "name": "Ada"})
    assert json.loads(body("application/json", lambda _: cut)(""))["name"] == "Ada"


def test_every_rule_of_gitleaks_is_taken_or_left_out_for_a_reason() -> None:
    rules = json.loads(token_samples.GITLEAKS.read_text(encoding="utf-8"))["rules"]
    assert len(rules) > 200
    assert sum(bool(rule["shapes"]) for rule in rules) >= 120
    assert [rule["id"] for rule in rules if not rule["shapes"] and not rule["leftOut"]] == []


def test_every_expression_begins_as_it_says() -> None:
    """A token is searched only if its beginning was found."""
    anything = Patterns().any
    assert [kind for kind, token in SAMPLES if not anything.search(token.encode())] == []
    assert [kind for kind, token in SAMPLES if not anything.search(f"a%3D{token}\\n".encode())] == []


# ── recognised by the text around it ───────────────────────────────────────────────────────────────


def found(text: str) -> list[str]:
    data = text.encode()
    return [data[span.start() : span.end()].decode() for span in TOKENS.finditer(data)]


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        ("/cb?code=SplxlOBe&state=af0ifj", ["SplxlOBe"]),
        ("/cb?state=af0ifj&code=SplxlOBe#x", ["SplxlOBe"]),
        ("grant_type=authorization_code&code=4%2F0AX4&redirect_uri=x", ["4%2F0AX4"]),
        ("code=abc&code_verifier=dBjftJeZ&client_id=x", ["abc"]),
        ("code=abc&a=1&code=def&grant_type=x", ["abc", "def"]),
        ('{"u":"/cb?code=abc\\u0026state=x"}', ["abc"]),
        ('<a href="/cb?state=x&amp;code=abc">', ["abc"]),
        ("/a?code=DE&country=1", []),
        ("/a?country_code=DE&state=BY", []),
        ("/a?zip_code=1&state=CA", []),
        ("/a?code=1 /b?state=2", []),
        ('{"code": "E404", "state": "open"}', []),
        ("status code=5, state=x", []),
        ("/shop;jsessionid=0123456789ABCDEF?a=1", ["0123456789ABCDEF"]),
        ("base64url.bearer.authorization.k8s.io.ZXhhbXBsZQ, v4", ["ZXhhbXBsZQ"]),
    ],
)
def test_recognised_by_the_text_around_it(text: str, secrets: list[str]) -> None:
    assert found(text) == secrets


def test_webhooks() -> None:
    chance = random.Random(5)

    def of(length: int) -> str:
        return "".join(chance.choice("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789") for _ in range(length))

    slack, discord = f"T{of(8)}/B{of(10)}/{of(24)}", of(68)
    assert found(f"/services/{slack}") == [slack]
    assert found(f"https://hooks.slack.com/services/{slack} x") == [slack]
    assert found(f"/api/webhooks/123456789012345678/{discord}?wait=true") == [discord]


# ── no secrets ─────────────────────────────────────────────────────────────────────────────────────


def ordinary() -> list[bytes]:
    """Return common contents of traffic that look like tokens."""
    chance = random.Random(7)
    raw = chance.randbytes(60_000)
    digests = [hashlib.new(name, raw[at : at + 9]) for at in range(300) for name in ("md5", "sha1", "sha256", "sha512")]
    hashes = "\n".join(digest.hexdigest() for digest in digests)
    integrity = "\n".join(f"sha512-{base64.b64encode(digest.digest()).decode()}" for digest in digests)
    ids = "\n".join(str(uuid.UUID(int=chance.getrandbits(128))) for _ in range(2000))
    objects = "\n".join(
        f'"_id":"{chance.getrandbits(96):024x}","etag":"W/\\"{chance.getrandbits(64):x}\\""' for _ in range(2000)
    )
    traces = "\n".join(f"00-{chance.getrandbits(128):032x}-{chance.getrandbits(64):016x}-01" for _ in range(2000))
    nonces = "\n".join(f"script-src 'nonce-{base64.b64encode(chance.randbytes(16)).decode()}'" for _ in range(2000))
    assets = "\n".join(
        f"/static/js/main.{chance.getrandbits(32):08x}.chunk.js?v={chance.getrandbits(40):x}" for _ in range(2000)
    )
    names = "\n".join(
        f"sk-fading-circle-{n} task-list-item-{n} test_{n}_of_a_long_name pathToBezierCurves{n} ext_suffix.{n}.so"
        for n in range(300)
    )
    images = (
        base64.b64encode(b"\x89PNG\r\n\x1a\n" + raw)
        + b"\n"
        + base64.b64encode(b"\0" * 30_000)
        + base64.b64encode(b"\x10\0\0\0" * 9000)
    )
    urlsafe = base64.urlsafe_b64encode(raw)
    return [*(text.encode() for text in (hashes, integrity, ids, objects, traces, nonces, assets, names)), images, urlsafe, raw]  # fmt: skip


def test_ordinary_text_holds_none() -> None:
    for data in ordinary():
        assert [data[span.start() : span.end()] for span in TOKENS.finditer(data)] == []


def test_recordings_of_real_sites_hold_none() -> None:
    """In HAR files of other tools, and in the sources of the standard library."""
    files = [*Path(token_samples.__file__).parents[1].joinpath("data", "har").rglob("*"), *Path(json.__file__).parent.parent.glob("*.py")]  # fmt: skip
    known = re.compile(rb"EXAMPLE|-----BEGIN")  # documentation
    seen = 0
    for file in files:
        if file.is_file():
            data = file.read_bytes()
            seen += len(data)
            hits = [data[span.start() : span.end()] for span in TOKENS.finditer(data)]
            assert [hit for hit in hits if not known.search(hit)] == [], file
    assert seen > 1_000_000


# ── time ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "unit",
    ["eyJ", "eyJaaaaa.", "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----x-----END", "code=", "code=a&state=", "state=",
     "SG.", "sk-", "AKIA", "xoxb-1", "0123456789abcdef", "sc_aaaaaaaaaa.", "sntrys_eyJpYXQiO", "1:A", "a" * 50 + "AZDO", "Q~", "ZXlK",
     "ghp_" + "a" * 20 + " ", "/services/T0000000/B", "access_token$", ";jsessionid=", "hooks.slack.com/services/"],
)  # fmt: skip
def test_the_time_grows_with_the_length(unit: str) -> None:
    def cost(length: int) -> float:
        data = (unit * (length // len(unit) + 1)).encode()
        before = time.process_time()
        list(TOKENS.finditer(data))
        return time.process_time() - before

    cost(1000)
    short, long = cost(100_000), min(cost(800_000) for _ in range(2))
    assert long < 40 * short + 0.3, (short, long)  # 64 times as much if it were quadratic
