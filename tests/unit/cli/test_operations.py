"""Sessions of protocols with operations, as every command shows them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2

DATA = Path(__file__).parents[2] / "data" / "operations"
Program = Callable[..., Any]


def test_show_lists_names_and_findings(mockrec: Program) -> None:
    lines = mockrec("show", DATA / "graphql.jsonl").lines

    assert lines[0].split() == ["STATUS", "METHOD", "URL", "OPERATION", "DURATION", "RULE", "ID", "NOTE"]
    assert "  query Cart  " in lines[1]
    assert lines[4].endswith("GraphQL error: no cart")
    assert lines[5].endswith("the GraphQL document ends inside a definition")
    assert "  subscription Prices  " in lines[7]


def test_show_assembles_the_answer_of_a_stream(mockrec: Program) -> None:
    listed = [json.loads(line) for line in mockrec("show", DATA / "llm.jsonl", "--as", "json").lines]
    (with_tool,) = [one["id"] for one in listed if one["url"].endswith("/v1/messages")][1:]
    shown = [line.strip() for line in mockrec("show", DATA / "llm.jsonl", with_tool).lines]

    for line in (
        "operation: chat claude-5  (llm)",
        "llm.tokens.output: 15",
        'tool call: get_weather {"city":"Paris"}',
        'text: "Bonjour"',
    ):
        assert line in shown
    assert any(line.startswith("llm.ttft: ") for line in shown)
    assert any(line.startswith("tokens a second: ") for line in shown)


def test_stats_count_a_call_with_an_error_as_failed(mockrec: Program) -> None:
    found = json.loads(mockrec("stats", DATA / "graphql.jsonl", "--json").out)["operations"]
    assert {one["operation"]: one["failed"] for one in found} == {
        "query Cart": 0,
        "mutation AddItem": 0,
        "query {fail}": 1,
        "query Q": 0,
        "subscription Prices": 0,
    }


def test_stats_count_operations_and_tokens(mockrec: Program) -> None:
    found = json.loads(mockrec("stats", DATA / "llm.jsonl", "--json").out)["operations"]
    named = {(one["operation"], one["place"].partition("/")[2]): one for one in found}

    assert named["chat gpt-5", "v1/chat/completions"]["count"] == 3
    assert named["chat gpt-5", "v1/chat/completions"]["tokens"] == {"input": 31, "output": 18}
    text = mockrec("stats", DATA / "graphql.jsonl").out
    assert "subscription Prices" in text
    assert "TOKENS" not in text


@pytest.mark.parametrize("ending", ["jsonl", "parquet", "har"])
@pytest.mark.parametrize(
    ("name", "expression", "count"),
    [
        ("graphql", 'operation == "query Cart"', 2),
        ("graphql", "graphql.error contains cart", 1),
        ("graphql", "graphql.type == subscription", 2),
        ("mcp", 'operation == "tools/call search" and rpc.method == tools/call', 1),
        ("mcp", "mcp.target", 3),
        ("llm", "llm.model == gpt-5-2026 and llm.tokens.output > 5", 2),
        ("llm", "llm.ttft > 50ms", 5),
        ("llm", "llm.tool == get_weather", 2),
        ("llm", "operation.protocol == llm", 6),
    ],
)
def test_filters_give_the_same_in_all_formats(
    mockrec: Program, tmp_path: Path, ending: str, name: str, expression: str, count: int
) -> None:
    session = tmp_path / f"s.{ending}"
    assert mockrec("filter", DATA / f"{name}.jsonl", "-o", session).code == 0
    assert mockrec("filter", session, expression, "--count").out.strip() == str(count)


def test_a_har_has_the_operation_and_loses_nothing(mockrec: Program, tmp_path: Path) -> None:
    har, back = tmp_path / "s.har", tmp_path / "s.jsonl"
    assert mockrec("filter", DATA / "mcp.jsonl", "-o", har).code == 0
    entries = json.loads(har.read_text(encoding="utf-8"))["log"]["entries"]
    assert entries[0]["_operation"] == {"protocol": "mcp", "name": "initialize"}
    assert mockrec("filter", har, "-o", back).code == 0
    assert parsed(back) == parsed(DATA / "mcp.jsonl")


def parsed(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_diff_pairs_within_an_operation(mockrec: Program, tmp_path: Path) -> None:
    """The calls of B come in another order, and one of them has another answer."""
    a, b = tmp_path / "a.jsonl", tmp_path / "b.jsonl"

    def session(path: Path, answers: dict[str, int]) -> None:
        lines: list[dict[str, Any]] = []
        for number, (name, total) in enumerate(answers.items()):
            head = {"id": f"01890a5d-ac96-774b-bcce-b30209{number:06d}", "connectionId": "c"}
            asked = json.dumps({"query": f"query {name} {{ total }}", "variables": {"at": total}})
            told = json.dumps({"data": {"total": total}})
            url = "http://x.test/graphql"
            fields = {"method": "POST", "url": url, "path": "/graphql", "headers": {"content-type": "application/json"}}
            lines.append({"type": "request", **head, **fields, "body": {"size": len(asked), "text": asked}})
            body = {"size": len(told), "text": told}
            lines.append({"type": "response", **head, **fields, "statusCode": 200, "body": body, "duration": 1.0})
        written = [{"seq": seq, "timestamp": "2024-01-01T00:00:00.000000Z", **one} for seq, one in enumerate(lines)]
        path.write_text("".join(json.dumps(one) + "\n" for one in written), encoding="utf-8")

    session(a, {"Cart": 1, "User": 2, "Order": 3})
    session(b, {"Order": 30, "User": 2, "Cart": 1})
    done = mockrec("diff", a, b, "--as", "json")
    (found,) = json.loads(done.out)["differences"]

    assert found["endpoint"] == "POST x.test/graphql query Order"
    assert (found["a"], found["b"]) == (3, 30)


@pytest.fixture(name="descriptors")
def _descriptors(tmp_path: Path) -> Path:
    """The descriptors of the method a.B/C, whose messages have one field."""
    set_of_one = descriptor_pb2.FileDescriptorSet()
    file = set_of_one.file.add(name="a.proto", package="a", syntax="proto3")
    file.message_type.add(name="Item").field.add(name="sku", number=1, type=9, label=1, json_name="sku")
    file.service.add(name="B").method.add(name="C", input_type=".a.Item", output_type=".a.Item")
    path = tmp_path / "a.pb"
    path.write_bytes(set_of_one.SerializeToString())
    return path


def test_diff_takes_descriptors_for_sessions_without_them(
    mockrec: Program, record_of: Callable[[str], dict[str, Any]], descriptors: Path, tmp_path: Path
) -> None:
    for name in ("x1", "x2"):
        response = {
            **record_of("response"),
            "url": "http://a.test/a.B/C",
            "headers": {"content-type": "application/grpc"},
            "body": {"size": 9, "text": f"\0\0\0\0\x04\n\x02{name}"},
        }
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(f"{json.dumps(one)}\n" for one in (record_of("session-started"), response)))
    compared = ("diff", tmp_path / "x1.jsonl", tmp_path / "x2.jsonl", "--as", "json")
    (plain,) = json.loads(mockrec(*compared).out)["differences"]
    (named,) = json.loads(mockrec(*compared, "--protobuf", descriptors).out)["differences"]
    assert plain["path"] == "response.message[0].json:$['1']"
    assert named["path"] == "response.message[0].json:$.sku"
    assert (named["a"], named["b"]) == ("x1", "x2")


def test_show_takes_descriptors_for_a_session_without_them(
    mockrec: Program, record_of: Callable[[str], dict[str, Any]], descriptors: Path, tmp_path: Path
) -> None:
    request = {
        **record_of("request"),
        "url": "http://a.test/a.B/C",
        "headers": {"content-type": "application/grpc"},
        "body": {"size": 9, "text": "\0\0\0\0\x04\n\x02x1"},
    }
    session = tmp_path / "s.jsonl"
    session.write_text("".join(f"{json.dumps(one)}\n" for one in (record_of("session-started"), request)))
    plain = mockrec("show", session, request["id"]).out
    assert 'message 0: {"1": "x1"}' in plain
    named = mockrec("show", session, request["id"], "--protobuf", descriptors).out
    assert 'message 0: {"sku": "x1"}' in named
    missing = mockrec("show", session, "--protobuf", tmp_path / "none.pb")
    assert missing.code == 2
    assert "none.pb: No such file" in missing.err.replace("\n", "")
