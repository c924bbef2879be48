"""Rows of the matchers of WebSocket upgrades, of gRPC calls, of combinations, and of the user's function."""

from __future__ import annotations

from typing import Final

from mockrec.engine.rules.matching import nested
from mockrec.engine.rules.matching.grpc import GRPC_CALL, early_grpc_check, grpc_check, grpc_found, grpc_words
from mockrec.engine.rules.matching.spec import AnySpec, NestedSpec, UserSpec, ValueSpec
from mockrec.engine.rules.model import GrpcCall
from mockrec.engine.rules.wording import handler_words, shown
from mockrec.engine.rules.yaml.strings import (
    Handler,
)
from mockrec.engine.rules.yaml.types import Bool

OTHER_ROWS: Final[tuple[AnySpec, ...]] = (
    ValueSpec(
        key="websocket",
        type=Bool(),
        about="Only WebSocket upgrades.",
        rank=5,
        check=lambda wanted: lambda request: request.websocket is wanted,
        phrase=lambda wanted: "upgrading to WebSocket" if wanted else "not upgrading to WebSocket",
        found=lambda request: shown(request.websocket),
    ),
    ValueSpec(
        key="grpc",
        type=GRPC_CALL,
        about="A call of gRPC or gRPC-Web, by its method and its first message.",
        rank=19,
        reads_body=True,
        head_only=lambda call: call.message is None,
        canonical=lambda call: call.source if isinstance(call, GrpcCall) else call,
        check=grpc_check,
        early_check=early_grpc_check,
        phrase=grpc_words,
        expected=lambda call: shown(call.source),
        found=grpc_found,
    ),
    NestedSpec(
        key="not",
        about="Matchers that do not all match.",
        rank=31,
        combine=nested.not_check,
        phrase="but not ({})",
        expected="anything but ({})",
        found="this request",
    ),
    NestedSpec(
        key="anyOf",
        about="Several sets of matchers, one of which matches.",
        rank=32,
        is_list=True,
        combine=nested.any_of_check,
        sets_params=True,
        phrase="being one of ({})",
        expected="one of ({})",
        found="none of them",
    ),
    UserSpec(
        key="python",
        type=Handler(),
        about="handlers.py:name, called with the request, returns true or false.",
        rank=30,
        phrase=lambda handler: f"accepted by {handler_words(handler)}",
    ),
)
