"""Whole answers: from the rule file, from a template, from a file."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from mockrec.engine.rules.model import BodySource, Reply, SourceLocation
from mockrec.engine.rules.templates.template import TemplateError
from mockrec.engine.steps.reply import body_bytes, headers_of, json_bytes, reply_handler, responder
from mockrec.engine.steps.template_scope import TemplateScopes

pytestmark = pytest.mark.anyio

PLACE = SourceLocation("rules.yaml", 4, 3, "rules[0].then.reply")
JSON = ("Content-Type", "application/json")
CHUNKED = ("Transfer-Encoding", "chunked")
MIB = 1024 * 1024


def from_file(path: Path, **more: Any) -> Reply:
    return Reply(PLACE, body=BodySource(file=str(path)), **more)


# ── fixed answers ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "body", "headers"),
    [
        ("{}", b"", []),
        ("{body: Hellö}", "Hellö".encode(), []),
        ("{json: {b: [1, null], a: ö}}", '{"b":[1,null],"a":"ö"}'.encode(), [JSON]),
        ("{json: 1, headers: {content-TYPE: text/json}}", b"1", [("content-TYPE", "text/json")]),
        ("{base64: AAH/}", b"\x00\x01\xff", []),
        ("{body: '{{ 1 }}', headers: {X: '{{ 2 }}'}}", b"{{ 1 }}", [("X", "{{ 2 }}")]),
    ],
)
async def test_the_body_is_what_the_rule_says(
    stage: Any, steps: Any, text: str, body: bytes, headers: list[tuple[str, str]]
) -> None:
    await steps.run(stage, f"reply: {text}")
    assert stage.channel.done == [("whole", 200, [*headers, ("Content-Length", str(len(body)))], body, ())]
    assert stage.log.types[-1] == "response"


async def test_status_reason_headers_and_trailers_are_the_rules(stage: Any, steps: Any) -> None:
    await steps.run(stage, "reply: {status: 418, statusMessage: Tea, headers: {X: [a, b]}, trailers: {Sum: 1}}")
    assert stage.channel.done == [("whole", 418, [("X", "a"), ("X", "b"), CHUNKED], b"", (("Sum", "1"),))]
    record = stage.log.only("response")
    assert (record["statusCode"], record["statusMessage"]) == (418, "Tea")
    assert record["rawTrailers"] == [["Sum", "1"]]


@pytest.mark.parametrize(("start", "status"), [("HEAD /", 200), ("GET /", 204), ("GET /", 304)])
async def test_some_answers_have_no_body(stage: Any, steps: Any, start: str, status: int) -> None:
    await steps.run(stage, f"reply: {{status: {status}, body: hello, trailers: {{X: y}}}}", start)
    (sent,) = stage.channel.done
    assert (sent[3], sent[4]) == (b"", ())
    record = stage.log.only("response")
    assert record["body"] == {"size": 0, "text": ""}
    assert "trailers" not in record


async def test_a_reply_does_not_wait_for_the_request(stage: Any, steps: Any) -> None:
    await steps.run(stage, "reply: {}", "POST /", ("Content-Length", "5"), complete=False)
    assert [sent[0] for sent in stage.channel.done] == ["whole"]


def test_json_is_compact_and_keeps_any_text() -> None:
    assert json_bytes({"a": [1, "ö"]}) == '{"a":[1,"ö"]}'.encode()
    assert json_bytes("\ud800") == b'"\xed\xa0\x80"'


def test_json_null_is_a_body() -> None:
    assert body_bytes(BodySource(is_json=True)) == b"null"
    assert body_bytes(BodySource()) == b""
    assert body_bytes(BodySource(data=b"\xff")) == b"\xff"
    assert headers_of(Reply(PLACE, body=BodySource(is_json=True))) == (JSON,)


# ── templates ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_template_fills_body_headers_and_trailers(stage: Any, steps: Any) -> None:
    text = """reply:
  template: true
  headers: {X: "{{ request.method }}"}
  trailers: {Y: "{{ count }}"}
  body: "{{ request.query.name }}!"
"""
    await steps.run(stage, text, "GET /?name=Ada")
    assert stage.channel.done == [("whole", 200, [("X", "GET"), CHUNKED], b"Ada!", (("Y", "1"),))]


async def test_templates_in_json_give_texts(stage: Any, steps: Any) -> None:
    await steps.run(stage, "reply: {template: true, json: {n: '{{ 1 + 1 }}', m: 3}}")
    assert json.loads(stage.channel.done[0][3]) == {"n": "2", "m": 3}
    assert JSON in stage.channel.done[0][2]


async def test_base64_is_no_template(stage: Any, steps: Any) -> None:
    await steps.run(stage, "reply: {template: true, base64: e3sgMSB9fQ==, headers: {X: '{{ 1 }}'}}")
    assert stage.channel.done[0][3] == b"{{ 1 }}"
    assert stage.channel.done[0][2][0] == ("X", "1")


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ("{template: true, body: '{{ request.query.none }}'}", "none"),
        ("{template: true, body: x, headers: {X: '{{ request.json }}'}}", ""),
        ("{template: true, headers: {X: \"{{ 'a\\\\nb' }}\"}}", ""),
    ],
)
async def test_a_template_that_fails_is_a_500_that_says_where(stage: Any, steps: Any, reply: str, message: str) -> None:
    await steps.run(stage, f"reply: {reply}", "POST /", body=b"no json")
    ((_, status, _, body, _),) = stage.channel.done
    assert status == 500
    text = body.decode()
    assert text.startswith("rule it (rules.yaml:3): the template in rules.yaml:5:")
    event = stage.log.only("rule-event")
    assert (event["eventType"], event["ruleId"]) == ("template-error", "it")
    assert event["eventData"]["file"] == "rules.yaml"
    assert event["eventData"]["line"] == 5
    assert message in event["eventData"]["message"]
    assert event["eventData"]["message"] in text


async def test_the_answer_of_another_step_is_whole(stage: Any, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"from the file")
    exchange = stage.exchange()
    contexts = TemplateScopes(random.Random(1))
    assert (await responder(Reply(PLACE, body=BodySource(text="a")), contexts)(exchange)).body == b"a"
    assert (await responder(from_file(tmp_path / "body"), contexts)(exchange)).body == b"from the file"
    template = Reply(PLACE, body=BodySource(text="{{ request.method }}"), template=True)
    assert (await responder(template, contexts)(exchange)).body == b"GET"
    with pytest.raises(OSError, match="No such file"):
        await responder(from_file(tmp_path / "none"), contexts)(exchange)
    wrong = Reply(PLACE, body=BodySource(text="{{ request.params.id }}"), template=True)
    with pytest.raises(TemplateError):
        await responder(wrong, contexts)(exchange)


# ── files ──────────────────────────────────────────────────────────────────────────────────────────


async def test_a_file_is_read_for_every_answer(stage: Any, tmp_path: Path) -> None:
    path = tmp_path / "body"
    act = reply_handler(from_file(path, status=201, headers=(("X", "y"),)), TemplateScopes(random.Random(1)))
    for content in (b"one", b"three"):
        path.write_bytes(content)
        await stage.act(act)
    assert stage.channel.done == [
        ("whole", 201, [("X", "y"), ("Content-Length", "3")], b"one", ()),
        ("whole", 201, [("X", "y"), ("Content-Length", "5")], b"three", ()),
    ]


async def test_a_file_that_cannot_be_read_is_a_500(stage: Any, tmp_path: Path) -> None:
    await stage.act(reply_handler(from_file(tmp_path / "none"), TemplateScopes(random.Random(1))))
    ((_, status, _, body, _),) = stage.channel.done
    assert status == 500
    assert body.decode() == f"cannot read {tmp_path / 'none'}: No such file or directory\n"


@pytest.mark.parametrize("extra", [0, 1, 64 * 1024, MIB])
async def test_a_large_file_goes_out_in_pieces(stage: Any, tmp_path: Path, extra: int) -> None:
    content = random.Random(2).randbytes(64 * 1024 + extra)
    (tmp_path / "body").write_bytes(content)
    await stage.act(reply_handler(from_file(tmp_path / "body"), TemplateScopes(random.Random(1))))
    first, *rest = stage.channel.done
    if not extra:
        assert (first[0], first[3]) == ("whole", content)
        return
    assert first == ("head", 200, [("Content-Length", str(len(content)))])
    assert rest.pop() == ("end", ())
    assert b"".join(data for _, data in rest) == content
    assert all(kind == "data" and len(data) <= 64 * 1024 + 1 for kind, data in rest)
    body = stage.log.only("response")["body"]
    assert (body["size"], body["truncated"]) == (len(content), True)


async def test_a_file_that_grows_or_shrinks_while_it_is_sent(stage: Any, tmp_path: Path) -> None:
    path = tmp_path / "body"

    class Meddler:
        """Changes the file as soon as its head is sent."""

        def __init__(self, change: Any) -> None:
            self.change = change

        async def __call__(self, head: Any) -> None:
            stage.channel.done.append(("head", head.status))
            self.change()

    act = reply_handler(from_file(path), TemplateScopes(random.Random(1)))
    path.write_bytes(bytes(2 * MIB))
    stage.channel.send_head = Meddler(lambda: path.open("ab").close() or path.write_bytes(bytes(3 * MIB)))
    await stage.act(act)
    assert sum(len(sent[1]) for sent in stage.channel.done if sent[0] == "data") == 2 * MIB
    assert stage.log.only("response")["body"]["size"] == 2 * MIB

    stage.channel.done.clear()
    path.write_bytes(bytes(2 * MIB))
    stage.channel.send_head = Meddler(lambda: path.write_bytes(bytes(10)))
    await stage.act(act)
    assert stage.channel.done[-1] == ("close",)
    abort = stage.log.only("abort")
    assert abort["error"]["code"] == "E_RULE_FILE"
    assert abort["error"]["message"].endswith("became shorter")


async def test_headers_beside_a_file_may_be_templates(stage: Any, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"{{ 1 }}")
    step = from_file(tmp_path / "body", headers=(("X", "{{ request.method }}"),), template=True)
    await stage.act(reply_handler(step, TemplateScopes(random.Random(1))))
    assert stage.channel.done == [("whole", 200, [("X", "GET"), ("Content-Length", "7")], b"{{ 1 }}", ())]


@pytest.mark.parametrize("size", [7, MIB + 1])
@pytest.mark.parametrize("value", ["{{ request.query.none }}", "{{ 'a\nb' }}"])
async def test_headers_beside_a_file_that_cannot_be_rendered(stage: Any, tmp_path: Path, value: str, size: int) -> None:
    (tmp_path / "body").write_bytes(bytes(size))
    step = from_file(tmp_path / "body", headers=(("X", value),), template=True)
    await stage.act(reply_handler(step, TemplateScopes(random.Random(1))))
    assert [sent[:2] for sent in stage.channel.done] == [("whole", 500)]
    assert b"the template in rules.yaml:4:3 failed" in stage.channel.done[0][3]
