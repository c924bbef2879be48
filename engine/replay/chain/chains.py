"""Collect the values of new responses during a replay, and put them into the requests that use them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import anyio

from mockrec.engine.replay.chain.answer_values import LARGEST, has_text, values_of
from mockrec.engine.replay.chain.plan import ChainPlan, Link, ValueSource, describe_link, shown_place
from mockrec.engine.replay.chain.put_back import Renamed
from mockrec.engine.replay.chain.slot import TARGET, Slot, put, put_in_message
from mockrec.engine.replay.chain.urls import has_same_shape
from mockrec.engine.replay.session.editable import MARK, EditableRequest
from mockrec.engine.usercode.calls import own_call
from mockrec.engine.wire.parts import header_table
from mockrec.formats.content import codings as content

CHAINED: Final = "chained:"
"""Prefix of a tag of a new exchange; the place of a chained value follows."""
_MOST_TAGS: Final = 16
_AT_ONCE: Final = 32 * 1024
"""The largest response body that is searched in the event loop, in bytes; a longer one is searched in a thread."""
_EXAMPLES: Final = 1000
"""The most descriptions that are counted separately."""
_COUNTED: Final = re.compile(r"\[\d+\]|#\d+")


@dataclass(slots=True)
class Chained:
    """The values that a replay chained, as a description of source and slot → the number of requests."""

    done: Counter[str] = field(default_factory=Counter)
    """Values that differ from the recorded ones."""
    missing: Counter[str] = field(default_factory=Counter)
    """Values that the new response does not contain; the recorded ones were sent."""
    renamed: Renamed = field(default_factory=Renamed)
    """The new values and the recorded value of each."""

    def note(self, counter: Counter[str], source: ValueSource, slot: Slot) -> None:
        """Count a value by its source and its slot."""
        text = describe_link(source, slot)
        if text in counter or len(counter) < _EXAMPLES:
            counter[text] += 1


class Chains:
    """Searches new responses for values, and fills them into requests, which wait for the responses they depend on."""

    def __init__(self, plan: ChainPlan, seconds: float, chained: Chained) -> None:
        """`seconds`: the time limit for which a request waits for the responses it depends on."""
        self.plan = plan
        self._seconds = seconds
        self._chained = chained
        self._finished: dict[str, anyio.Event] = {}
        self._new_values: dict[str, dict[str, str]] = {}
        """Exchange id → place → new value."""

    def expect(self, identity: str) -> bool:
        """Register a request that will be sent. Return whether later requests use values of its response."""
        if identity not in self.plan.places:
            return False
        self._finished[identity] = anyio.Event()
        return True

    async def take(self, identity: str, target: str, head: Sequence[Sequence[str]], body: bytes) -> None:
        """Search the new response to a request for values; `body` is as received, still encoded."""
        is_coded = any(name.lower() == "content-encoding" for name, _ in head)
        if len(body) <= _AT_ONCE and not is_coded:  # a few encoded bytes may decode to a megabyte
            self._new_values[identity] = self._search(identity, target, head, body)
        else:
            self._new_values[identity] = await own_call(self._search, identity, target, head, body)

    def over(self, identity: str) -> None:
        """Mark the response to a request as finished: no more values follow."""
        event = self._finished.get(identity)
        if event is not None:
            event.set()

    def _search(self, identity: str, target: str, head: Sequence[Sequence[str]], body: bytes) -> dict[str, str]:
        needed = self.plan.places[identity]
        counted = {place: shape for place in needed if (shape := _COUNTED.sub("", place)) != place}
        shapes = set(counted.values())
        present: set[tuple[str, str]] = set()
        found: dict[str, str] = {}
        for value in values_of(target, head, _text(head, body), every=True):
            if value.place in needed:
                found[value.place] = value.text
            if shapes and (shape := _COUNTED.sub("", value.place)) in shapes:
                present.add((shape, value.text))
        for place, shape in counted.items():
            if (shape, needed[place]) in present:
                found[place] = needed[place]  # the list still contains the recorded value, at another index
        return found

    async def fill(self, request: EditableRequest, links: Sequence[Link]) -> tuple[list[str], str]:
        """Wait for the new values and put them into a request.

        Return the tags of its exchange, and the reason why it cannot be sent (empty if it can).
        """
        values = await self._values(links)
        put(request, values)
        tags = [f"{CHAINED}{shown_place(slot.place)}" for slot, _ in values]
        problem = next((self._unfilled(link, values) for link in links if MARK.search(link.slot.text)), "")
        return list(dict.fromkeys(tags))[:_MOST_TAGS], problem

    async def fill_message(self, data: bytes, links: Sequence[Link]) -> bytes:
        """Wait for the new values and put them into a WebSocket message."""
        return put_in_message(data, await self._values(links)) if links else data

    @staticmethod
    def _unfilled(link: Link, values: Sequence[tuple[Slot, str]]) -> str:
        if any(slot is link.slot for slot, _ in values):
            return ""
        source = link.sources[0]
        return f"{link.slot.place} is redacted, and the answer to {source.label} has no {shown_place(source.place)}"

    async def _values(self, links: Sequence[Link]) -> list[tuple[Slot, str]]:
        """Return the slots whose value differs from the recorded one, with the new values."""
        found: list[tuple[Slot, str]] = []
        with anyio.move_on_after(self._seconds):
            for link in links:
                await self._wait(link)
        target_replaced = False
        for link in links:
            slot = link.slot
            value, source = self._value(link)
            if source is None:
                if not slot.is_link:
                    self._chained.note(self._chained.missing, link.sources[0], slot)
            elif value != slot.text and not (target_replaced and slot.container == TARGET):
                target_replaced = target_replaced or slot.is_link
                found.append((slot, value))
                self._chained.note(self._chained.done, source, slot)
                self._chained.renamed.note(slot, link.key, value)
        return found

    async def _wait(self, link: Link) -> None:
        for source in link.sources:
            event = self._finished.get(source.id)
            if event is not None:
                await event.wait()
                if source.place in self._new_values.get(source.id, ()):
                    return

    def _value(self, link: Link) -> tuple[str, ValueSource | None]:
        for source in link.sources:
            value = self._new_values.get(source.id, {}).get(source.place)
            if value and (not link.slot.is_link or has_same_shape(link.slot.text, value)):
                return value, source
        return "", None


def _text(head: Sequence[Sequence[str]], body: bytes) -> str:
    if not body or len(body) > LARGEST or not has_text(head):
        return ""
    codings = content.codings_of(header_table(head).get("content-encoding", ""))
    try:
        decoded, _ = content.decode(body, codings, LARGEST, whole=False) if codings else (body, True)
    except content.UndecodableError:
        return ""
    return decoded[: 2 * LARGEST].decode("utf-8", "replace")
