"""gRPC with grpcio's client and server: every kind of call recorded, served with the server stopped, and compared."""

from __future__ import annotations

import json
import queue
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2
from programs import RunProgram
from recorders import StartRecorder
from serving import Serving, serve

from mockrec.formats.operations.grpc.wire_format import decode_fields, encode_fields

__all__ = ["serve"]

SERVICE = "shop.v1.Cart"
Serve = Callable[..., Serving]


def item(sku: str, count: int = 0) -> bytes:
    return encode_fields({1: sku, 2: count})


def fields(data: bytes) -> list[Any]:
    return list(decode_fields(data).values())


# ── the server ─────────────────────────────────────────────────────────────────────────────────────


def add_item(request: bytes, context: grpc.ServicerContext) -> bytes:
    sku, count = fields(request)
    if sku == "none":
        context.abort(grpc.StatusCode.NOT_FOUND, "no such item: ü %")
    context.send_initial_metadata((("x-begin", "b1"),))
    context.set_trailing_metadata((("x-trail", "t1"), ("raw-bin", b"\x00\xff")))
    return item(f"added {sku}", count + 1)


def watch(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
    sku, count = fields(request)
    yield from (item(sku, number) for number in range(1, count + 1))
    if sku == "forever":
        left = futures.Future[None]()
        context.add_callback(lambda: left.set_result(None))
        left.result(60)


def upload(requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
    return item("all", sum(fields(request)[1] for request in requests))


def chat(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
    for request in requests:
        sku, count = fields(request)
        yield item(f"re {sku}", count)
        if count % 2:
            yield item(f"more {sku}", count)


@pytest.fixture
def server() -> Iterator[tuple[grpc.Server, int]]:
    """A server of the four kinds of calls, and its port."""
    handlers = {
        "AddItem": grpc.unary_unary_rpc_method_handler(add_item),
        "Watch": grpc.unary_stream_rpc_method_handler(watch),
        "Upload": grpc.stream_unary_rpc_method_handler(upload),
        "Chat": grpc.stream_stream_rpc_method_handler(chat),
    }
    made = grpc.server(futures.ThreadPoolExecutor(8), compression=grpc.Compression.Gzip)
    made.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = made.add_insecure_port("127.0.0.1:0")
    made.start()
    yield made, port
    made.stop(None).wait()


# ── the client ─────────────────────────────────────────────────────────────────────────────────────

OPTIONS = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except grpc.RpcError as error:
        return error.code().name, error.details()


def all_calls(port: int, compression: grpc.Compression | None = None) -> dict[str, Any]:
    """Make a call of each kind; return what the client has seen."""
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=OPTIONS, compression=compression) as channel:

        def unary() -> Any:
            reply, call = channel.unary_unary(f"/{SERVICE}/AddItem").with_call(
                item("x1", 2), metadata=(("x-md", "v"),), timeout=60
            )
            begin, end = call.initial_metadata(), call.trailing_metadata()
            return fields(reply), [tuple(pair) for pair in begin], sorted(tuple(pair) for pair in end)

        def talk() -> list[Any]:
            said: queue.Queue[bytes | None] = queue.Queue()
            answers = channel.stream_stream(f"/{SERVICE}/Chat")(iter(said.get, None), timeout=60)
            heard = []
            for number in range(1, 4):
                said.put(item(f"s{number}", number))
                heard += [fields(next(answers)) for _ in range(1 + number % 2)]
            said.put(None)
            return heard + [fields(answer) for answer in answers]

        def leave() -> Any:
            answers = channel.unary_stream(f"/{SERVICE}/Watch")(item("forever", 2), timeout=60)
            heard = [fields(next(answers)), fields(next(answers))]
            answers.cancel()
            return heard

        return {
            "unary": outcome(unary),
            "error": outcome(lambda: channel.unary_unary(f"/{SERVICE}/AddItem")(item("none"), timeout=60)),
            "watch": [fields(one) for one in channel.unary_stream(f"/{SERVICE}/Watch")(item("w", 3), timeout=60)],
            "upload": fields(
                channel.stream_unary(f"/{SERVICE}/Upload")(iter([item("a", 1), item("b", 2)]), timeout=60)
            ),
            "chat": outcome(talk),
            "cancel": outcome(leave),
            "unknown": outcome(lambda: channel.unary_unary(f"/{SERVICE}/Nope")(b"", timeout=60)),
        }


def descriptor_set() -> bytes:
    files = descriptor_pb2.FileDescriptorSet()
    file = files.file.add(name="cart.proto", package="shop.v1", syntax="proto3")
    message = file.message_type.add(name="Item")
    message.field.add(name="sku", number=1, type=9, label=1, json_name="sku")
    message.field.add(name="unit_count", number=2, type=5, label=1, json_name="unitCount")
    service = file.service.add(name="Cart")
    for name in ("AddItem", "Watch", "Upload", "Chat"):
        service.method.add(name=name, input_type=".shop.v1.Item", output_type=".shop.v1.Item")
    return files.SerializeToString()


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip])
def test_calls_are_recorded_served_and_compared(
    server: tuple[grpc.Server, int],
    recorder: StartRecorder,
    serve: Serve,
    program: RunProgram,
    tmp_path: Path,
    compression: grpc.Compression | None,
) -> None:
    origin, port = server
    (tmp_path / "shop.pb").write_bytes(descriptor_set())
    running = recorder("version: 1\nrecord: {protobuf: shop.pb}\n", "--upstream", f"http://127.0.0.1:{port}")
    seen = all_calls(running.port, compression)
    assert seen["unary"] == (["added x1", 3], [("x-begin", "b1")], [("raw-bin", b"\x00\xff"), ("x-trail", "t1")])
    assert seen["error"] == ("NOT_FOUND", "no such item: ü %")
    assert seen["watch"] == [["w", 1], ["w", 2], ["w", 3]]
    assert [one[0] for one in seen["chat"]] == ["re s1", "more s1", "re s2", "re s3", "more s3"]
    assert seen["unknown"][0] == "UNIMPLEMENTED"
    session = running.stop()
    assert session.audit() == []

    requests = {record["path"]: record for record in session.by_type("request")}
    chat_id = requests[f"/{SERVICE}/Chat"]["id"]
    course = [
        (record["type"].removeprefix("grpc-message-"), record["message"])
        for record in session.of(chat_id)
        if record["type"].startswith("grpc-message-")
    ]
    assert course[:3] == [
        ("received", {"sku": "s1", "unitCount": 1}),
        ("sent", {"sku": "re s1", "unitCount": 1}),
        ("sent", {"sku": "more s1", "unitCount": 1}),
    ]
    assert requests[f"/{SERVICE}/Chat"]["operation"] == {"protocol": "grpc"}
    shown = program("show", session.path, chat_id).stdout
    assert 'message 0: {"sku": "s1", "unitCount": 1}' in shown
    names = program("filter", session.path, "grpc.status == NOT_FOUND", "--fields", "operation,grpc.message").stdout
    assert f"{SERVICE}/AddItem" in names
    assert "no such item: ü %" in names

    origin.stop(None).wait()
    served = serve(session.path)
    assert all_calls(served.port, compression) == seen
    code, warnings = served.stop()
    assert code == 0, warnings
    compared = program("diff", session.path, served.log)
    assert compared.returncode == 0, compared.stdout


def test_a_client_that_deviates_is_told(server: tuple[grpc.Server, int], recorder: StartRecorder, serve: Serve) -> None:
    running = recorder(None, "--upstream", f"http://127.0.0.1:{server[1]}")
    all_calls(running.port)
    session = running.stop()
    served = serve(session.path)
    with grpc.insecure_channel(f"127.0.0.1:{served.port}", options=OPTIONS) as channel:
        missed = outcome(lambda: channel.unary_unary(f"/{SERVICE}/AddItem")(item("other"), timeout=60))
        early = outcome(lambda: [*channel.stream_stream(f"/{SERVICE}/Chat")(iter([item("s1", 1)]), timeout=60)])
    assert missed[0] == "UNIMPLEMENTED"
    assert "No recording answers this request" in missed[1]
    assert early == ("ABORTED", "the recording goes on with 1 more messages of the client")
    _, warnings = served.stop()
    assert "the client has ended its request before message 2" in warnings


RULES = f"""\
version: 1
record: {{protobuf: shop.pb}}
rules:
  - when: {{grpc: {{method: {SERVICE}/AddItem, message: {{sku: x1}}}}}}
    then: {{grpc: {{message: {{sku: mocked, unit_count: 7}}, trailers: {{x-trail: t1}}}}}}
  - when: {{grpc: {{method: {SERVICE}/AddItem}}}}
    then: {{grpc: {{status: NOT_FOUND, statusMessage: "no such item: ü %"}}}}
  - when: {{grpc: {{method: {SERVICE}/Chat, message: {{sku: s1}}}}}}
    then: {{grpc: {{messages: [{{sku: a}}, {{sku: b}}], status: DATA_LOSS}}}}
"""


def test_rules_answer_calls(recorder: StartRecorder, tmp_path: Path) -> None:
    (tmp_path / "shop.pb").write_bytes(descriptor_set())
    running = recorder(RULES)
    with grpc.insecure_channel(f"127.0.0.1:{running.port}", options=OPTIONS) as channel:
        add = channel.unary_unary(f"/{SERVICE}/AddItem")
        reply, call = add.with_call(item("x1"), timeout=60)
        assert fields(reply) == ["mocked", 7]
        assert [tuple(pair) for pair in call.trailing_metadata()] == [("x-trail", "t1")]
        assert [name for name, _ in call.initial_metadata()] == ["date"]
        assert outcome(lambda: add(item("y"), timeout=60)) == ("NOT_FOUND", "no such item: ü %")
        said: queue.Queue[bytes | None] = queue.Queue()
        said.put(item("s1"))  # the request stays open: the rule does not wait for its end
        answers = channel.stream_stream(f"/{SERVICE}/Chat")(iter(said.get, None), timeout=60)
        assert [fields(next(answers)) for _ in range(2)] == [["a"], ["b"]]
        assert outcome(lambda: next(answers))[0] == "DATA_LOSS"
        said.put(None)
        unmatched = outcome(lambda: channel.unary_unary("/other.Service/Call")(b"", timeout=60))
    assert unmatched[0] == "UNIMPLEMENTED"
    assert "No rule matches this request" in unmatched[1]
    assert running.stop().audit() == []


def test_secrets_in_messages_are_replaced_and_the_recording_is_served(
    server: tuple[grpc.Server, int], recorder: StartRecorder, serve: Serve
) -> None:
    secret = "ghp_" + "a1B2c3D4e5" * 3 + "F6g7h8"
    running = recorder(None, "--upstream", f"http://127.0.0.1:{server[1]}")
    with grpc.insecure_channel(f"127.0.0.1:{running.port}", options=OPTIONS) as channel:
        assert fields(channel.unary_unary(f"/{SERVICE}/AddItem")(item(secret), timeout=60))[0] == f"added {secret}"
    session = running.stop()
    assert secret not in session.path.read_text()
    assert json.dumps(session.by_type("grpc-message-received")).count("redacted-") == 1
    served = serve(session.path)
    with grpc.insecure_channel(f"127.0.0.1:{served.port}", options=OPTIONS) as channel:
        (sku, _) = fields(channel.unary_unary(f"/{SERVICE}/AddItem")(item(secret), timeout=60))
    assert sku.startswith("added redacted-")
    served.stop()
