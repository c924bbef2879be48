"""Which header fields the rules of one request have to ask for, where its recordings differ by them (`variants.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mockrec.engine.replay.serve.conditions import VALIDATORS
from mockrec.engine.replay.serve.variants import Variant
from mockrec.engine.replay.session.editable import MARK

_OF_RANGES: Final = ("range", "if-range")
_NEGOTIATED: Final = {"accept": "kind", "accept-language": "language"}
"""Field → what of an answer it may decide."""
_PRECONDITIONS: Final = ("if-match", "if-unmodified-since")


def header_conditions(variants: Sequence[Variant]) -> list[dict[str, Any]]:
    """`headers` of a `when` for each recording of a request that is otherwise the same; empty: for whatever is sent.

    A part (206, 416) is only for its range and a 304 only for its validator. Other fields count where several values
    were recorded; of what a client prefers, the value that came first answers all others, too.
    """
    split = {name for name in _splitting(variants) if len({one.fields.get(name) for one in variants}) > 1}
    return [_conditions(one, split, variants[0]) for one in variants]


def _splitting(variants: Sequence[Variant]) -> set[str]:
    """The fields by which a server, or its answers, tell these recordings apart."""
    names = {name for one in variants for name in (*one.deciding, *_PRECONDITIONS)}
    for name, decided in _NEGOTIATED.items():
        answered = [one for one in variants if one.status is not None]
        if any(name in one.vary for one in answered) or len({getattr(one, decided) for one in answered}) > 1:
            names.add(name)
    return names


def _conditions(variant: Variant, split: set[str], first: Variant) -> dict[str, Any]:
    own = _OF_RANGES if variant.status in (206, 416) else VALIDATORS if variant.status == 304 else ()
    found = {name: variant.fields.get(name) for name in sorted(split)}
    for name in _NEGOTIATED:
        if name in found and (found[name] is None or found[name] == first.fields.get(name)):
            del found[name]
    found |= {name: variant.fields[name] for name in own if variant.fields.get(name)}
    return {name.title(): _expected(value) for name, value in found.items()}


def _expected(value: str | None) -> Any:
    if value is None:
        return {"absent": True}
    return {"present": True} if MARK.search(value) else value
