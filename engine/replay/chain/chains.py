"""The new values of a replay: what its answers say where the recorded ones said what later requests use."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import anyio

from mockrec.engine.replay.chain.answer_values import LARGEST, has_text, values_of
from mockrec.engine.replay.chain.plan import ChainPlan, Link, ValueSource, said, shown_place
from mockrec.engine.replay.chain.put_back import Renamed
from mockrec.engine.replay.chain.slot import TARGET, Slot, put, put_in_message
from mockrec.engine.replay.chain.urls import has_same_shape
from mockrec.engine.replay.session.editable import MARK, EditableRequest
from mockrec.engine.usercode.calls import own_call
from mockrec.engine.wire.parts import header_table
from mockrec.formats.content import codings as content

CHAINED: Final = "chained:"
"""Tag of a new exchange, before the place of a value that an answer has given."""
_MOST_TAGS: Final = 16
_AT_ONCE: Final = 32 * 1024
"""Bytes of an answer that are looked into in the event loop; longer ones in a thread."""
_EXAMPLES: Final = 1000
_COUNTED: Final = re.compile(r"\[\d+\]|#\d+")


@dataclass(slots=True)
class Chained:
    """What was handed on in a replay, by kind → in how many requests."""

    done: Counter[str] = field(default_factory=Counter)
    """Values that are others than in the recording."""
    missing: Counter[str] = field(default_factory=Counter)
    """Values that the new answer does not have; the recorded ones were sent."""
    renamed: Renamed = field(default_factory=Renamed)
    """The new values, each with the recorded one."""

    def note(self, counter: Counter[str], source: ValueSource, slot: Slot) -> None:
        """Count a value by where it comes from and where it goes."""
        text = said(source, slot)
        if text in counter or len(counter) < _EXAMPLES:
            counter[text] += 1


class Chains:
    """Takes the new answers, and gives their values to the requests that wait for them."""

    def __init__(self, plan: ChainPlan, seconds: float, chained: Chained) -> None:
        """`seconds`: the most that a request waits for the answers it needs."""
        self.plan = plan
        self._seconds = seconds
        self._chained = chained
        self._over: dict[str, anyio.Event] = {}
        self._new: dict[str, dict[str, str]] = {}
        """Exchange → place → new value."""

    def expect(self, identity: str) -> bool:
        """A request is going to be sent; whether its answer is looked for."""
        if identity not in self.plan.places:
            return False
        self._over[identity] = anyio.Event()
        return True

    async def take(self, identity: str, target: str, head: Sequence[Sequence[str]], body: bytes) -> None:
        """The new answer to a request; its body as it came."""
        is_coded = any(name.lower() == "content-encoding" for name, _ in head)
        if len(body) <= _AT_ONCE and not is_coded:  # a few bytes may unfold into a megabyte
            self._new[identity] = self._look(identity, target, head, body)
        else:
            self._new[identity] = await own_call(self._look, identity, target, head, body)

    def over(self, identity: str) -> None:
        """Whatever there is of an answer has been taken."""
        event = self._over.get(identity)
        if event is not None:
            event.set()

    def _look(self, identity: str, target: str, head: Sequence[Sequence[str]], body: bytes) -> dict[str, str]:
        needed = self.plan.places[identity]
        counted = {place: shape for place in needed if (shape := _COUNTED.sub("", place)) != place}
        shapes = set(counted.values())
        there: set[tuple[str, str]] = set()
        found: dict[str, str] = {}
        for one in values_of(target, head, _text(head, body), every=True):
            if one.place in needed:
                found[one.place] = one.text
            if shapes and (shape := _COUNTED.sub("", one.place)) in shapes:
                there.add((shape, one.text))
        for place, shape in counted.items():
            if (shape, needed[place]) in there:
                found[place] = needed[place]  # the list has it still, only elsewhere
        return found

    async def fill(self, draft: EditableRequest, links: Sequence[Link]) -> tuple[list[str], str]:
        """Put the new values into a request, once they are there: the tags of its exchange, and why it cannot be sent
        all the same (empty: it can)."""
        values = await self._values(links)
        put(draft, values)
        tags = [f"{CHAINED}{shown_place(slot.place)}" for slot, _ in values]
        problem = next((self._unfilled(link, values) for link in links if MARK.search(link.slot.text)), "")
        return list(dict.fromkeys(tags))[:_MOST_TAGS], problem

    async def fill_message(self, data: bytes, links: Sequence[Link]) -> bytes:
        """The same for a message of a WebSocket."""
        return put_in_message(data, await self._values(links)) if links else data

    @staticmethod
    def _unfilled(link: Link, values: Sequence[tuple[Slot, str]]) -> str:
        if any(slot is link.slot for slot, _ in values):
            return ""
        source = link.sources[0]
        return f"{link.slot.place} is redacted, and the answer to {source.label} has no {shown_place(source.place)}"

    async def _values(self, links: Sequence[Link]) -> list[tuple[Slot, str]]:
        """The slots that get another value than the recorded one."""
        found: list[tuple[Slot, str]] = []
        with anyio.move_on_after(self._seconds):
            for link in links:
                await self._wait(link)
        followed = False
        for link in links:
            slot = link.slot
            value, source = self._value(link)
            if source is None:
                if not slot.is_link:
                    self._chained.note(self._chained.missing, link.sources[0], slot)
            elif value != slot.text and not (followed and slot.container == TARGET):
                followed = followed or slot.is_link
                found.append((slot, value))
                self._chained.note(self._chained.done, source, slot)
                self._chained.renamed.note(slot, link.key, value)
        return found

    async def _wait(self, link: Link) -> None:
        for source in link.sources:
            event = self._over.get(source.id)
            if event is not None:
                await event.wait()
                if source.place in self._new.get(source.id, ()):
                    return

    def _value(self, link: Link) -> tuple[str, ValueSource | None]:
        for source in link.sources:
            value = self._new.get(source.id, {}).get(source.place)
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
