"""Changes of messages, and expectations of scripts, that could take long: a helper process does them (`offload/`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from mockrec.engine.exchange.exchange import Exchange
from mockrec.engine.offload.pool import Helpers, TooLong
from mockrec.engine.rules.model import BodyChange, Replacements
from mockrec.engine.rules.patterns import PythonRegex

QUICK_BYTES = 64 * 1024
"""The longest body that is changed in the event loop: about a millisecond of work."""
QUICK_REPLACED = 2 * 1024
"""The longest body in which patterns are replaced there. Finding all matches may take the square of the length, also
with RE2: each search may read to the end of the text."""

T = TypeVar("T")


async def in_helper(
    exchange: Exchange, helpers: Helpers, name: str, place: str, function: Callable[..., T], *arguments: Any
) -> T:
    """The result of `function`, called in a helper. Raises what it raises, and TooLong, after the exchange was tagged
    with it and the user warned.

    `name` is the key of the rule language that asks for it, `place` its location.
    """
    try:
        result: T = await helpers.call(function, *arguments)
    except TooLong as why:
        helpers.report_limit(exchange.tag, name, place, str(why))
        raise
    return result


def replaces_quickly(replacements: Replacements, text: str) -> bool:
    """Whether replacing takes a few milliseconds at most."""
    if not replacements:
        return True
    return len(text) <= QUICK_REPLACED and not any(isinstance(one, PythonRegex) for one, _ in replacements)


def changes_quickly(change: BodyChange, size: int, *, is_coded: bool) -> bool:
    """Whether a body of `size` bytes is changed within a few milliseconds; `is_coded`: it has a content coding before
    or after the change."""
    if change.data is not None or change.file is not None:
        return not is_coded
    if is_coded or size > QUICK_BYTES:
        return False
    if change.match_replace is None:
        return True
    return size <= QUICK_REPLACED and not any(isinstance(one, PythonRegex) for one, _ in change.match_replace)
