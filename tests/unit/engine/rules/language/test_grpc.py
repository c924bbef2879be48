"""Loading of `record.protobuf`, `when: {grpc: …}` and `then: {grpc: …}`: their values, and mistakes with their places."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import descriptor_pb2

from mockrec.engine.errors import RuleFileError
from mockrec.engine.rules.explain.explain import explain_rule
from mockrec.engine.rules.language.load import Loaded, load_rules
from mockrec.engine.rules.model import GrpcReply
from mockrec.formats.operations.grpc.descriptors import DescriptorError
from mockrec.formats.operations.grpc.wire_format import decode_fields

METHOD = "shop.v1.Cart/AddItem"


def descriptor_set() -> bytes:
    files = descriptor_pb2.FileDescriptorSet()
    file = files.file.add(name="cart.proto", package="shop.v1", syntax="proto3")
    item = file.message_type.add(name="Item")
    item.field.add(name="sku", number=1, type=9, label=1, json_name="sku")
    item.field.add(name="unit_count", number=2, type=5, label=1, json_name="unitCount")
    file.service.add(name="Cart").method.add(name="AddItem", input_type=".shop.v1.Item", output_type=".shop.v1.Item")
    return files.SerializeToString()


def read_descriptors(paths: tuple[str, ...]) -> bytes:
    if paths != ("/rules/shop.pb",):
        raise DescriptorError(f"{paths[0]}: No such file or directory")
    return descriptor_set()


def no_file(path: str) -> bytes:
    raise FileNotFoundError(path)


def load(text: str) -> Loaded:
    return load_rules(
        text.encode(), path="rules.yaml", folder="/rules", read_file=no_file, env={}, read_descriptors=read_descriptors
    )


def problem(text: str) -> str:
    with pytest.raises(RuleFileError) as caught:
        load(text)
    (found,) = caught.value.problems
    return str(found)


def rule(text: str, record: str = "") -> str:
    return f"version: 1\n{record}rules:\n  - {text}\n"


PROTOBUF = "record: {protobuf: shop.pb}\n"


def test_messages_have_names_wherever_the_descriptors_stand() -> None:
    text = (
        f"{{when: {{grpc: {{method: {METHOD}, message: {{unit_count: 0}}}}}}, then: {{grpc: {{message: {{sku: a}}}}}}}}"
    )
    for source in (rule(text, PROTOBUF), rule(text) + PROTOBUF):
        (found,) = load(source).rule_file.rules
        call = found.when.expected["grpc"]
        assert call.expected == {"unitCount": 0}
        (step,) = found.steps
        assert isinstance(step, GrpcReply)
        assert step.encoded(METHOD) == (b"\x0a\x01a",)


def test_without_descriptors_fields_have_numbers() -> None:
    text = (
        f"{{when: {{grpc: {{method: {METHOD}, message: {{1: x1}}}}}},"
        " then: {grpc: {messages: [{1: a, 2: 5}, {3: {1: b}}], status: NOT_FOUND, statusMessage: gone, trailers: {x-a: b}}}}"
    )
    (found,) = load(rule(text)).rule_file.rules
    assert found.when.expected["grpc"].expected == {"1": "x1"}
    (step,) = found.steps
    assert isinstance(step, GrpcReply)
    assert [decode_fields(data) for data in step.encoded(METHOD)] == [{"1": "a", "2": 5}, {"3": {"1": "b"}}]
    assert (step.status, step.text, step.trailers) == (5, "gone", (("x-a", "b"),))
    assert explain_rule(found) == 'any request calling shop.v1.Cart/AddItem with {"1": "x1"} → grpc NOT_FOUND'


@pytest.mark.parametrize(
    ("text", "record", "words"),
    [
        (
            "{when: {grpc: {method: a.B/C, message: {sku: a}}}, then: close}",
            "",
            "a message with names needs `record.protobuf`",
        ),
        ("{when: {grpc: {method: a.B, message: {sku: a}}}, then: close}", PROTOBUF, "a message belongs to a method"),
        (
            "{when: {grpc: {method: a.B/C, message: {sku: a}}}, then: close}",
            PROTOBUF,
            "a.B/C is not in record.protobuf",
        ),
        (f"{{when: {{grpc: {{method: {METHOD}, message: {{sk: a}}}}}}, then: close}}", PROTOBUF, 'no field named "sk"'),
        (
            f"{{when: {{grpc: {{method: {METHOD}}}}}, then: {{grpc: {{message: {{sku: 3}}}}}}}}",
            PROTOBUF,
            "it is no shop.v1.Item",
        ),
        ("{then: {grpc: {message: {sku: 3}}}}", "", "a message with names needs `record.protobuf`"),
        ("{then: {grpc: {status: GONE}}}", "", "expected a status of gRPC (OK, CANCELLED"),
        ("{then: {grpc: {status: 17}}}", "", "expected a status of gRPC"),
        ("{then: {grpc: {message: {1: a}, messages: []}}}", "", "give only one of message, messages"),
        ("{then: {grpc: {trailers: {grpc-status: '5'}}}}", "", "grpc-status cannot be set here"),
        ("{then: {grpc: {headers: {content-type: a}}}}", "", "content-type cannot be set here"),
        ("{when: {grpc: {message: {1: a}}}, then: close}", "", 'the key "method" is missing'),
        ("{then: close}", "record: {protobuf: other.pb}\n", "/rules/other.pb: No such file or directory"),
    ],
)
def test_mistakes_are_named(text: str, record: str, words: str) -> None:
    found = problem(rule(text, record))
    assert words in found
    assert found.startswith("rules.yaml:")


def test_descriptors_are_read_once() -> None:
    calls: list[Any] = []

    def read(paths: tuple[str, ...]) -> bytes:
        calls.append(paths)
        return descriptor_set()

    text = rule("{then: close}", PROTOBUF).encode()
    loaded = load_rules(text, path="r", folder="/rules", read_file=no_file, env={}, read_descriptors=read)
    assert calls == [("/rules/shop.pb",)]
    assert loaded.rule_file.record.protobuf is not None
