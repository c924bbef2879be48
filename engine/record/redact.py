"""Redaction: secrets in records become marks before anything is written, shown or given to callbacks. Only the log is
changed, never the traffic.

Most records hold no secret, so each is asked with one expression first, and what clients and rules repeat is looked at
once (see `exchange/notes.py`). Only where that finds something, a record is gone through field by field.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Protocol

import orjson

from mockrec.engine.record.redact_body import redacted_body
from mockrec.engine.record.redact_hold import Hold
from mockrec.engine.record.redact_known import LEAST_SPREAD, Known
from mockrec.engine.record.redact_marks import Marks
from mockrec.engine.record.redact_patterns import Patterns
from mockrec.engine.record.redact_record import Walk, side_of
from mockrec.engine.record.redact_selectors import Policy
from mockrec.engine.record.redact_spread import Spread
from mockrec.engine.record.redact_text import Finder
from mockrec.formats.body import encode_body
from mockrec.formats.jsonl import encode_lines

Record = dict[str, Any]

KEY_VARIABLE = "MOCKREC_REDACT_KEY"


class Knows(Protocol):
    """What remembers the secrets that were found in it, so that they are replaced wherever else they appear."""

    known: Known | None


class Holder:
    """What is found in one thing."""

    __slots__ = ("known",)

    def __init__(self) -> None:
        self.known: Known | None = None


def learn(owner: Knows, found: Known) -> None:
    """Remember what was found."""
    if found or owner.known is None:
        owner.known = found if owner.known is None else owner.known.joined(found)


class Redactor:
    """Redacts records, bodies and texts of one session."""

    def __init__(self, policy: Policy, marks: Marks, values: Iterable[str] = ()) -> None:
        """`values` are secret wherever they appear: those of the environment that a rule file uses."""
        self.count = 0
        """Secrets that were replaced."""
        self._policy = policy
        self._marks = marks
        self._patterns = Patterns(policy.names)
        self._find = self._patterns.any.search
        self.looks_everywhere = bool(policy.texts)
        """Whether everything has to be gone through: an expression may find anything."""
        self._session = Known()
        self.learn_values(values)

    @classmethod
    def of(
        cls, setting: object, environment: Mapping[str, str], values: Iterable[str] = (), key: bytes | None = None
    ) -> Redactor | None:
        """As `record.redact` says: `default`, `none`, or a mapping with `add` and `keep`. Raises ValueError.

        `key` is for marks where no variable says one; without it, one that is not used twice.
        """
        if setting == "none":
            return None
        given = setting if isinstance(setting, Mapping) else {}
        named = environment.get(KEY_VARIABLE)
        marks = Marks.named(named) if named else Marks(key or os.urandom(32))
        return cls(Policy(given.get("add", ()), given.get("keep", ())), marks, values)

    def learn_values(self, values: Iterable[str]) -> None:
        """Further values that are secret wherever they appear in the session."""
        found = Known()
        for value in values:
            if len(value) >= LEAST_SPREAD and not self._policy.keeps_value(value, ""):
                found.add((value,), self._marks.mark(value))
        self._session = self._session.joined(found)

    @property
    def told(self) -> Record:
        """What the first record says."""
        return {"mode": "default", "keyId": self._marks.key_id, **self._policy.told}

    # ── records ────────────────────────────────────────────────────────────────────────────────────

    def record(self, record: Record, owner: Knows | None = None, side: str | None = None) -> Record:
        """A record, or a part of one, without secrets; itself where it holds none. What is found is remembered by
        `owner`, and what that knows already is replaced too."""
        known = owner.known if owner is not None else None
        line = encode_lines((record,))
        if not (self.looks_everywhere or self._find(line)):
            return record if known is None else self._spread(record, line, known)
        found = Known()
        plain = orjson.loads(line)
        side = side_of(plain) if side is None else side
        redacted = Walk(self._finder(found, side), self._walked_body, partial(self._finder, found)).record(plain)
        self.count += found.count
        everything = found if known is None else known.joined(found)
        if everything:
            redacted = self._spread(redacted, encode_lines((redacted,)), everything)
        if owner is not None and found:
            learn(owner, found)
        return record if redacted == plain else redacted

    def spread(self, record: Record, known: Known) -> Record:
        """A record that has been looked at, without what was found elsewhere in its exchange."""
        return self._spread(record, encode_lines((record,)), known)

    def _spread(self, record: Record, line: bytes, known: Known) -> Record:
        if not known.occurs_in_line(line):
            return record
        spread = Spread(known)
        redacted = spread.record(orjson.loads(line))
        self.count += spread.count
        return redacted

    def head(self, head: Record, side: str) -> tuple[Record, Known | None]:
        """A head that will be in several records, and what was found in it."""
        holder, before = Holder(), self.count
        redacted = self.record(head, holder, side)
        found, count, self.count = holder.known, self.count - before, before
        if count and found is None:
            found = Known()  # all too short to be looked for elsewhere
        if found is not None:
            found.count = count
        return redacted, found

    def lines(self, lines: bytes) -> bytes:
        """Lines of the log without the values that are secret in the whole session."""
        session = self._session
        if not session.occurs_in_line(lines):
            return lines
        return b"".join(
            [
                encode_lines((self._spread(orjson.loads(line), line, session),))
                if session.occurs_in_line(line)
                else line
                for line in lines.splitlines(keepends=True)
            ]
        )

    # ── bodies and texts ───────────────────────────────────────────────────────────────────────────

    def body(self, data: bytes, content_type: str, side: str, owner: Knows | None) -> bytes:
        """A body's bytes, or those that are kept of it; the same object where there is no secret."""
        known = owner.known if owner is not None else None
        if self._is_plain(data, known):
            return data
        found = Known()
        redacted = redacted_body(data, content_type, self._finder(found, side), self._policy)
        for more in (known, found, self._session):
            if more:
                spread = Spread(more)
                redacted = spread.data(redacted)
                if more is found:
                    found.count += spread.count
                else:
                    self.count += spread.count
        self.count += found.count
        if owner is not None and found:
            learn(owner, found)
        return data if redacted == data else redacted

    def _is_plain(self, data: bytes, known: Known | None) -> bool:
        if self.looks_everywhere or self._policy.paths or self._find(data):
            return False
        return not (self._session.occurs(data) or (known is not None and known.occurs(data)))

    @property
    def needs_whole(self) -> bool:
        """Whether bodies cannot be redacted in pieces: a path leads through all of it."""
        return bool(self._policy.paths or self._policy.kept_paths)

    def hold(self) -> Hold:
        """For a body whose pieces are redacted one by one."""
        return Hold(self._patterns.any)

    def text(self, text: str, owner: Knows | None = None) -> str:
        """A text for people."""
        known = owner.known if owner is not None else None
        text = self._finder(Known(), "").string(text)
        text = Spread(self._session).text(text)
        return text if known is None else Spread(known).text(text)

    def _finder(self, found: Known, side: str) -> Finder:
        return Finder(self._policy, self._marks, self._patterns, found, side)

    def _walked_body(self, body: Record, content_type: str, finder: Finder) -> Record:
        """A body that is in a record already."""
        text = body.get("text")
        try:
            data = text.encode() if isinstance(text, str) else base64.b64decode(body["base64"], validate=True)
        except (ValueError, TypeError, KeyError):
            return body
        redacted = redacted_body(data, content_type, finder, self._policy)
        return body if redacted == data else replaced_body(body, redacted)


def replaced_body(body: Record, data: bytes) -> Record:
    """A body of the log with other bytes. Its wire bytes would give away what was replaced."""
    kept = {key: item for key, item in body.items() if key not in ("text", "base64", "raw", "sha256")}
    form = encode_body(data)
    form.pop("size")
    return {"size": kept.pop("size"), **form, **kept, "redacted": True}


class RedactingLog:
    """A log whose records are redacted on their way. For all that is not an exchange's."""

    def __init__(self, add: Any, flush: Any, redactor: Redactor) -> None:
        self._add = add
        self._redactor = redactor
        self.flush = flush

    def add(self, record: Record) -> None:
        """Take the next record."""
        self._add(self._redactor.record(record))
