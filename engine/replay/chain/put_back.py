"""Put recorded values back into new responses, so that a comparison reports no differences in chained values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from mockrec.engine.replay.chain.answer_values import LARGEST, cookie_key, has_text, named_key, strong_key
from mockrec.engine.replay.chain.names import is_strong
from mockrec.engine.replay.chain.slot import TARGET, Slot, put, put_in_message
from mockrec.engine.replay.chain.slots import message_slots, slots_of
from mockrec.engine.replay.chain.urls import url_parts
from mockrec.engine.replay.session.editable import EditableRequest, raw_headers
from mockrec.engine.wire.parts import header_table
from mockrec.formats.schema.body import Body, encode_body
from mockrec.formats.schema.errors import SessionError

_MOST: Final = 100_000
"""The most new values that are remembered with their recorded ones."""


class Renamed:
    """The new values that requests were sent with, and the recorded values that they replaced."""

    def __init__(self) -> None:
        self._recorded: dict[str, str] = {}
        """Key of a new value (see `answer_values`) → the recorded value."""

    def __bool__(self) -> bool:
        return bool(self._recorded)

    def note(self, slot: Slot, key: str, value: str) -> None:
        """Remember that `value` replaced the recorded value of a slot in a request; `key` is the key that matched."""
        if slot.is_link:
            for old, new in zip(url_parts(slot.text), url_parts(value), strict=False):
                if old.text != new.text:
                    self._add(named_key(new.name, new.text) if new.name else "", new.text, old.text)
        else:
            name, mark, _ = key.removesuffix(slot.text).rpartition("\0")
            self._add(f"{name}\0{value}" if mark and key.endswith(f"\0{slot.text}") else "", value, slot.text)

    def _add(self, key: str, value: str, recorded: str) -> None:
        if len(self._recorded) < _MOST:
            if key:
                self._recorded[key] = recorded
            if is_strong(value):
                self._recorded[strong_key(value)] = recorded

    def put_back(self, record: Mapping[str, Any], folder: Path | None) -> Mapping[str, Any]:
        """Return a record of the new session with recorded values in place of new ones; itself if it has none of them.

        `folder` holds the body files of the log.
        """
        if record["type"] == "response":
            return self._in_response(record, folder)
        if record["type"] == "websocket-message-sent":
            return self._in_message(record, folder)
        return record

    def _in_response(self, record: Mapping[str, Any], folder: Path | None) -> Mapping[str, Any]:
        head = raw_headers(record)
        data = _content(record.get("body"), folder) if has_text(head) else None
        editable = EditableRequest("", _target(str(record.get("url") or "/")), head, data or b"")
        values = [*self._found(slot for slot in slots_of(editable) if slot.container != TARGET), *self._cookies(head)]
        if not values:
            return record
        put(editable, [(slot, value) for slot, value in values if slot.container >= 0 or data is not None])
        changed = {**record, "rawHeaders": editable.raw_headers, "headers": header_table(editable.raw_headers)}
        if data is not None and editable.body != data:
            changed["body"] = encode_body(editable.body)
        return changed

    def _in_message(self, record: Mapping[str, Any], folder: Path | None) -> Mapping[str, Any]:
        data = _content(record.get("content"), folder)
        values = self._found(message_slots(data)) if data else []
        if not data or not values:
            return record
        return {**record, "content": encode_body(put_in_message(data, values))}

    def _found(self, slots: Iterator[Slot]) -> list[tuple[Slot, str]]:
        return [
            (slot, recorded)
            for slot in slots
            if (recorded := next((self._recorded[key] for key in slot.keys if key in self._recorded), None)) is not None
        ]

    def _cookies(self, head: list[list[str]]) -> Iterator[tuple[Slot, str]]:
        """Yield the slots of the cookies that a response sets, with the recorded values."""
        for number, (field, text) in enumerate(head):
            name, _, rest = text.partition("=")
            value = rest.partition(";")[0].strip()
            recorded = self._recorded.get(cookie_key(name.strip(), value))
            if field.lower() == "set-cookie" and recorded is not None:
                start = text.index(value, len(name) + 1)
                place, span = f"cookie:{name.strip()}", (0, len(value))
                yield Slot(number, start, start + len(value), "raw", place, value, span, "raw", value, ()), recorded


def _target(url: str) -> str:
    """Return path and query of a recorded URL."""
    start = url.find("/", url.find("://") + 3)
    return url[start:] if start >= 0 else "/"


def _content(recorded: Any, folder: Path | None) -> bytes | None:
    """Return the decoded bytes of a body that is recorded whole and at most `LARGEST` bytes long; otherwise None."""
    if (
        not isinstance(recorded, Mapping)
        or not isinstance(recorded.get("size"), int)
        or not 0 < recorded["size"] <= LARGEST
    ):
        return None
    body = Body.from_record(recorded, folder)
    if body.truncated or body.incomplete or body.undecodable:
        return None
    try:
        return body.bytes
    except SessionError:
        return None
