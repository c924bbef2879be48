"""Select the header fields that rules must match where recordings of one request differ by them (`variants.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mockrec.engine.replay.serve.conditions import VALIDATORS
from mockrec.engine.replay.serve.variants import Variant
from mockrec.engine.replay.session.editable import MARK

_OF_RANGES: Final = ("range", "if-range")
_NEGOTIATED: Final = {"accept": "kind", "accept-language": "language"}
"""Request field → the attribute of `Variant` that it selects."""
_PRECONDITIONS: Final = ("if-match", "if-unmodified-since")


def header_conditions(variants: Sequence[Variant]) -> list[dict[str, Any]]:
    """Return the `headers` of a `when` for each recording of one request; empty if the rule matches any header fields.

    A 206 or 416 matches only its own range, and a 304 only its validator. Other fields count if several values were
    recorded. For `Accept` and `Accept-Language`, the rule of the first recorded value also matches all other values.
    """
    split = {name for name in _splitting(variants) if len({one.fields.get(name) for one in variants}) > 1}
    return [_conditions(one, split, variants[0]) for one in variants]


def _splitting(variants: Sequence[Variant]) -> set[str]:
    """Return the fields that selected between these recordings, by `Vary` or because the responses differ."""
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
