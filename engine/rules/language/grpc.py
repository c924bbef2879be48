"""gRPC in the rule language: `record.protobuf`, `when: {grpc: …}`, `then: {grpc: …}`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from mockrec.engine.rules.model import GrpcReply, SourceLocation, Step, When
from mockrec.engine.rules.yaml.containers import List, OneOrMany
from mockrec.engine.rules.yaml.context import LoadContext, Rejected, quoted
from mockrec.engine.rules.yaml.nodes import AnyNode, MapNode, ScalarNode
from mockrec.engine.rules.yaml.records import Key, ParsedMapping
from mockrec.engine.rules.yaml.strings import HEADERS
from mockrec.engine.rules.yaml.types import AnyJson, InvalidValue, ScalarType, Schema, Str, ValueType
from mockrec.formats.operations.grpc.descriptors import DescriptorError, Descriptors
from mockrec.formats.operations.grpc.status import STATUSES, status_number

_FRAMING: Final = ("content-length", "transfer-encoding", "content-type", "grpc-status", "grpc-message")


class ProtobufFiles(ValueType[Descriptors | None]):
    """Files and folders with descriptors → the descriptors. They are read once, before the rules (`read_protobuf`)."""

    expects = "the name of a descriptor set, a .proto file or a folder of them, or a list"

    def read(self, node: AnyNode, where: str, context: LoadContext) -> Descriptors | None:
        if context.descriptors is None:
            context.descriptors = self._read(node, where, context)
        return context.descriptors

    def _read(self, node: AnyNode, where: str, context: LoadContext) -> Descriptors:
        names = _NAMES.read(node, where, context)
        if context.read_descriptors is None:
            raise context.reject(node, where, "descriptors cannot be read here")
        try:
            return Descriptors(context.read_descriptors(tuple(context.absolute(name) for name in names)))
        except DescriptorError as error:
            raise context.reject(node, where, str(error)) from None

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return _NAMES.schema(defs)


_NAMES: Final = OneOrMany(Str(empty=False))


def read_protobuf(root: AnyNode, context: LoadContext) -> None:
    """Read `record.protobuf`, wherever it stands in the file: rules before it need it. Problems are reported when the
    key itself is read."""
    record = _value(root, "record")
    node = None if record is None else _value(record, "protobuf")
    if node is None:
        return
    before = len(context.problems)
    try:
        ProtobufFiles().read(node, "record.protobuf", context)
    except Rejected:
        del context.problems[before:]


def _value(node: AnyNode, name: str) -> AnyNode | None:
    for key, value in node.pairs if isinstance(node, MapNode) else ():
        if isinstance(key, ScalarNode) and key.text == name:
            return value
    return None


class _Status(ScalarType[int]):
    """A status by its name or number."""

    expects = "a status of gRPC such as NOT_FOUND, or its number"

    def parse(self, text: str, plain: bool) -> int:
        found = status_number(text)
        if found is None:
            raise InvalidValue(f"expected a status of gRPC ({', '.join(STATUSES)}), got {quoted(text)}")
        return found

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return {"anyOf": [{"enum": list(STATUSES)}, {"type": "integer", "minimum": 0, "maximum": len(STATUSES) - 1}]}


GRPC_KEYS: Final = {
    "message": Key(AnyJson(), "The message, by the names of `record.protobuf`, or by field numbers ({1: text})."),
    "messages": Key(List(AnyJson()), "Several messages, of a stream."),
    "status": Key(_Status(), "The status: OK (the default), NOT_FOUND, … or its number."),
    "statusMessage": Key(Str(), "The status in words (`grpc-message`)."),
    "headers": Key(HEADERS, "Fields of the head (initial metadata)."),
    "trailers": Key(HEADERS, "Fields after the messages (trailing metadata)."),
}
ONE_MESSAGE: Final = ("message", "messages")


def build_grpc(given: ParsedMapping, place: SourceLocation) -> GrpcReply:
    """The answer of the given keys."""
    good = True
    for key in ("headers", "trailers"):
        for name, _ in given.get(key, ()):
            if name.lower() in _FRAMING:
                given.reject(key, f"{name} cannot be set here; `status` and `statusMessage` say how the call ends")
                good = False
    if not good:
        raise Rejected
    messages = given.get("messages", ()) if "message" not in given else (given.get("message"),)
    return GrpcReply(
        place,
        messages=tuple(messages),
        text=given.get("statusMessage", ""),
        descriptors=given.context.descriptors,
        **given.fields("status", "headers", "trailers"),
    )


def check_grpc_steps(when: When | None, steps: Iterable[Step], context: LoadContext) -> None:
    """Check that the messages of a rule's answers are messages of the method that its `when` names. Raises Rejected."""
    call: Any = None if when is None else when.expected.get("grpc")
    for step in steps:
        if not isinstance(step, GrpcReply) or not step.messages:
            continue
        method = "" if call is None or "/" not in call.method else call.method
        if method or step.descriptors is None:
            try:
                step.encoded(method)
            except ValueError as error:
                raise context.reject_at(step.place, str(error)) from None
