"""`then`: the table of all steps, and the value types of a step and of a list of steps."""

from __future__ import annotations

from typing import Final

from mockrec.engine.rules.language.grpc import GRPC_KEYS, ONE_MESSAGE, build_grpc
from mockrec.engine.rules.language.llm import LLM_STEPS
from mockrec.engine.rules.language.passthrough import PASSTHROUGH_STEPS
from mockrec.engine.rules.language.replay import REPLAY_STEPS
from mockrec.engine.rules.language.reply import (
    BODY_KEYS,
    MALFORMED_KEYS,
    ONE_BODY,
    REPLY_KEYS,
    STREAM_KEYS,
    build_malformed,
    build_reply,
    build_stream,
    check_no_framing,
)
from mockrec.engine.rules.language.step_entries import DELAY, StepWord, bare_step, delay_step, record_step
from mockrec.engine.rules.language.websocket import WEBSOCKET_STEPS
from mockrec.engine.rules.model import (
    Close,
    Emit,
    Informational,
    JsonRpc,
    Python,
    Reset,
    SourceLocation,
    Step,
    Timeout,
    WaitForBody,
    Webhook,
)
from mockrec.engine.rules.templates.check import check_text, check_tree
from mockrec.engine.rules.yaml.containers import List, MapOf, Named
from mockrec.engine.rules.yaml.context import LoadContext, Rejected, quoted
from mockrec.engine.rules.yaml.nodes import AnyNode, ListNode, MapNode, ScalarNode
from mockrec.engine.rules.yaml.records import Key, ParsedMapping, Record
from mockrec.engine.rules.yaml.strings import HEADERS, WEBHOOK_URL, Handler
from mockrec.engine.rules.yaml.types import AnyJson, Enum, Int, Schema, Str, ValueType, nearest_hint


def _informational(given: ParsedMapping, place: SourceLocation) -> Informational:
    step = Informational(place, **given.fields())
    if not check_no_framing(given, "headers", step.headers, ("content-length", "transfer-encoding")):
        raise Rejected
    return step


def _emit(given: ParsedMapping, place: SourceLocation) -> Emit:
    context = given.context
    good = check_text(given.get("type"), given.place("type"), context)
    if "data" in given:
        good = check_tree(given.nodes["data"], f"{given.where}.data", context) and good
    if not good:
        raise Rejected
    return Emit(place, type=given.get("type"), data=given.get("data", {}))


_RPC_ERROR = Record(
    {
        "code": Key(Int(), "The error's number.", required=True),
        "message": Key(Str(), "The error in words.", required=True),
        "data": Key(AnyJson(), "Anything more."),
    },
    lambda given: dict(given.values),
)
_INTERIM_STATUS = Int(100, 199, advice={101: "101 is sent by accepting a WebSocket, never by this step"})

STEPS: Final[dict[str, StepWord]] = {
    "reply": record_step("Answers with a status, headers and a body.", REPLY_KEYS, build_reply, one_of=[ONE_BODY]),
    "stream": record_step(
        "Answers with a body that is sent piece by piece.",
        STREAM_KEYS,
        build_stream,
        one_of=[("chunks", "sse")],
        some_of=[("chunks", "sse")],
    ),
    "jsonRpc": record_step(
        "Answers a JSON-RPC 2.0 call, with the caller's id.",
        {
            "result": Key(AnyJson(), "The result of the call."),
            "error": Key(_RPC_ERROR, "The error instead of a result."),
        },
        lambda given, place: JsonRpc(place, **given.values),
        one_of=[("result", "error")],
        some_of=[("result", "error")],
    ),
    "grpc": record_step(
        "Answers a call of gRPC or gRPC-Web with messages and a status.",
        GRPC_KEYS,
        build_grpc,
        one_of=[ONE_MESSAGE],
    ),
    **LLM_STEPS,
    "close": bare_step("Closes the connection without an answer.", Close),
    "reset": bare_step("Resets the connection.", Reset),
    "timeout": bare_step("Never answers.", Timeout),
    "malformed": record_step(
        "Answers with bytes that break the protocol.",
        MALFORMED_KEYS,
        build_malformed,
        one_of=[("raw", "base64"), BODY_KEYS],
        some_of=[("raw", "base64", "truncateAfter")],
    ),
    "python": StepWord(
        "Answers with what a function of yours returns.",
        Handler(),
        lambda value, place: Python(place, handler=value),
    ),
    "delay": StepWord("Waits.", DELAY, delay_step, final=False),
    "waitForBody": bare_step("Waits for the complete request body.", WaitForBody),
    "informational": record_step(
        "Sends an interim answer (1xx).",
        {
            "status": Key(_INTERIM_STATUS, "100–199 except 101 (103)."),
            "headers": Key(HEADERS, "Its headers."),
        },
        _informational,
        final=False,
    ),
    "webhook": record_step(
        "Posts the request, the response or both to a URL.",
        {
            "url": Key(WEBHOOK_URL, "Where to post to.", required=True),
            "events": Key(List(Enum("request", "response")), "What is posted ([request, response])."),
        },
        lambda given, place: Webhook(place, **given.fields()),
        final=False,
    ),
    "emit": record_step(
        "Records a rule-event of your own.",
        {
            "type": Key(Str(empty=False), "Its type; `{{ }}` is filled in.", required=True),
            "data": Key(MapOf(AnyJson()), "Its data; `{{ }}` in texts is filled in."),
        },
        _emit,
        final=False,
    ),
    **PASSTHROUGH_STEPS,
    **WEBSOCKET_STEPS,
    **REPLAY_STEPS,
}
BARE_STEPS: Final = tuple(name for name, word in STEPS.items() if word.bare)


class StepShape(ValueType[Step]):
    """One step: a mapping with the step's name as its only key, or the bare name if the step needs no options."""

    expects = "a step"

    def read(self, node: AnyNode, where: str, context: LoadContext) -> Step:
        if isinstance(node, ScalarNode):
            return self._read_word(node, where, context)
        if not isinstance(node, MapNode) or not node.pairs:
            raise context.reject(node, where, "expected a step such as `reply: {status: 200}`")
        pairs, good = context.pairs(node, where)
        for name, key, _ in pairs[1:]:
            message = f"a step has one name; begin a new list item before {quoted(name)}"
            good = bool(context.reject(key, where, message)) and False
        if not good:
            raise Rejected
        name, key, value = pairs[0]
        word = STEPS.get(name)
        if word is None:
            raise context.reject(key, where, _unknown(name))
        here = f"{where}.{name}"
        return word.make(word.value_type.read(value, here, context), context.place(key, here))

    def _read_word(self, node: ScalarNode, where: str, context: LoadContext) -> Step:
        name = context.text(node, where)
        word = STEPS.get(name)
        if word is None:
            raise context.reject(node, where, _unknown(name))
        if not word.bare:
            raise context.reject(node, where, f"the step {quoted(name)} needs its options, as a mapping")
        here = f"{where}.{name}"
        return word.make(None, context.place(node, here))

    def schema(self, defs: dict[str, Schema]) -> Schema:
        steps: Schema = {
            "type": "object",
            "properties": {
                name: {"description": word.about, **word.value_type.schema(defs)} for name, word in STEPS.items()
            },
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        }
        return {"anyOf": [steps, {"enum": list(BARE_STEPS)}]}


_MEANT: Final = {
    **dict.fromkeys(("response", "respond", "answer", "return", "mock", "status", "body", "json", "file"), "reply"),
    **dict.fromkeys(("proxy", "pass", "passThrough", "pass-through", "continue"), "passthrough"),
    **dict.fromkeys(("sleep", "wait", "pause"), "delay"),
    **dict.fromkeys(("transform", "modify", "edit", "changes"), "change"),
    **dict.fromkeys(("redirect", "location"), "reply: {status: 302, headers: {Location: …}}"),
    **dict.fromkeys(("sse", "events", "chunks"), "stream"),
    **dict.fromkeys(("abort", "drop", "disconnect"), "close"),
    **dict.fromkeys(("function", "handler", "callback", "script.py"), "python"),
}
"""Names that other tools, or users, have for a step → the step."""


def _unknown(name: str) -> str:
    if name in _MEANT:
        return f"unknown step {quoted(name)}; did you mean `{_MEANT[name]}`?"
    message = nearest_hint(name, tuple(STEPS), "unknown step")
    return message if "did you mean" in message else f"{message}; known steps: {', '.join(STEPS)}"


class Then(ValueType[tuple[Step, ...]]):
    """`then`: one step or a list; only the last may answer. `load.py` checks whether it has to."""

    expects = "a step or a list of steps"

    def read(self, node: AnyNode, where: str, context: LoadContext) -> tuple[Step, ...]:
        if not isinstance(node, ListNode):
            steps: tuple[Step, ...] = (STEP.read(node, where, context),)
        elif node.items:
            steps = _STEP_LIST.read(node, where, context)
        else:
            raise context.reject(node, where, "expected at least one step")
        for index, step in enumerate(steps[:-1]):
            if step.final:
                after = f'"{step.name}" answers, so no step can follow it'
                raise context.reject(node.items[index], f"{where}[{index}]", after)  # type: ignore[union-attr]
        return steps

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return {"anyOf": [STEP.schema(defs), {"type": "array", "items": STEP.schema(defs), "minItems": 1}]}


STEP: Final[ValueType[Step]] = Named("step", StepShape)
_STEP_LIST = List(STEP)
THEN: Final = Then()
