"""Descriptors of services: messages of a method to JSON and back, by the official `protobuf` package.

The package is an extra (`mockrec[grpc]`) and imported only here, when descriptors are used. A descriptor set is what
`protoc --descriptor_set_out=shop.pb --include_imports` writes.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any, Final

from mockrec.formats.operations.grpc.messages import Decoder

MISSING: Final = "it needs the package protobuf: pip install 'mockrec[grpc]'"
"""The end of a message about descriptors on an install without the extra."""


class DescriptorError(ValueError):
    """Descriptors that cannot be used, or a value that does not fit them. The text is a clause."""


class Descriptors:
    """The services of a descriptor set."""

    def __init__(self, serialized: bytes) -> None:
        """Read a serialized `FileDescriptorSet`. Raises DescriptorError."""
        try:
            from google.protobuf import descriptor_pb2, descriptor_pool
            from google.protobuf.message import DecodeError
        except ImportError:
            raise DescriptorError(MISSING) from None
        found = descriptor_pb2.FileDescriptorSet()
        try:
            found.ParseFromString(serialized)
        except DecodeError:
            raise DescriptorError(f"it is no descriptor set; {_HOW}") from None
        if not found.file or not all(one.name for one in found.file):
            raise DescriptorError(f"it holds no descriptors; {_HOW}")
        self.serialized = serialized
        self._pool = descriptor_pool.DescriptorPool()
        self._methods: dict[str, Any] = {}
        self._types: dict[tuple[str, str], Any] = {}
        for one in _in_order({file.name: file for file in found.file}):
            try:
                self._pool.Add(one)
                file = self._pool.FindFileByName(one.name)
            except (TypeError, KeyError, ValueError) as error:
                raise DescriptorError(f"its file {one.name} cannot be used: {_words(error)}; {_HOW}") from None
            for service in file.services_by_name.values():
                for method in service.methods:
                    self._methods[f"{service.full_name}/{method.name}"] = method

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods as `shop.v1.Cart/AddItem`, in the order of the set."""
        return tuple(self._methods)

    def __reduce__(self) -> tuple[type[Descriptors], tuple[bytes]]:
        return Descriptors, (self.serialized,)  # rules are sent to worker processes

    def decoder(self, method: str, side: str, *, defaults: bool = False) -> Decoder | None:
        """Return the decoder of the messages of one side, `request` or `response`; None for an unknown method.
        `defaults`: fields with the default value are in the result, too."""
        kind = self._type(method, side)
        if kind is None:
            return None

        def decode(message: bytes) -> Any:
            from google.protobuf import json_format
            from google.protobuf.message import DecodeError

            try:
                return json_format.MessageToDict(
                    kind.FromString(message),
                    always_print_fields_with_no_presence=defaults,
                    descriptor_pool=self._pool,
                )
            except (DecodeError, json_format.Error, TypeError, ValueError) as error:
                raise DescriptorError(f"it is no {kind.DESCRIPTOR.full_name}: {_words(error)}") from None

        return decode

    def encode(self, method: str, side: str, value: Any) -> bytes:
        """Return the bytes of a message that is given as JSON. Raises DescriptorError."""
        data: bytes = self._message(method, side, value).SerializeToString(deterministic=True)
        return data

    def expected(self, method: str, side: str, value: Any) -> Any:
        """Return a part of a message, given as JSON, in the form that a decoder with `defaults` makes. Raises
        DescriptorError."""
        from google.protobuf import json_format

        message = self._message(method, side, value)
        whole = json_format.MessageToDict(
            message, always_print_fields_with_no_presence=True, descriptor_pool=self._pool
        )
        return _given(whole, value)

    def _message(self, method: str, side: str, value: Any) -> Any:
        from google.protobuf import json_format

        kind = self._type(method, side)
        if kind is None:
            raise DescriptorError(f"the method {method} is not in record.protobuf; it has {self._named()}")
        message = kind()
        if not isinstance(value, Mapping) and kind.DESCRIPTOR.full_name.partition(".")[0] != "google":
            raise DescriptorError(f"expected a mapping with the fields of {kind.DESCRIPTOR.full_name}")
        try:
            return json_format.ParseDict(value, message, descriptor_pool=self._pool)
        except (json_format.Error, TypeError, ValueError, AttributeError) as error:
            raise DescriptorError(f"it is no {kind.DESCRIPTOR.full_name}: {_words(error)}") from None

    def _type(self, method: str, side: str) -> Any:
        from google.protobuf import message_factory

        known = self._methods.get(method)
        if known is None:
            return None
        kind = self._types.get((method, side))
        if kind is None:
            descriptor = known.input_type if side == "request" else known.output_type
            kind = self._types[method, side] = message_factory.GetMessageClass(descriptor)
        return kind

    def _named(self) -> str:
        names = ", ".join(self.methods[:_MOST_NAMED])
        more = len(self.methods) - _MOST_NAMED
        return f"{names} and {more} more" if more > 0 else names or "no service"


_HOW: Final = "protoc --include_imports --descriptor_set_out=NAME.pb makes one"
_MOST_NAMED: Final = 5


def _given(whole: Any, given: Any) -> Any:
    """Return of a message in its JSON form the fields that were given, whose names may be those of the .proto file. The
    depth is that of a rule file."""
    if isinstance(whole, Mapping) and isinstance(given, Mapping):
        named = ((name if name in whole else _json_name(str(name)), value) for name, value in given.items())
        return {name: _given(whole[name], value) for name, value in named if name in whole}
    if isinstance(whole, list) and isinstance(given, list | tuple) and len(whole) == len(given):
        return [_given(one, other) for one, other in zip(whole, given, strict=True)]
    return whole


def _json_name(name: str) -> str:
    """`unit_name` → `unitName`, as protoc does."""
    return re.sub("_+([a-zA-Z0-9])", lambda found: found[1].upper(), name)


def _in_order(files: Mapping[str, Any]) -> list[Any]:
    """Return the files with each after those that it imports. A missing import is an error of the pool."""
    ordered: dict[str, Any] = {}
    stack = [iter(files)]
    names: list[str] = []
    while stack:
        name = next(stack[-1], None)
        if name is None:
            stack.pop()
            if names:
                done = names.pop()
                ordered.setdefault(done, files[done])
        elif name in files and name not in ordered and name not in names:
            names.append(name)
            stack.append(iter(files[name].dependency))
    return list(ordered.values())


def _words(error: Exception) -> str:
    """Return the first line of an error of the package."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


_MOST_STORED: Final = 1024 * 1024
"""Bytes of a descriptor set that a session carries."""


def stored(descriptors: Descriptors | None) -> str | None:
    """Return descriptors as the first record of a session holds them, so that readers have names without the files;
    None for none, or a set that is too large for that."""
    if descriptors is None or len(descriptors.serialized) > _MOST_STORED:
        return None
    return base64.b64encode(descriptors.serialized).decode()


def of_header(header: Mapping[str, Any] | None) -> Descriptors | None:
    """Return the descriptors that a session carries; None if it has none, or the package protobuf is missing: then
    messages are shown by field numbers."""
    text = None if header is None else header.get("protobuf")
    if not isinstance(text, str):
        return None
    try:
        return Descriptors(base64.b64decode(text, validate=True))
    except ValueError:
        return None
