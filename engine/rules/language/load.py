"""The bytes of a rule file → `RuleFile`, or all of its problems with their lines and columns.

The modules of this package declare the parts of the language. This one composes them, and checks what concerns a whole
rule, or several. Pure: files and the environment come in as arguments.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from mockrec.engine.errors import Problem, RuleFileError
from mockrec.engine.rules.explain.unreachable import reach_warnings
from mockrec.engine.rules.language.grpc import check_grpc_steps, read_protobuf
from mockrec.engine.rules.language.settings import RECORD, SERVER, TLS
from mockrec.engine.rules.language.steps import STEPS, THEN
from mockrec.engine.rules.language.upstream import UPSTREAM
from mockrec.engine.rules.language.when import WHEN
from mockrec.engine.rules.model import Change, Passthrough, Rule, RuleFile, SourceLocation, Step, When
from mockrec.engine.rules.yaml.containers import Named
from mockrec.engine.rules.yaml.context import AddedContext, LoadContext, Rejected, quoted
from mockrec.engine.rules.yaml.nodes import AnyNode, ListNode, MapNode, ScalarNode, parse, release
from mockrec.engine.rules.yaml.records import Key, ParsedMapping, Record
from mockrec.engine.rules.yaml.types import Bool, Enum, FirstOf, Int, Number, Schema, Str, ValueType

_TIMES_WORDS: Final = {"once": 1, "twice": 2, "thrice": 3, "always": "always"}
_DEFAULT_PRIORITY: Final = 1.0


class Loaded(msgspec.Struct, frozen=True):
    """A valid rule file."""

    rule_file: RuleFile
    warnings: tuple[Problem, ...]
    """Problems that do not make the file invalid, in file order: hardly intended."""
    secrets: tuple[str, ...]
    """The values of environment variables in the file: they have to be redacted wherever they occur."""


def no_rules(folder: str) -> Loaded:
    """The rules of a command without a rule file: none, and the default settings."""
    return Loaded(RuleFile(path="", folder=folder, sha256=hashlib.sha256(b"").hexdigest()), (), ())


def load_rules(
    text: bytes,
    *,
    path: str,
    folder: str,
    read_file: Callable[[str], bytes],
    env: Mapping[str, str],
    probe: Callable[[str], None] | None = None,
    read_descriptors: Callable[[tuple[str, ...]], bytes] | None = None,
) -> Loaded:
    """Load and check a whole rule file.

    `path` is the file's name in messages; names in the file are joined to `folder`. `read_file` gets an absolute path
    and raises OSError, and so does `probe`, which only checks whether a file can be read (by default, `read_file`
    does). `read_descriptors` returns the descriptor set of `record.protobuf`. Raises RuleFileError with all problems,
    sorted by line.
    """
    context = LoadContext(path, folder, env, read_file, probe, read_descriptors)
    if (words := session_words(text)) is not None:
        raise RuleFileError([Problem(path, 1, 1, "", words)])
    root = parse(text, path)
    if isinstance(root, ScalarNode) and root.plain and not root.text:
        empty = "the file is empty; a rule file begins with `version: 1` and `rules:`"
        raise RuleFileError([Problem(path, 1, 1, "", empty)])
    read_protobuf(root, context)
    try:
        found = _FILE.read(root, "", context)
    except Rejected:
        found = {}
    release(root)
    if context.problems:
        raise RuleFileError(sorted(context.problems, key=_by_line))
    rule_file = RuleFile(path=path, folder=folder, sha256=hashlib.sha256(text).hexdigest(), **found)
    warnings = [*context.warnings, *reach_warnings(rule_file.rules)]
    return Loaded(rule_file, tuple(sorted(warnings, key=_by_line)), tuple(context.secrets))


def load_added(
    text: bytes,
    *,
    path: str,
    folder: str,
    read_file: Callable[[str], bytes],
    probe: Callable[[str], None],
) -> tuple[Loaded, str | None]:
    """Load and check rules that are added to those of a running recorder. Return them and the scope they are for.

    As `load_rules`, but without variables of the environment and functions. Raises RuleFileError.
    """
    context = AddedContext(path, folder, {}, read_file, probe)
    root = parse(text, path)
    try:
        found = _ADDED.read(root, "", context)
    except Rejected:
        found = {}
    release(root)
    if context.problems:
        raise RuleFileError(sorted(context.problems, key=_by_line))
    scope: str | None = found.pop("scope", None)
    rule_file = RuleFile(path=path, folder=folder, sha256=hashlib.sha256(text).hexdigest(), **found)
    return Loaded(rule_file, tuple(sorted(context.warnings, key=_by_line)), ()), scope


_SESSION: Final = re.compile(rb'\s*\{\s*("seq"\s*:|"type"\s*:\s*"session-started"|"log"\s*:\s*\{)')


def session_words(start: bytes) -> str | None:
    """The message for a file with this start that is a recorded session (JSON Lines, HAR, Parquet); None otherwise."""
    if not (start.startswith((b"PAR1", b"\x1f\x8b", b"\x28\xb5\x2f\xfd")) or _SESSION.match(start[:1000])):
        return None
    return (
        "this is a recorded session, not a rule file; `mockrec show FILE` reads it, `mockrec replay FILE --serve`"
        " answers from it, and `mockrec replay FILE --to-rules rules.yaml` makes rules of it"
    )


def json_schema() -> Schema:
    """JSON Schema (draft 2020-12) of a rule file, for editors, from the value types that load it."""
    defs: dict[str, Schema] = {}
    schema = _FILE.schema(defs)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mockrec rule file",
        "description": "Rules of the HTTP recorder and mock server mockrec.",
        **schema,
        "$defs": dict(sorted(defs.items())),
    }


def _by_line(problem: Problem) -> tuple[int, int]:
    return problem.line, problem.column


# ── rules ──────────────────────────────────────────────────────────────────────────────────────────


def _rule_values(given: ParsedMapping) -> dict[str, Any]:
    values = given.fields()
    steps: tuple[Step, ...] = values["then"]
    values["continues"] = values.pop("continue", False)
    if values["continues"]:
        _check_continuing(steps, given.context)
    else:
        _check_answering(steps, given)
    check_grpc_steps(values.get("when"), steps, given.context)
    if "times" in values:
        values["times"] = _TIMES_WORDS.get(values["times"], values["times"])
    if "priority" in values:
        values["priority"] = 0.0 if values["priority"] == "fallback" else float(values["priority"])
    return values


def _check_continuing(steps: tuple[Step, ...], context: LoadContext) -> None:
    """Check that a rule with `continue` has no step that answers. Raises Rejected."""
    for step in steps:
        if step.final:
            changes = (
                "; write its `request` and `response` as the step `change`" if isinstance(step, Passthrough) else ""
            )
            raise context.reject_at(
                step.place,
                f'"{step.name}" answers, and a rule with `continue: true` lets a later one answer; it can have'
                f" {', '.join(_CONTINUING)}{changes}",
            )


def _check_answering(steps: tuple[Step, ...], given: ParsedMapping) -> None:
    """Check that any other rule ends with a step that answers. Raises Rejected."""
    change = next((step for step in steps if isinstance(step, Change)), None)
    if change is not None:
        raise given.context.reject_at(
            change.place,
            '"change" is a step of rules with `continue: true`; `passthrough` and `forward` have `request` and'
            " `response` of their own",
        )
    if not steps[-1].final:
        message = f'a rule must end with a step that answers: "{steps[-1].name}" does not'
        raise given.reject("then", f"{message}; a rule that only adds to others says `continue: true`")


_CONTINUING: Final = tuple(name for name, word in STEPS.items() if not word.final)
_RULE: Final = Record(
    {
        "id": Key(Str(empty=False), "The rule's name in the log (rule-1, rule-2, … by position)."),
        "when": Key(WHEN, "What a request must be like; all given matchers must match."),
        "then": Key(THEN, "What is done: one step, or a list whose last step answers.", required=True),
        "times": Key(
            FirstOf(Enum(*_TIMES_WORDS), Int(0), expects="once, twice, thrice, always or a number"),
            "How often the rule answers: once, twice, thrice, always or a number.",
        ),
        "continue": Key(
            Bool(),
            "Whether later rules are evaluated too (false): it has steps that do not answer, and a later one answers.",
        ),
        "priority": Key(
            FirstOf(Enum("fallback"), Number(), expects="a number or fallback"),
            "Higher ones are tried first (1); `fallback` is 0.",
        ),
    },
    _rule_values,
)


class _Rules(ValueType[tuple[Rule, ...]]):
    """The list of rules, each with its position and a unique id."""

    expects = "a list of rules"

    def read(self, node: AnyNode, where: str, context: LoadContext) -> tuple[Rule, ...]:
        if not isinstance(node, ListNode):
            raise self.unexpected(node, where, context)
        rules: list[Rule] = []
        lines: dict[str, int] = {}
        good = True
        for position, item in enumerate(node.items):
            here = f"{where}[{position}]"
            written = _written_id(item)
            name = written.text if written is not None else f"rule-{position + 1}"
            try:
                values = _NAMED_RULE.read(item, here, context)
                name = values.get("id", name)
                rules.append(_rule(name, values, position, context.place(item, here)))
            except Rejected:
                good = False
            if name in lines:
                message = f"the id {quoted(name)} is already used by the rule in line {lines[name]}"
                context.reject(written or item, f"{here}.id", message)
                good = False
            lines.setdefault(name, item.line)
        if not good:
            raise Rejected
        return tuple(rules)

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return {"type": "array", "items": _NAMED_RULE.schema(defs)}


def _written_id(node: AnyNode) -> ScalarNode | None:
    """The node of a rule's id, also in a rule with problems."""
    for key, value in node.pairs if isinstance(node, MapNode) else ():
        if isinstance(key, ScalarNode) and key.text == "id" and isinstance(value, ScalarNode):
            return value
    return None


def _rule(name: str, values: dict[str, Any], position: int, place: SourceLocation) -> Rule:
    return Rule(
        id=name,
        when=values["when"] if "when" in values else When(),
        steps=values["then"],
        times=values.get("times"),
        priority=values.get("priority", _DEFAULT_PRIORITY),
        place=place,
        position=position,
        continues=values["continues"],
    )


_NAMED_RULE: Final[ValueType[dict[str, Any]]] = Named("rule", lambda: _RULE)

# ── the file ───────────────────────────────────────────────────────────────────────────────────────

_FILE: Final = Record(
    {
        "version": Key(Int(1, 1), "The version of the language: 1."),
        "server": Key(SERVER, "Where to listen and what to speak."),
        "tls": Key(TLS, "How HTTPS is intercepted."),
        "record": Key(RECORD, "What goes into the log."),
        "upstream": Key(UPSTREAM, "How real servers are reached."),
        "unmatched": Key(
            Enum("reject", "passthrough"),
            "What happens to requests that no rule matches: a 503 that explains (reject), or passthrough.",
        ),
        "rules": Key(_Rules(), "The rules; of equal ones the first that matches answers."),
    },
    lambda given: {key: value for key, value in given.values.items() if key != "version"},
)

_ADDED: Final = Record(
    {
        "version": Key(Int(1, 1), "The version of the language: 1."),
        "scope": Key(Str(empty=False), "The scope in which the rules answer; without one, everywhere."),
        "rules": Key(_Rules(), "The rules; they come before those of the rule file.", required=True),
    },
    lambda given: {key: value for key, value in given.values.items() if key != "version"},
)
