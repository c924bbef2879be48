"""Entries of the step table: the entry, options of steps that have none, delays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from mockrec.engine.rules.model import Delay, SourceLocation, Step
from mockrec.engine.rules.yaml.containers import ByKind
from mockrec.engine.rules.yaml.context import LoadContext
from mockrec.engine.rules.yaml.nodes import AnyNode, MapNode, ScalarNode, core_value
from mockrec.engine.rules.yaml.records import Key, ParsedMapping, Record
from mockrec.engine.rules.yaml.strings import pair_of
from mockrec.engine.rules.yaml.types import Duration, InvalidValue, Number, Schema, ValueType

Make = Callable[[Any, SourceLocation], Step]


class StepWord:
    """One step of the language: the value type of its options, and the function that makes a `model.Step` of them."""

    __slots__ = ("about", "bare", "final", "make", "value_type")

    def __init__(
        self,
        about: str,
        value_type: ValueType[Any],
        make: Make,
        *,
        final: bool = True,
        bare: bool = False,
    ) -> None:
        """`bare`: the step needs no options; its name alone is enough."""
        self.about = about
        self.value_type = value_type
        self.make = make
        self.final = final
        self.bare = bare


class NoOptions(ValueType[None]):
    """The options of a step that has none: `close:`, `close: true` or `close: {}`."""

    expects = "no options"

    def read(self, node: AnyNode, where: str, context: LoadContext) -> None:
        if isinstance(node, ScalarNode) and node.plain:
            value = core_value(node.text)
            if value is None or value is True:
                return
        if not isinstance(node, MapNode) or node.pairs:
            raise self.unexpected(node, where, context)

    def schema(self, defs: dict[str, Schema]) -> Schema:
        return {"anyOf": [{"type": "null"}, {"const": True}, {"type": "object", "maxProperties": 0}]}


# ── delays ─────────────────────────────────────────────────────────────────────────────────────────


def _uniform(given: ParsedMapping) -> dict[str, Any]:
    return {"uniform": given.get("uniform")} if "uniform" in given else {"lognormal": given.get("lognormal")}


def _ordered(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise InvalidValue("the first duration is the shorter one")
    return pair


_LOGNORMAL = Record(
    {
        "median": Key(Duration(), "Half of the delays are shorter.", required=True),
        "sigma": Key(Number(low=0), "The spread: standard deviation of the logarithm.", required=True),
    },
    lambda given: (given.get("median"), float(given.get("sigma"))),
)
_DISTRIBUTION = Record(
    {
        "uniform": Key(pair_of(Duration(), "two durations", _ordered), "Any delay between two, equally likely."),
        "lognormal": Key(_LOGNORMAL, "Delays as networks have them: most short, few long."),
    },
    _uniform,
    one_of=[("uniform", "lognormal")],
    some_of=[("uniform", "lognormal")],
)
DELAY: Final = ByKind(scalar=Duration(), mapping=_DISTRIBUTION)


def delay_step(value: Any, place: SourceLocation) -> Delay:
    return Delay(place, **value) if isinstance(value, dict) else Delay(place, fixed=value)


def record_step(
    about: str,
    keys: dict[str, Key],
    make: Callable[[ParsedMapping, SourceLocation], Step],
    *,
    final: bool = True,
    **groups: Any,
) -> StepWord:
    """A step whose options are a record; `make` gets the given keys, `groups` are arguments of `Record`."""
    return StepWord(about, Record(keys, lambda given: given, **groups), make, final=final)


def bare_step(about: str, kind: type[Step]) -> StepWord:
    """A step without options."""
    return StepWord(about, NoOptions(), lambda value, place: kind(place), final=kind.final, bare=True)
