"""Parse a `text/event-stream` into events, as the HTML standard does."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass
class ServerEvent:
    """One event: `data` has its lines joined."""

    event: str = ""
    id: str = ""
    retry: str = ""
    data: str = ""

    def __str__(self) -> str:
        named = [f"{name}: {value}" for name, value in (("event", self.event), ("id", self.id)) if value]
        return "\n".join([*named, *(f"data: {line}" for line in self.data.split("\n"))])


def is_ended(text: str) -> bool:
    """True if a blank line ends the last event: clients drop an incomplete one."""
    lines = re.split("\r\n|\n|\r", text)
    return "".join(lines[-2:]) == "" or not text


def events(text: str) -> list[ServerEvent]:
    """Return all events of a stream, also an incomplete last one; comments are left out."""
    found: list[ServerEvent] = []
    fields: dict[str, list[str]] = {}
    for line in [*text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n"), ""]:
        if line:
            name, _, value = line.partition(":")
            if name:
                fields.setdefault(name, []).append(value.removeprefix(" "))
        elif fields:
            found.append(
                ServerEvent(
                    fields.get("event", [""])[-1],
                    fields.get("id", [""])[-1],
                    fields.get("retry", [""])[-1],
                    "\n".join(fields.get("data", [])),
                )
            )
            fields = {}
    return found
